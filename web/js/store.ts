import type { Change } from './changes.js';
import * as entries from './entries.js';
import { invalid } from './error.js';
import type { Listing } from './listing.js';
import * as listings from './listings.js';
import * as many from './many.js';
import { open } from './open.js';
import {
  type CallOptions,
  type ConditionOptions,
  type ExpiryOptions,
  type Metadata,
  NAMES,
  type SetOptions,
  given,
} from './options.js';
import { Opened, Session } from './session.js';
import { wellFormed } from './text.js';
import type {
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
import { type KvValue, type StoredValue, deserializeValue, serializeBlob, serializeValue } from './values.js';
import { rules } from './wasm.js';

/**
 * A key-value store with hierarchical keys, patterns, metadata, expiry and atomic operations.
 *
 * @example
 * ```js
 * import { KVStore } from 'dataknobs-kv';
 *
 * const store = await KVStore.open();
 * await store.set('app.config.debug', true);
 * await store.get('app.config.debug'); // true
 * await store.keys('app.**'); // ['app.config.debug']
 * ```
 */
export class KVStore {
  readonly #session: Session;

  /** Stores are made by {@link KVStore.open}: a subclass that has a constructor passes on what that gets. */
  protected constructor(opened: unknown) {
    if (!(opened instanceof Opened)) throw invalid('a store is opened by `await KVStore.open()`');
    this.#session = new Session(opened, this);
  }

  /**
   * Opens a store.
   *
   * @example
   * ```js
   * const store = await KVStore.open({ namespace: 'user_data' }); // IndexedDB
   * const cache = await KVStore.open({ backend: 'memory', autoCleanup: true, cleanupInterval: 60 });
   * const shared = await KVStore.open({ backend: 'http', url: 'https://kv.example.org', token });
   * ```
   */
  static async open<T extends KVStore>(
    this: { readonly prototype: T },
    options: OpenOptions = {},
  ): Promise<T> {
    const opened = await open(options);
    const Class = this as unknown as new (opened: Opened) => T;
    return new Class(opened);
  }

  /** A key of these parts: dots and backslashes in them are escaped. Once a store has been opened. */
  static key(...segments: string[]): string {
    return rules().joinKey(segments.map((segment) => wellFormed(segment, 'segment')));
  }

  /** The parts of a key, unescaped. Once a store has been opened. */
  static segments(key: string): string[] {
    return rules().splitKey(wellFormed(key, 'key')) as string[];
  }

  /** The namespace of this store. */
  get namespace(): string {
    return this.#session.namespace;
  }

  /**
   * How a value of your own becomes bytes: for a subclass. Values that it does not know go to `super.serialize(value)`.
   *
   * @example
   * ```js
   * class PointStore extends KVStore {
   *   serialize(value) {
   *     if (value instanceof Point) return { type: 'custom:point', data: new Uint8Array([value.x, value.y]) };
   *     return super.serialize(value);
   *   }
   *   deserialize(stored) {
   *     if (stored.type === 'custom:point') return new Point(stored.data[0], stored.data[1]);
   *     return super.deserialize(stored);
   *   }
   * }
   * ```
   */
  serialize(value: unknown): StoredValue | Promise<StoredValue> {
    return typeof Blob !== 'undefined' && value instanceof Blob ? serializeBlob(value) : serializeValue(value);
  }

  /** The other way. */
  deserialize(stored: StoredValue): unknown {
    return deserializeValue(stored);
  }

  /**
   * Sets an entry: value and metadata as one. It replaces what is there, metadata and expiry too.
   *
   * @example
   * ```js
   * await store.set('session.abc123', data, { ttl: 3600 });
   * const { written } = await store.set('lock', 'me', { ifAbsent: true });
   * ```
   */
  set(key: string, value: KvValue | object, options?: SetOptions): Promise<SetResult> {
    return entries.set(this.#session, key, value, options);
  }

  /**
   * The value, or `undefined`.
   *
   * Integers come as numbers where a number holds them exactly, else as bigints.
   */
  get<T = unknown>(key: string, options?: CallOptions): Promise<T | undefined> {
    return entries.get(this.#session, key, options);
  }

  /** The entry with its value, version, metadata and times, or `undefined`. */
  entry<T = unknown>(key: string, options?: CallOptions): Promise<Entry<T> | undefined> {
    return entries.entry(this.#session, key, options);
  }

  /** The entry without its value. Never starts a sliding expiry anew. */
  describe(key: string, options?: CallOptions): Promise<Description | undefined> {
    return entries.describe(this.#session, key, options);
  }

  /** Whether there is an entry that has not expired. */
  async exists(key: string, options?: CallOptions): Promise<boolean> {
    return (await this.describe(key, options)) !== undefined;
  }

  /** Removes an entry: whether it was there, and with `ifVersion` whether it had that version. */
  delete(key: string, options?: CallOptions & Pick<ConditionOptions, 'ifVersion'>): Promise<boolean> {
    return entries.remove(this.#session, key, options);
  }

  /**
   * The keys that match, in order: `await` gives an array, `for await` one after the other.
   *
   * `*` is any run inside one segment, `**` any number of segments, `?` one character, `[a-z]` one of these, `{a,b}`
   * alternatives.
   *
   * @example
   * ```js
   * const names = await store.keys('users.*.name');
   * for await (const key of store.keys('logs.**')) console.log(key);
   * ```
   */
  keys(pattern = '**', options?: ListOptions): Listing<string> {
    return listings.keys(this.#session, pattern, options);
  }

  /** The entries that match, in order, with values: `await` gives an array, `for await` one after the other. */
  entries<T = unknown>(pattern = '**', options?: ListOptions): Listing<Entry<T>> {
    return listings.entries(this.#session, pattern, options);
  }

  /** As {@link entries}, without values: cheaper where these are large. */
  descriptions(pattern = '**', options?: ListOptions): Listing<Description> {
    return listings.descriptions(this.#session, pattern, options);
  }

  /** The values of all keys that match, by key: `await` gives a `Map`, `for await` pairs of key and value. */
  getPattern<T = unknown>(pattern: string, options?: ListOptions): Listing<[string, T], Map<string, T>> {
    return listings.getPattern(this.#session, pattern, options);
  }

  /** How many entries match. */
  count(pattern = '**', options?: ListOptions): Promise<number> {
    return listings.count(this.#session, pattern, options);
  }

  /** Removes what matches: how many. */
  deletePattern(pattern: string, options?: ListOptions): Promise<number> {
    return listings.deletePattern(this.#session, pattern, options);
  }

  /** The next level below a key, or the top. */
  children(prefix?: string, options?: CallOptions & { counts?: boolean | undefined }): Listing<Child> {
    return listings.children(this.#session, prefix, options);
  }

  /** Sets many at once: their versions by key. Some may fail while others are written: the error's `failures` tells which. */
  setMany(
    entries: Iterable<readonly [string, KvValue | object]> | Record<string, KvValue | object>,
    options?: Omit<SetOptions, 'ifVersion' | 'ifAbsent'>,
  ): Promise<Map<string, string>> {
    return many.setMany(this.#session, entries, options);
  }

  /** The values of those of the keys that are there, by key. */
  getMany<T = unknown>(keys: Iterable<string>, options?: CallOptions): Promise<Map<string, T>> {
    return many.getMany(this.#session, keys, options);
  }

  /** Removes many at once: how many were there. */
  deleteMany(keys: Iterable<string>, options?: CallOptions): Promise<number> {
    return many.deleteMany(this.#session, keys, options);
  }

  /** The metadata that was set, or `undefined` where there is no entry. {@link describe} has the rest: version, times, size. */
  async getMetadata(key: string, options?: CallOptions): Promise<Metadata | undefined> {
    return (await this.describe(key, options))?.metadata;
  }

  /**
   * Merges fields into an entry's metadata; `null` removes one. Whether it was done: there may be no such entry, or not of the
   * version asked for. With `replace` these are all the metadata then.
   */
  setMetadata(
    key: string,
    metadata: Metadata,
    options?: CallOptions & Pick<ConditionOptions, 'ifVersion'> & { replace?: boolean | undefined },
  ): Promise<boolean> {
    return entries.setMetadata(this.#session, key, metadata, options);
  }

  /**
   * Swaps the value if the present one is `oldValue`; `undefined` means that there is none. Whether it was swapped. Of any
   * number of tabs that try from the same value one succeeds.
   */
  compareAndSwap(
    key: string,
    oldValue: KvValue | object | undefined,
    newValue: KvValue | object,
    options?: SetOptions,
  ): Promise<boolean> {
    return entries.compareAndSwap(this.#session, key, oldValue, newValue, options);
  }

  /**
   * Adds to a counter, which begins at 0: what it stands at. None is lost, whatever tabs do at the same time.
   *
   * @example
   * ```js
   * const views = await store.increment('stats.page_views');
   * const left = await store.increment('inventory.item_123', -1);
   * ```
   */
  increment(
    key: string,
    delta: number | bigint = 1,
    options?: CallOptions & ExpiryOptions,
  ): Promise<number | bigint> {
    return entries.increment(this.#session, key, delta, options);
  }

  /**
   * Appends text to text, bytes to bytes, an element to a JSON array; creates what is not there. How many bytes the value has
   * then.
   */
  append(key: string, tail: KvValue, options?: CallOptions & ExpiryOptions): Promise<number> {
    return entries.append(this.#session, key, tail, options);
  }

  /** How many seconds the entry still has; `null`: it does not expire; `undefined`: it is not there. */
  ttl(key: string, options?: CallOptions): Promise<number | null | undefined> {
    return entries.ttl(this.#session, key, options);
  }

  /**
   * Gives an entry a new ttl, in seconds (`null`: never), or another expiry. Whether it was there, and of the version asked
   * for.
   */
  touch(
    key: string,
    expiry: number | null | (CallOptions & ExpiryOptions & Pick<ConditionOptions, 'ifVersion'>),
  ): Promise<boolean> {
    return entries.touch(this.#session, key, expiry);
  }

  /** Lets an entry live until it is deleted. Whether it was there, and of the version asked for. */
  persist(key: string, options?: CallOptions & Pick<ConditionOptions, 'ifVersion'>): Promise<boolean> {
    return entries.persist(this.#session, key, options);
  }

  /**
   * All of it, or nothing.
   *
   * @example
   * ```js
   * const from = await store.entry('account.a');
   * const { committed } = await store.transact(
   *   [{ key: 'account.a', ifVersion: from.version }],
   *   [{ set: 'account.a', value: from.value - 10 }, { set: 'transfer.1', value: 10 }],
   * );
   * ```
   */
  transact(checks: Check[], actions: Action[], options?: CallOptions): Promise<TransactionResult> {
    return many.transact(this.#session, checks, actions, options);
  }

  /** Removes expired entries of this namespace: how many. */
  async cleanupExpired(options?: CallOptions): Promise<number> {
    return this.#session.cleanupExpired(given(options, NAMES.call)?.signal);
  }

  /** Removes all entries of this namespace. */
  async clear(options?: CallOptions): Promise<void> {
    return this.#session.clear(given(options, NAMES.call)?.signal);
  }

  /** The namespaces that hold entries, of the whole database. */
  namespaces(options?: CallOptions): Listing<string> {
    return listings.namespaces(this.#session, options);
  }

  /** What the backend can do. */
  async capabilities(options?: CallOptions): Promise<Capabilities> {
    return this.#session.call(given(options, NAMES.call)?.signal, () => this.#session.handle.capabilities());
  }

  /**
   * Calls back after each change of a key that matches, made by this tab or by others. Entries that expire are not told of.
   * The function that it gives ends that.
   *
   * @example
   * ```js
   * const stop = store.subscribe('settings.**', ({ type, key, local }) => render(key));
   * ```
   */
  subscribe(pattern: string, callback: (change: Change) => void): () => void {
    this.#session.open();
    if (typeof callback !== 'function') throw invalid('callback: a function is expected');
    return this.#session.changes.listen(this.#session.namespace, wellFormed(pattern, 'pattern'), callback);
  }

  /** Lets go of the database or service, once what was begun is done. Calls after this are refused with code `closed`. */
  async close(): Promise<void> {
    this.#session.close();
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
