// An entry that is set again as it was: after an undo, under another key, from a file.
import { KvError, type Metadata, type SetOptions, type StoredValue } from 'dataknobs-kv';
import type { Store } from './store.js';
import type { Held } from './value.js';

/** What of an entry can be set. */
export interface Portable {
  key: string;
  value: StoredValue;
  metadata: Metadata;
  contentType: string | undefined;
  expiresAt: Date | undefined;
  slidingMs: number | undefined;
}

export type Outcome = 'written' | 'there' | 'expired';

type Settable = Omit<SetOptions, 'signal'>;

/** The options that set it: a sliding expiry starts anew, another one ends when it would have. */
export function optionsOf({ metadata, contentType, expiresAt, slidingMs }: Portable): Settable {
  const expiry = slidingMs !== undefined ? { ttlMs: slidingMs, sliding: true } : expiresAt !== undefined ? { expiresAt } : {};
  return { metadata, contentType, ...expiry };
}

/** A number `ttl` in the metadata would be taken for the expiry that the entry does not have: it is set afterwards. */
function withoutHint<T extends Portable>(entry: T): { entry: T; hint: boolean } {
  const { metadata, expiresAt, slidingMs } = entry;
  const hint = typeof metadata['ttl'] === 'number' && expiresAt === undefined && slidingMs === undefined;
  const { ttl: _, ...rest } = metadata;
  return hint ? { entry: { ...entry, metadata: rest }, hint } : { entry, hint };
}

export async function setAgain(store: Store, entry: Portable, condition: { ifAbsent?: boolean } = {}): Promise<Outcome> {
  const { key, value, metadata, expiresAt } = entry;
  if (expiresAt !== undefined && expiresAt.getTime() <= Date.now()) return 'expired';
  const { entry: first, hint } = withoutHint(entry);
  try {
    const result = await store.set(key, value, { ...optionsOf(first), ...condition });
    if (!result.written) return 'there';
    if (hint) await store.setMetadata(key, metadata, { ifVersion: result.version });
    return 'written';
  } catch (error) {
    const late = expiresAt !== undefined && expiresAt.getTime() - Date.now() < 1000;
    if (late && error instanceof KvError && error.code === 'invalid-argument') return 'expired';
    throw error;
  }
}

/** Under another key, where there is none: in one step, so that nobody sees both or neither. */
export async function rename(store: Store, entry: Held, key: string): Promise<void> {
  const { entry: first, hint } = withoutHint(entry);
  const result = await store.transact(
    [{ key: entry.key, ifVersion: entry.version }, { key, ifAbsent: true }],
    [{ set: key, value: first.value, ...optionsOf(first) }, { delete: entry.key }],
  );
  if (result.committed) {
    const version = result.versions.get(key);
    if (hint && version !== undefined) await store.setMetadata(key, entry.metadata, { ifVersion: version });
    return;
  }
  throw new Error(result.key === key ? 'There is an entry of this name already.' : 'The entry was changed meanwhile. Look at it again first.');
}
