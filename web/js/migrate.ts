import { KvError, invalid } from './error.js';
import { given, throwIfAborted } from './options.js';
import type { KVStore } from './store.js';
import type { Entry } from './types.js';

/** Options of {@link migrateStore}. */
export interface MigrateOptions {
  /** How many entries are copied at once; 100 if not given. */
  batchSize?: number | undefined;
  /** Only keys that match. */
  pattern?: string | undefined;
  /** Called after each batch. */
  onProgress?: ((progress: Migration) => void) | undefined;
  /** Aborted, it ends with a {@link KvError} of code `aborted`; what was copied by then stays. */
  signal?: AbortSignal | undefined;
}

/** How far a migration is. */
export interface Migration {
  /** Entries copied. */
  copied: number;
  /** Entries that expired before it was their turn. */
  expired: number;
}

/**
 * Copies all entries of one store's namespace into another's: values, metadata, content types and expiry, to the millisecond;
 * a sliding expiry begins anew. Entries of the target with other keys stay. What is changed in the source meanwhile may be copied as it was or as it is.
 *
 * Both stores should be of the same class: values go through `deserialize` of the source and `serialize` of the target.
 *
 * @example
 * ```js
 * await migrateStore(source, target, { batchSize: 100, onProgress: ({ copied }) => console.log(copied) });
 * ```
 */
export async function migrateStore(source: KVStore, target: KVStore, options?: MigrateOptions): Promise<Migration> {
  const { batchSize = 100, pattern = '**', onProgress, signal } =
    given(options, ['batchSize', 'pattern', 'onProgress', 'signal']) ?? {};
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > 10_000) {
    throw invalid('batchSize: a whole number from 1 to 10,000 is expected');
  }
  const progress: Migration = { copied: 0, expired: 0 };
  for await (const entries of source.entries(pattern, { pageSize: batchSize, signal }).pages()) {
    const outcomes = await Promise.all(entries.map((entry) => copy(target, entry)));
    for (const copied of outcomes) progress[copied ? 'copied' : 'expired'] += 1;
    onProgress?.({ ...progress });
    throwIfAborted(signal);
  }
  return progress;
}

/** Whether it was copied: one that has expired by now is none. */
async function copy(target: KVStore, entry: Entry): Promise<boolean> {
  const { key, value, metadata, contentType, expiresAt, slidingMs } = entry;
  const left = expiresAt === undefined ? undefined : expiresAt.getTime() - Date.now();
  if (left !== undefined && left <= 0) return false;
  const expiry =
    slidingMs !== undefined ? { ttlMs: slidingMs, sliding: true } : expiresAt !== undefined ? { expiresAt } : { ttl: null };
  try {
    await target.set(key, value as object, { metadata, contentType, ...expiry });
    return true;
  } catch (error) {
    if (error instanceof KvError && error.code === 'invalid-argument' && left !== undefined && left < 1000) return false;
    throw error;
  }
}
