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
export { KVStore } from './store.js';
export type {
  Action,
  Capabilities,
  Check,
  Child,
  Description,
  Entry,
  ListOptions,
  OpenOptions,
  SetResult,
  TransactionResult,
} from './types.js';
export type { KvValue, StoredValue, ValueType } from './values.js';
