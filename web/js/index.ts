/**
 * dataknobs-kv: a key-value store with hierarchical keys, patterns, metadata, expiry and atomic operations, in the browser and
 * wherever JavaScript runs.
 *
 * @module
 */
export type { Change } from './changes.js';
export { KvError, type KvErrorCode } from './error.js';
export type { Listing } from './listing.js';
export { type MigrateOptions, type Migration, migrateStore } from './migrate.js';
export type { CallOptions, ConditionOptions, ExpiryOptions, Metadata, SetOptions } from './options.js';
export {
  type Action,
  type Capabilities,
  type Check,
  type Child,
  type Description,
  type Entry,
  KVStore,
  type ListOptions,
  type OpenOptions,
  type SetResult,
  type TransactionResult,
} from './store.js';
export type { KvValue, StoredValue, ValueType } from './values.js';
