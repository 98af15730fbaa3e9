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

/** The options that set it: a sliding expiry starts anew, another one ends when it would have, and none stays none. */
function optionsOf({ metadata, contentType, expiresAt, slidingMs }: Portable): Settable {
  const expiry = slidingMs !== undefined ? { ttlMs: slidingMs, sliding: true } : expiresAt !== undefined ? { expiresAt } : { ttl: null };
  return { metadata, contentType, ...expiry };
}

export async function setAgain(store: Store, entry: Portable, condition: { ifAbsent?: boolean } = {}): Promise<Outcome> {
  const { key, value, expiresAt } = entry;
  if (expiresAt !== undefined && expiresAt.getTime() <= Date.now()) return 'expired';
  try {
    const { written } = await store.set(key, value, { ...optionsOf(entry), ...condition });
    return written ? 'written' : 'there';
  } catch (error) {
    const late = expiresAt !== undefined && expiresAt.getTime() - Date.now() < 1000;
    if (late && error instanceof KvError && error.code === 'invalid-argument') return 'expired';
    throw error;
  }
}

/** Under another key, where there is none: in one step, so that nobody sees both or neither. */
export async function rename(store: Store, entry: Held, key: string): Promise<void> {
  const result = await store.transact(
    [{ key: entry.key, ifVersion: entry.version }, { key, ifAbsent: true }],
    [{ set: key, value: entry.value, ...optionsOf(entry) }, { delete: entry.key }],
  );
  if (result.committed) return;
  throw new Error(result.key === key ? 'There is an entry of this name already.' : 'The entry was changed meanwhile. Look at it again first.');
}
