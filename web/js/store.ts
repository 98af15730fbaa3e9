import { Changes, type Change } from './changes.js';
import { KvError, asKvError, invalid } from './error.js';
import { Listing, type Page } from './listing.js';
import {
  type CallOptions,
  type ConditionOptions,
  type ExpiryOptions,
  type Metadata,
  NAMES,
  type SetOptions,
  abortable,
  given,
  metadataText,
  normal,
  seconds,
  throwIfAborted,
} from './options.js';
import { wellFormed } from './text.js';
import {
  type Encoded,
  type KvValue,
  type StoredValue,
  type ValueType,
  decode,
  deserializeValue,
  encode,
  serializeBlob,
  serializeValue,
} from './values.js';
import { type Handle, joinKey, load, openIndexedDb, openMemory, splitKey } from './wasm.js';

/** How to open a store. */
export interface OpenOptions {
  /** `indexeddb` (the default): in the browser, for all tabs of the site. `memory`: gone with the page. */
  backend?: 'indexeddb' | 'memory' | undefined;
  /** Stores with different namespaces do not see each other's entries. `default` if not given. */
  namespace?: string | undefined;
  /** The IndexedDB database; `dataknobs-kv` if not given. */
  name?: string | undefined;
  /**
   * IndexedDB: when a write is answered. `relaxed` (the default): when the operating system has it, so that it survives the
   * browser but not a power cut. `strict`: when it is on disk, which takes about twice as long for a single write.
   */
  durability?: 'relaxed' | 'strict' | undefined;
  /** IndexedDB: how many seconds opening the database, or a transaction, may take. 10 if not given. */
  timeout?: number | undefined;
  /** Remove expired entries in the background. They are absent in any case; this frees their space. */
  autoCleanup?: boolean | undefined;
  /** How often, in seconds; 60 if not given. */
  cleanupInterval?: number | undefined;
}

/** What is known of an entry besides its value. */
export interface Description {
  key: string;
  type: ValueType;
  /** Changes with every write; for `ifVersion`. Opaque: compare only for equality. */
  version: string;
  metadata: Metadata;
  contentType: string | undefined;
  createdAt: Date;
  updatedAt: Date;
  expiresAt: Date | undefined;
  /** With a sliding expiry: how far a read moves it, in milliseconds. */
  slidingMs: number | undefined;
  /** Of the stored value, in bytes. */
  size: number;
}

/** An entry with its value. */
export interface Entry<T = unknown> extends Description {
  value: T;
}

/** What became of a {@link KVStore.set}: with a condition that did not hold, what is there instead, if anything is. */
export type SetResult<T = unknown> =
  | { written: true; version: string }
  | { written: false; current: Entry<T> | undefined };

/** Options of a listing. */
export interface ListOptions extends CallOptions {
  /** Only entries whose metadata has these fields, equal as JSON. */
  metadata?: Metadata | undefined;
  /** How many to read at once; the store decides if not given. */
  pageSize?: number | undefined;
}

/** One step down the hierarchy of keys. */
export interface Child {
  /** Its name, unescaped. */
  segment: string;
  /** The key that it is, or would be. */
  key: string;
  /** Whether there is an entry of just that key. */
  isEntry: boolean;
  /** How many entries lie below it, where asked for. */
  below: number | undefined;
  hasChildren: boolean;
}

/** What the backend can do. What it cannot is refused with `unsupported`. */
export interface Capabilities {
  durable: boolean;
  shared: boolean;
  maxAtomic: number;
  maxValueBytes: number;
  maxMetadataBytes: number;
  sliding: boolean;
  cheapAmend: boolean;
  nativeExpiry: boolean;
  indexedScan: boolean;
}

/** For {@link KVStore.transact}: must hold, or nothing is applied. */
export type Check = { key: string; ifVersion: string } | { key: string; ifAbsent: true };

/** For {@link KVStore.transact}. */
export type Action =
  | ({ set: string; value: KvValue } & Omit<SetOptions, 'signal'>)
  | { delete: string };

/** What became of a transaction: versions by key, or what stood in the way, and nothing was applied. */
export type TransactionResult =
  | { committed: true; versions: Map<string, string> }
  | { committed: false; key: string; current: Description | undefined };

interface RawEntry extends Encoded {
  key: string;
  version: string;
  metadata: string | undefined;
  createdAt: number;
  updatedAt: number;
  expiresAt: number | undefined;
  slidingMs: number | undefined;
  size: number;
}

const PAGE = 1000;
const CLEANUP_PART = 1000;

/** What `open` gives to the constructor, and nobody else can. */
class Opened {
  constructor(
    readonly handle: Handle,
    readonly changes: Changes,
    readonly namespace: string,
    readonly cleanup: number | undefined,
  ) {}
}

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
  readonly #handle: Handle;
  readonly #changes: Changes;
  readonly #namespace: string;
  #closed = false;
  #cleanup: ReturnType<typeof setInterval> | undefined;

  /** Stores are made by {@link KVStore.open}: a subclass that has a constructor passes on what that gets. */
  protected constructor(opened: unknown) {
    if (!(opened instanceof Opened)) throw invalid('a store is opened by `await KVStore.open()`');
    const { handle, changes, namespace, cleanup } = opened;
    this.#handle = handle;
    this.#changes = changes;
    this.#namespace = namespace;
    if (cleanup !== undefined) {
      this.#cleanup = setInterval(() => void this.#cleanUp(), cleanup);
      // In Node it alone does not keep a program running.
      (this.#cleanup as { unref?: () => void }).unref?.();
    }
  }

  /**
   * Opens a store.
   *
   * @example
   * ```js
   * const store = await KVStore.open({ namespace: 'user_data' }); // IndexedDB
   * const cache = await KVStore.open({ backend: 'memory', autoCleanup: true, cleanupInterval: 60 });
   * ```
   */
  static async open<T extends KVStore>(
    this: { readonly prototype: T },
    options: OpenOptions = {},
  ): Promise<T> {
    const names = ['backend', 'namespace', 'name', 'durability', 'timeout', 'autoCleanup', 'cleanupInterval'];
    given(options, names);
    const { backend = 'indexeddb', name = 'dataknobs-kv', durability = 'relaxed', timeout = 10 } = options;
    const { autoCleanup = false, cleanupInterval = 60 } = options;
    const namespace = wellFormed(options.namespace ?? 'default', 'namespace');
    const cleanup = autoCleanup ? Math.min(seconds(cleanupInterval, 'cleanupInterval'), 2 ** 31 - 1) : undefined;
    const timeoutMs = Math.min(seconds(timeout, 'timeout'), 2 ** 31 - 1);
    await load();
    let handle: Handle;
    let changes: Changes;
    switch (backend) {
      case 'indexeddb':
        changes = new Changes(wellFormed(name, 'name'));
        try {
          handle = (await openIndexedDb(name, durability, timeoutMs, changes.announce)) as Handle;
        } catch (error) {
          changes.close();
          throw asKvError(error);
        }
        break;
      case 'memory':
        changes = new Changes();
        handle = openMemory(changes.announce);
        break;
      default:
        throw invalid(`backend: there is no ${JSON.stringify(backend)}; there are indexeddb and memory`);
    }
    const Class = this as unknown as new (opened: Opened) => T;
    return new Class(new Opened(handle, changes, namespace, cleanup));
  }

  /** A key of these parts: dots and backslashes in them are escaped. */
  static key(...segments: string[]): string {
    return joinKey(segments.map((segment) => wellFormed(segment, 'segment'))) as string;
  }

  /** The parts of a key, unescaped. */
  static segments(key: string): string[] {
    return splitKey(wellFormed(key, 'key')) as string[];
  }

  /** The namespace of this store. */
  get namespace(): string {
    return this.#namespace;
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
  async set(key: string, value: KvValue | object, options?: SetOptions): Promise<SetResult> {
    const wanted = normal(given(options, NAMES.set));
    const encoded = this.#encode(value);
    const ready = encoded instanceof Promise ? await encoded : encoded;
    return this.#set(key, ready, wanted, options?.signal);
  }

  async #set(
    key: string,
    encoded: Encoded,
    wanted: ReturnType<typeof normal>,
    signal: AbortSignal | undefined,
  ): Promise<SetResult> {
    const options =
      encoded.contentType === undefined || wanted?.contentType !== undefined
        ? wanted
        : { ...(wanted ?? NOTHING), contentType: encoded.contentType };
    const result = await this.#call<string | [RawEntry?]>(signal, () =>
      this.#handle.set(this.#namespace, wellFormed(key, 'key'), encoded, options),
    );
    if (typeof result === 'string') return { written: true, version: result };
    return { written: false, current: result[0] === undefined ? undefined : this.#entry(result[0]) };
  }

  /**
   * The value, or `undefined`.
   *
   * Integers come as numbers where a number holds them exactly, else as bigints.
   */
  async get<T = unknown>(key: string, options?: CallOptions): Promise<T | undefined> {
    const signal = given(options, NAMES.call)?.signal;
    const found = await this.#call<Encoded | undefined>(signal, () =>
      this.#handle.get(this.#namespace, wellFormed(key, 'key')),
    );
    return found === undefined ? undefined : (this.#decode(found) as T);
  }

  /** The entry with its value, version, metadata and times, or `undefined`. */
  async entry<T = unknown>(key: string, options?: CallOptions): Promise<Entry<T> | undefined> {
    const signal = given(options, NAMES.call)?.signal;
    const found = await this.#call<RawEntry | undefined>(signal, () =>
      this.#handle.entry(this.#namespace, wellFormed(key, 'key'), true),
    );
    return found === undefined ? undefined : this.#entry<T>(found);
  }

  /** The entry without its value. Never starts a sliding expiry anew. */
  async describe(key: string, options?: CallOptions): Promise<Description | undefined> {
    const signal = given(options, NAMES.call)?.signal;
    const found = await this.#call<RawEntry | undefined>(signal, () =>
      this.#handle.entry(this.#namespace, wellFormed(key, 'key'), false),
    );
    return found === undefined ? undefined : describe(found);
  }

  /** Whether there is an entry that has not expired. */
  async exists(key: string, options?: CallOptions): Promise<boolean> {
    return (await this.describe(key, options)) !== undefined;
  }

  /** Removes an entry: whether it was there, and with `ifVersion` whether it had that version. */
  async delete(key: string, options?: CallOptions & Pick<ConditionOptions, 'ifVersion'>): Promise<boolean> {
    const { signal, ifVersion } = given(options, NAMES.condition) ?? {};
    const result = await this.#call<boolean | [RawEntry?]>(signal, () =>
      this.#handle.delete(this.#namespace, wellFormed(key, 'key'), ifVersion),
    );
    return result === true;
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
    const { signal, metadata, pageSize } = listOptions(options);
    return this.#listing<string>(
      signal,
      async (cursor) => {
        const [text, next] = await this.#call<[string, string | undefined]>(signal, () =>
          this.#handle.keys(this.#namespace, wellFormed(pattern, 'pattern'), metadata, cursor, pageSize ?? 10_000),
        );
        return [text === '' ? [] : text.split('\n'), next];
      },
      (keys) => keys,
    );
  }

  /** The entries that match, in order, with values: `await` gives an array, `for await` one after the other. */
  entries<T = unknown>(pattern = '**', options?: ListOptions): Listing<Entry<T>> {
    return this.#entries(pattern, options, true, (raw) => this.#entry<T>(raw), (all) => all);
  }

  /** As {@link entries}, without values: cheaper where these are large. */
  descriptions(pattern = '**', options?: ListOptions): Listing<Description> {
    return this.#entries(pattern, options, false, describe, (all) => all);
  }

  /** The values of all keys that match, by key: `await` gives a `Map`, `for await` pairs of key and value. */
  getPattern<T = unknown>(pattern: string, options?: ListOptions): Listing<[string, T], Map<string, T>> {
    const pair = (raw: RawEntry): [string, T] => [raw.key, this.#decode(raw) as T];
    return this.#entries(pattern, options, true, pair, (all) => new Map(all));
  }

  /** How many entries match. */
  async count(pattern = '**', options?: ListOptions): Promise<number> {
    const { signal, metadata } = listOptions(options);
    return this.#sum(signal, (cursor) =>
      this.#handle.count(this.#namespace, wellFormed(pattern, 'pattern'), metadata, cursor, 10_000),
    );
  }

  /** Removes what matches: how many. */
  async deletePattern(pattern: string, options?: ListOptions): Promise<number> {
    const { signal, metadata } = listOptions(options);
    return this.#sum(signal, (cursor) =>
      this.#handle.deletePattern(this.#namespace, wellFormed(pattern, 'pattern'), metadata, cursor, PAGE),
    );
  }

  /** The next level below a key, or the top. */
  children(prefix?: string, options?: CallOptions & { counts?: boolean | undefined }): Listing<Child> {
    const { signal, counts = false } = given(options, ['signal', 'counts']) ?? {};
    const under = prefix === undefined ? undefined : wellFormed(prefix, 'prefix');
    return this.#listing<Child>(
      signal,
      async (cursor) => {
        const [children, next] = await this.#call<
          [[string, string, boolean, number | undefined, boolean][], string | undefined]
        >(signal, () => this.#handle.children(this.#namespace, under, counts, cursor, PAGE));
        return [
          children.map(([segment, key, isEntry, below, hasChildren]) => ({ segment, key, isEntry, below, hasChildren })),
          next,
        ];
      },
      (all) => all,
    );
  }

  /** Sets many at once: their versions by key. Some may fail while others are written: the error's `failures` tells which. */
  async setMany(
    entries: Iterable<readonly [string, KvValue | object]> | Record<string, KvValue | object>,
    options?: Omit<SetOptions, 'ifVersion' | 'ifAbsent'>,
  ): Promise<Map<string, string>> {
    const names = NAMES.set.filter((name) => name !== 'ifVersion' && name !== 'ifAbsent');
    const wanted = normal(given(options, names));
    const signal = options?.signal;
    const pairs =
      Symbol.iterator in entries ? [...entries] : Object.entries(entries as Record<string, KvValue | object>);
    const keys = pairs.map(([key]) => wellFormed(key, 'key'));
    if (new Set(keys).size < keys.length) throw invalid('keys: one comes twice');
    const values = await this.#encodeAll(pairs.map(([, value]) => value));
    const results = await this.#call<(string | unknown[] | KvError)[]>(signal, () =>
      this.#handle.setMany(this.#namespace, keys, values, wanted),
    );
    const versions = new Map<string, string>();
    this.#eachOf(keys, results, (key, version) => versions.set(key, version as string));
    return versions;
  }

  /** The values of those of the keys that are there, by key. */
  async getMany<T = unknown>(keys: Iterable<string>, options?: CallOptions): Promise<Map<string, T>> {
    const signal = given(options, NAMES.call)?.signal;
    const names = [...new Set(keys)].map((key) => wellFormed(key, 'key'));
    const results = await this.#call<(Encoded | undefined | KvError)[]>(signal, () =>
      this.#handle.getMany(this.#namespace, names),
    );
    const values = new Map<string, T>();
    this.#eachOf(names, results, (key, found) => {
      if (found !== undefined) values.set(key, this.#decode(found as Encoded) as T);
    });
    return values;
  }

  /** Removes many at once: how many were there. */
  async deleteMany(keys: Iterable<string>, options?: CallOptions): Promise<number> {
    const signal = given(options, NAMES.call)?.signal;
    const names = [...new Set(keys)].map((key) => wellFormed(key, 'key'));
    const results = await this.#call<(boolean | KvError)[]>(signal, () =>
      this.#handle.deleteMany(this.#namespace, names),
    );
    let deleted = 0;
    this.#eachOf(names, results, (_, was) => {
      if (was === true) deleted += 1;
    });
    return deleted;
  }

  /** The metadata that was set, or `undefined` where there is no entry. {@link describe} has the rest: version, times, size. */
  async getMetadata(key: string, options?: CallOptions): Promise<Metadata | undefined> {
    return (await this.describe(key, options))?.metadata;
  }

  /**
   * Merges fields into an entry's metadata; `null` removes one. Whether it was done: there may be no such entry, or not of the
   * version asked for. With `replace` these are all the metadata then.
   */
  async setMetadata(
    key: string,
    metadata: Metadata,
    options?: CallOptions & Pick<ConditionOptions, 'ifVersion'> & { replace?: boolean | undefined },
  ): Promise<boolean> {
    const { signal, ifVersion, replace = false } = given(options, [...NAMES.condition, 'replace']) ?? {};
    const result = await this.#call<string | undefined | unknown[]>(signal, () =>
      this.#handle.setMetadata(this.#namespace, wellFormed(key, 'key'), metadataText(metadata), replace, ifVersion),
    );
    return typeof result === 'string';
  }

  /**
   * Swaps the value if the present one is `oldValue`; `undefined` means that there is none. Whether it was swapped. Of any
   * number of tabs that try from the same value one succeeds.
   */
  async compareAndSwap(
    key: string,
    oldValue: KvValue | object | undefined,
    newValue: KvValue | object,
    options?: SetOptions,
  ): Promise<boolean> {
    const wanted = normal(given(options, NAMES.set));
    let old = oldValue === undefined ? undefined : this.#encode(oldValue);
    let next = this.#encode(newValue);
    if (old instanceof Promise) old = await old;
    if (next instanceof Promise) next = await next;
    const [before, after] = [old, next];
    const result = await this.#call<string | unknown[]>(options?.signal, () =>
      this.#handle.compareAndSwap(this.#namespace, wellFormed(key, 'key'), before, after, wanted),
    );
    return typeof result === 'string';
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
  async increment(
    key: string,
    delta: number | bigint = 1,
    options?: CallOptions & ExpiryOptions,
  ): Promise<number | bigint> {
    const wanted = normal(given(options, NAMES.expiry));
    if (typeof delta !== 'number' && typeof delta !== 'bigint') throw invalid('delta: a number or a bigint is expected');
    const encoded = encode(serializeValue(delta));
    return this.#call<number | bigint>(options?.signal, () =>
      this.#handle.increment(this.#namespace, wellFormed(key, 'key'), encoded, wanted),
    );
  }

  /**
   * Appends text to text, bytes to bytes, an element to a JSON array; creates what is not there. How many bytes the value has
   * then.
   */
  async append(key: string, tail: KvValue, options?: CallOptions & ExpiryOptions): Promise<number> {
    const wanted = normal(given(options, NAMES.expiry));
    const encoded = this.#encode(tail);
    // Not to be awaited without need: calls of one tick keep their order.
    const ready = encoded instanceof Promise ? await encoded : encoded;
    return this.#call<number>(options?.signal, () =>
      this.#handle.append(this.#namespace, wellFormed(key, 'key'), ready, wanted),
    );
  }

  /** How many seconds the entry still has; `null`: it does not expire; `undefined`: it is not there. */
  async ttl(key: string, options?: CallOptions): Promise<number | null | undefined> {
    const found = await this.describe(key, options);
    if (found === undefined) return undefined;
    if (found.expiresAt === undefined) return null;
    const left = found.expiresAt.getTime() - Date.now();
    return left > 0 ? left / 1000 : undefined;
  }

  /** Gives an entry a new ttl, in seconds, or another expiry. Whether it was there, and of the version asked for. */
  async touch(
    key: string,
    expiry: number | (CallOptions & ExpiryOptions & Pick<ConditionOptions, 'ifVersion'>),
  ): Promise<boolean> {
    const options = typeof expiry === 'number' ? { ttl: expiry } : given(expiry, NAMES.expiryUnderCondition);
    const wanted = normal(options);
    if (wanted?.expiry === undefined) throw invalid('touch: a ttl or another expiry is expected');
    return this.#expire(key, wanted, options?.signal);
  }

  /** Lets an entry live until it is deleted. Whether it was there, and of the version asked for. */
  async persist(key: string, options?: CallOptions & Pick<ConditionOptions, 'ifVersion'>): Promise<boolean> {
    const wanted = normal(given(options, NAMES.condition)) ?? NOTHING;
    return this.#expire(key, { ...wanted, expiry: 2 }, options?.signal);
  }

  async #expire(key: string, wanted: NonNullable<ReturnType<typeof normal>>, signal: AbortSignal | undefined) {
    const result = await this.#call<string | undefined | unknown[]>(signal, () =>
      this.#handle.setExpiry(this.#namespace, wellFormed(key, 'key'), wanted),
    );
    return typeof result === 'string';
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
  async transact(checks: Check[], actions: Action[], options?: CallOptions): Promise<TransactionResult> {
    const signal = given(options, NAMES.call)?.signal;
    const demanded = checks.map((check) => [
      wellFormed(check.key, 'key'),
      'ifVersion' in check ? wellFormed(check.ifVersion, 'ifVersion') : undefined,
    ]);
    const keys: string[] = [];
    const parts = await Promise.all(
      actions.map(async (action) => {
        if ('delete' in action) {
          keys.push(wellFormed(action.delete, 'key'));
          return [action.delete, undefined, undefined];
        }
        const { set: key, value, ...rest } = action;
        keys.push(wellFormed(key, 'key'));
        return [key, await this.#encode(value), normal(given(rest as SetOptions, NAMES.set))];
      }),
    );
    const result = await this.#call<(string | undefined)[] | { key: string; current: RawEntry | undefined }>(
      signal,
      () => this.#handle.transact(this.#namespace, demanded, parts),
    );
    if (!Array.isArray(result)) {
      const { key, current } = result;
      return { committed: false, key, current: current === undefined ? undefined : describe(current) };
    }
    const versions = new Map<string, string>();
    keys.forEach((key, at) => {
      const version = result[at];
      if (version !== undefined) versions.set(key, version);
    });
    return { committed: true, versions };
  }

  /** Removes expired entries of this namespace: how many. */
  async cleanupExpired(options?: CallOptions): Promise<number> {
    const signal = given(options, NAMES.call)?.signal;
    let removed = 0;
    for (;;) {
      const [count, more] = await this.#call<[number, boolean]>(signal, () =>
        this.#handle.cleanupExpired(this.#namespace, CLEANUP_PART),
      );
      removed += count;
      if (!more) return removed;
    }
  }

  /** Removes all entries of this namespace. */
  async clear(options?: CallOptions): Promise<void> {
    const signal = given(options, NAMES.call)?.signal;
    while (await this.#call<boolean>(signal, () => this.#handle.clear(this.#namespace, 10_000)));
  }

  /** The namespaces that hold entries, of the whole database. */
  namespaces(options?: CallOptions): Listing<string> {
    const signal = given(options, NAMES.call)?.signal;
    return this.#listing<string>(
      signal,
      (cursor) => this.#call<Page<string>>(signal, () => this.#handle.namespaces(cursor, PAGE)),
      (all) => all,
    );
  }

  /** What the backend can do. */
  capabilities(options?: CallOptions): Promise<Capabilities> {
    return this.#call<Capabilities>(given(options, NAMES.call)?.signal, () => this.#handle.capabilities());
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
    this.#open();
    if (typeof callback !== 'function') throw invalid('callback: a function is expected');
    return this.#changes.listen(this.#namespace, wellFormed(pattern, 'pattern'), callback);
  }

  /** Lets go of the database, once what was begun is done. Calls after this are refused with code `closed`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#cleanup);
    this.#changes.close();
    this.#handle.close();
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): void {
    if (this.#closed) throw new KvError('closed', 'the store is closed');
  }

  async #call<T>(signal: AbortSignal | undefined, call: () => Promise<unknown>): Promise<T> {
    this.#open();
    throwIfAborted(signal);
    try {
      return (await abortable(call(), signal)) as T;
    } catch (error) {
      throw asKvError(error);
    }
  }

  #encode(value: unknown): Encoded | Promise<Encoded> {
    const stored = this.serialize(value);
    return stored instanceof Promise ? stored.then(encode) : encode(stored);
  }

  async #encodeAll(values: unknown[]): Promise<Encoded[]> {
    const encoded = values.map((value) => this.#encode(value));
    return encoded.some((one) => one instanceof Promise) ? Promise.all(encoded) : (encoded as Encoded[]);
  }

  #decode(found: Encoded): unknown {
    return this.deserialize(decode(found));
  }

  #entry<T>(raw: RawEntry): Entry<T> {
    return { ...describe(raw), value: this.#decode(raw) as T };
  }

  #listing<T, All = T[]>(
    signal: AbortSignal | undefined,
    pages: (cursor: string | undefined) => Promise<Page<T>>,
    gather: (items: T[]) => All,
  ): Listing<T, All> {
    return new Listing(pages, gather, signal);
  }

  #entries<T, All>(
    pattern: string,
    options: ListOptions | undefined,
    withValues: boolean,
    make: (raw: RawEntry) => T,
    gather: (items: T[]) => All,
  ): Listing<T, All> {
    const { signal, metadata, pageSize = PAGE } = listOptions(options);
    const text = wellFormed(pattern, 'pattern');
    return this.#listing<T, All>(
      signal,
      async (cursor) => {
        const [raw, next] = await this.#call<Page<RawEntry>>(signal, () =>
          this.#handle.entries(this.#namespace, text, metadata, cursor, pageSize, withValues),
        );
        return [raw.map(make), next];
      },
      gather,
    );
  }

  async #sum(signal: AbortSignal | undefined, part: (cursor: string | undefined) => Promise<unknown>): Promise<number> {
    let sum = 0;
    let cursor: string | undefined;
    do {
      const [count, next] = await this.#call<[number, string | undefined]>(signal, () => part(cursor));
      sum += count;
      cursor = next;
    } while (cursor !== undefined);
    return sum;
  }

  /** Looks at the results of many: throws one error for all that failed. */
  #eachOf<T>(keys: string[], results: (T | KvError)[], good: (key: string, result: T) => void): void {
    const failures = new Map<string, KvError>();
    keys.forEach((key, at) => {
      const result = results[at] as T | KvError;
      if (result instanceof KvError) failures.set(key, result);
      else good(key, result);
    });
    const [first] = failures.values();
    if (first === undefined) return;
    const message = failures.size === 1 ? first.message : `${failures.size} of ${keys.length} failed, first: ${first.message}`;
    throw new KvError(first.code, message, { ...first, failures });
  }

  async #cleanUp(): Promise<void> {
    try {
      // One part at a time: what is left has the next round.
      if (!this.#closed) await this.#handle.cleanupExpired(undefined, CLEANUP_PART);
    } catch {
      // The next round tries again.
    }
  }
}

const NOTHING = {
  expiry: undefined,
  ms: undefined,
  contentType: undefined,
  metadata: undefined,
  ifVersion: undefined,
  ifAbsent: undefined,
};

function listOptions(options: ListOptions | undefined) {
  const { signal, metadata, pageSize } = given(options, NAMES.list) ?? {};
  if (pageSize !== undefined && !(Number.isInteger(pageSize) && pageSize >= 1 && pageSize <= 10_000)) {
    throw invalid('pageSize: a whole number from 1 to 10,000 is expected');
  }
  return { signal, metadata: metadata === undefined ? undefined : metadataText(metadata), pageSize };
}

function describe(raw: RawEntry): Description {
  const date = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms));
  return {
    key: raw.key,
    type: decode(raw).type,
    version: raw.version,
    metadata: raw.metadata === undefined ? {} : (JSON.parse(raw.metadata) as Metadata),
    contentType: raw.contentType,
    createdAt: new Date(raw.createdAt),
    updatedAt: new Date(raw.updatedAt),
    expiresAt: date(raw.expiresAt),
    slidingMs: raw.slidingMs,
    size: raw.size,
  };
}
