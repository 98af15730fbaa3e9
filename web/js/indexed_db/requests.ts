// What IndexedDB is asked for. No rule of the store is here: `batch.ts` and `scan.ts` decide.
import { ENTRIES, EXPIRY, VALUES, failure } from './database.js';
import { type Watched, abort, unwatch, watch } from './deadline.js';
import { createdAtOf, living } from './item.js';
import { type Entry, found, fromOrdered, isApart, toOptional, toOrdered } from './record.js';
import type { Fits, Keys, Name, Range, Read, Transaction } from './transaction.js';

/** Both in the order of the store, with a tab between, which neither can hold. An array of the two costs twice as much to read. */
type Key = string;

const TAB = '\t';
/** What follows a tab. */
const BEHIND_TAB = '\n';

/** More expired entries than this, and a listing of keys looks at each entry's own expiry. */
const MANY = 1000;

const keyOf = ({ namespace, key }: Name): Key => toOrdered(namespace) + TAB + toOrdered(key);

/** All keys of the namespace that lie in the range; undefined where there can be none. */
function rangeOf(namespace: string, range?: Range): IDBKeyRange | undefined {
  const space = toOrdered(namespace);
  const [from, to, after] = [toOptional(range?.from), toOptional(range?.to), toOptional(range?.after)];
  const behind = after !== undefined && (from === undefined || after >= from);
  const lower = space + TAB + (behind ? after : (from ?? ''));
  const upper = to === undefined ? space + BEHIND_TAB : space + TAB + to;
  return lower < upper ? IDBKeyRange.bound(lower, upper, behind, true) : undefined;
}

const result = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const all = (store: IDBObjectStore | IDBIndex, range: IDBKeyRange | undefined, count: number): Promise<Key[]> =>
  result(store.getAllKeys(range, count)) as Promise<Key[]>;

/** What this tab has last seen of some entries: when they were created, and whether their values lie apart. Guesses. */
const seen = new Map<Key, { createdAt: number; apart: boolean }>();
const SEEN = 1000;

function remember(key: Key, createdAt: number, apart: boolean): void {
  if (seen.size >= SEEN) seen.clear();
  seen.set(key, { createdAt, apart });
}

/** So many keys of one namespace are looked for in their range, where that does not hold many others. */
const MANY_KEYS = 24;
const PART = 1000;
/** The most keys that one request asks for: where few of them fit, some more than are wanted. */
const MOST = 30_000;

/** Of later versions of the standard. */
interface Records {
  getAllRecords?(options: { query: IDBKeyRange; count: number }): IDBRequest<{ key: Key; value: unknown }[]>;
}

/**
 * Reads one key by a transaction of its own, over no more than it needs. False where nothing is asked: the value is likely to lie
 * apart. `failed` also where it turns out to.
 */
export function readOne(
  database: IDBDatabase,
  timeout: number,
  name: Name,
  values: boolean,
  done: (read: Read) => void,
  failed: () => void,
): boolean {
  const key = keyOf(name);
  if (values && seen.get(key)?.apart === true) return false;
  const transaction = database.transaction(ENTRIES, 'readonly');
  const watched = watch(transaction, timeout);
  const request = transaction.objectStore(ENTRIES).get(key);
  request.onsuccess = () => {
    unwatch(watched);
    const record = request.result as Entry | undefined;
    if (values && record?.apart === true) failed();
    else done({ record });
  };
  request.onerror = failed;
  return true;
}

export class Requests implements Transaction {
  readonly done: Promise<unknown> | undefined;
  readonly #transaction: IDBTransaction;
  readonly #entries: IDBObjectStore;
  readonly #watched: Watched;
  #apart: IDBObjectStore | undefined;

  /** `durability` is for one that writes. */
  constructor(database: IDBDatabase, writing: boolean, durability: IDBTransactionDurability, timeout: number) {
    const stores = [ENTRIES, VALUES];
    const transaction = writing
      ? database.transaction(stores, 'readwrite', { durability })
      : database.transaction(stores, 'readonly');
    this.#transaction = transaction;
    this.#entries = transaction.objectStore(ENTRIES);
    this.#watched = watch(transaction, timeout);
    if (!writing) return;
    this.done = new Promise((resolve) => {
      transaction.oncomplete = () => {
        unwatch(this.#watched);
        resolve(undefined);
      };
      transaction.onabort = () => {
        unwatch(this.#watched);
        resolve(transaction.error ?? failure('AbortError', 'the browser gave the transaction up'));
      };
    });
  }

  /** Where values lie apart. Asked for when it is needed, which is seldom: each of these objects is a tenth of a read. */
  get #values(): IDBObjectStore {
    return (this.#apart ??= this.#transaction.objectStore(VALUES));
  }

  read(names: Name[], values: boolean): Promise<Read[]> {
    const { namespace } = names[0] ?? {};
    if (names.length >= MANY_KEYS && names.every((name) => name.namespace === namespace)) {
      return this.#readMany(names.map(keyOf));
    }
    return this.#readEach(names.map(keyOf), values);
  }

  #readOne(key: Key, values: boolean, done: (read: Read) => void, failed: (error: unknown) => void): void {
    const request = this.#entries.get(key);
    request.onerror = () => failed(request.error);
    if (!values) {
      request.onsuccess = () => done({ record: request.result });
      return;
    }
    const load = (): IDBRequest => {
      const second = this.#values.get(key);
      second.onerror = () => failed(second.error);
      return second;
    };
    // Asked for along with the record where it is likely to be there.
    const early = seen.get(key)?.apart === true ? load() : undefined;
    request.onsuccess = () => {
      const record = request.result as Entry | undefined;
      if (record?.apart !== true) {
        done({ record });
        return;
      }
      remember(key, record.createdAt, true);
      const second = early ?? load();
      const loaded = (): void => done({ record, apart: second.result });
      if (second.readyState === 'done') loaded();
      else second.onsuccess = loaded;
    };
  }

  #readEach(keys: Key[], values: boolean): Promise<Read[]> {
    return new Promise((resolve, reject) => {
      const reads = new Array<Read>(keys.length);
      let left = keys.length;
      keys.forEach((key, at) => {
        const done = (read: Read): void => {
          reads[at] = read;
          left -= 1;
          if (left > 0) return;
          // What only reads need not be watched any longer.
          if (this.done === undefined) unwatch(this.#watched);
          resolve(reads);
        };
        this.#readOne(key, values, done, reject);
      });
      if (left === 0) resolve(reads);
    });
  }

  /** Many of one namespace: by one request for their keys, and then by as few as their range allows. */
  async #readMany(keys: Key[]): Promise<Read[]> {
    const places = new Map<Key, number>();
    keys.forEach((key, at) => places.set(key, at));
    const wanted = [...keys].sort();
    const limit = keys.length * 2;
    const there = await all(this.#entries, IDBKeyRange.bound(wanted[0], wanted.at(-1)), limit);
    const reads: Read[] = keys.map(() => ({ record: undefined }));
    const put = (key: Key | undefined, read: Read): void => {
      const place = key === undefined ? undefined : places.get(key);
      if (place !== undefined) reads[place] = read;
    };
    const close = there.length < limit;
    const known = close ? there.filter((key) => places.has(key)) : wanted;
    // Too few to be worth reading what lies between them.
    if (!close || known.length * 2 < there.length) {
      (await this.#readEach(known, false)).forEach((read, at) => put(known[at], read));
      return reads;
    }
    for (let at = 0; at < there.length; at += PART) {
      const last = Math.min(at + PART, there.length) - 1;
      const part: unknown[] = await result(this.#entries.getAll(IDBKeyRange.bound(there[at], there[last])));
      part.forEach((record, offset) => put(there[at + offset], { record }));
    }
    return reads;
  }

  readApart(names: Name[]): Promise<unknown[]> {
    return Promise.all(names.map((name) => result(this.#values.get(keyOf(name)))));
  }

  /**
   * Without a step between: it is written as if what is there were what was seen last, or nothing, and again where that was
   * wrong.
   */
  replace(name: Name, entry: Entry, apart: unknown, now: number): Promise<unknown> {
    const key = keyOf(name);
    const fresh = entry.createdAt;
    entry.createdAt = seen.get(key)?.createdAt ?? fresh;
    const before = this.#entries.get(key);
    this.#entries.put(entry, key);
    if (apart !== undefined) this.#values.put(apart, key);
    before.onsuccess = () => {
      const there = found(before.result);
      const createdAt = createdAtOf(living(there, now)) ?? fresh;
      if (entry.createdAt !== createdAt) {
        entry.createdAt = createdAt;
        this.#entries.put(entry, key);
      }
      if (apart === undefined && isApart(there)) this.#values.delete(key);
      remember(key, createdAt, apart !== undefined);
      this.commit();
    };
    return this.done as Promise<unknown>;
  }

  put(name: Name, entry: Entry, apart: unknown, wasApart: boolean): void {
    const key = keyOf(name);
    if (apart !== undefined) this.#values.put(apart, key);
    else if (wasApart) this.#values.delete(key);
    this.#entries.put(entry, key);
  }

  amend(name: Name, entry: Entry): void {
    this.#entries.put(entry, keyOf(name));
  }

  remove(name: Name, wasApart: boolean): void {
    const key = keyOf(name);
    this.#entries.delete(key);
    if (wasApart) this.#values.delete(key);
  }

  commit(): void {
    // Some browsers have none, and end a transaction by themselves.
    (this.#transaction as { commit?(): void }).commit?.();
  }

  abort(): void {
    abort(this.#transaction);
  }

  async keys(
    namespace: string,
    within: Range,
    limit: number,
    most: number,
    now: number,
    fits: Fits | undefined,
  ): Promise<Keys | undefined> {
    const range = rangeOf(namespace, within);
    const keys: string[] = [];
    if (range === undefined) return { keys, more: false, last: undefined };
    const part = Math.min(most, fits === undefined ? limit : Math.max(limit * 3, PART), MOST);
    let asked = all(this.#entries, range, part);
    const due = await all(this.#entries.index(EXPIRY), dueAt(now), MANY);
    // Too many to be taken out one by one.
    if (due.length >= MANY) return undefined;
    const gone = new Set(due);
    const skip = toOrdered(namespace).length + 1;
    let looked = 0;
    let last: Key | undefined;
    for (;;) {
      const names = await asked;
      looked += names.length;
      last = names.at(-1) ?? last;
      const ended = names.length < part;
      // Asked for before these are looked at, unless they may well be enough.
      const next = () => all(this.#entries, IDBKeyRange.bound(last, range.upper, true, true), part);
      const ahead = !ended && looked < most && keys.length + part / 2 < limit;
      if (ahead) asked = next();
      for (const name of names) {
        if (gone.size > 0 && gone.has(name)) continue;
        if (fits === undefined || fits(name, skip)) keys.push(name.slice(skip));
      }
      if (ended || keys.length >= limit || looked >= most) {
        // What was asked for ahead is not wanted any longer, and does no harm.
        if (ahead) asked.catch(() => undefined);
        return { keys, more: !ended, last: last?.slice(skip) };
      }
      if (!ahead) asked = next();
    }
  }

  async records(namespace: string, within: Range, count: number): Promise<[string[], unknown[]]> {
    const range = rangeOf(namespace, within);
    if (range === undefined) return [[], []];
    const store = this.#entries as IDBObjectStore & Records;
    const skip = toOrdered(namespace).length + 1;
    const text = (key: Key): string => fromOrdered(key.slice(skip));
    if (store.getAllRecords !== undefined) {
      const pairs = await result(store.getAllRecords({ query: range, count }));
      return [pairs.map(({ key }) => text(key)), pairs.map(({ value }) => value)];
    }
    const [keys, records] = await Promise.all([all(store, range, count), result<unknown[]>(store.getAll(range, count))]);
    return [keys.map(text), records];
  }

  async count(namespace: string, within: Range, now: number): Promise<number | undefined> {
    const range = rangeOf(namespace, within);
    if (range === undefined) return 0;
    const [count, due] = await Promise.all([
      result(this.#entries.count(range)),
      all(this.#entries.index(EXPIRY), dueAt(now), MANY),
    ]);
    return due.length >= MANY ? undefined : count - due.filter((key) => range.includes(key)).length;
  }

  async reclaim(namespace: string | undefined, now: number, limit: number) {
    const index = this.#entries.index(EXPIRY);
    const keys =
      namespace === undefined
        ? await all(index, dueAt(now), limit + 1)
        : await dueOf(index, toOrdered(namespace), now, limit + 1);
    const more = keys.length > limit;
    if (more) keys.pop();
    for (const key of keys) {
      this.#entries.delete(key);
      this.#values.delete(key);
    }
    return { removed: keys.length, more };
  }

  async clear(namespace: string, limit: number): Promise<boolean> {
    const whole = rangeOf(namespace);
    const keys = await all(this.#entries, whole, limit + 1);
    if (whole === undefined || keys.length === 0) return false;
    const more = keys.length > limit;
    const range = more ? IDBKeyRange.bound(keys[0], keys[limit], false, true) : whole;
    this.#entries.delete(range);
    this.#values.delete(range);
    return more;
  }

  /** By one step for each. */
  async namespaces(after: string | undefined, limit: number) {
    const names: string[] = [];
    let behind = after === undefined ? undefined : toOrdered(after);
    for (;;) {
      const range = behind === undefined ? undefined : IDBKeyRange.lowerBound(behind + BEHIND_TAB);
      const [key] = await all(this.#entries, range, 1);
      if (key === undefined || names.length === limit) return { names, more: key !== undefined };
      behind = key.slice(0, key.indexOf(TAB));
      names.push(fromOrdered(behind));
    }
  }
}

/** What has expired at `now`, of all namespaces: an array comes after every namespace. */
const dueAt = (now: number): IDBKeyRange => IDBKeyRange.bound([0], [now, []]);

/** Of one namespace: the index is ordered by time, so others are jumped over. */
const dueOf = (index: IDBIndex, space: string, now: number, limit: number): Promise<Key[]> =>
  new Promise((resolve, reject) => {
    const keys: Key[] = [];
    const request = index.openKeyCursor(dueAt(now));
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor === null || keys.length === limit) {
        resolve(keys);
        return;
      }
      const [at, of] = cursor.key as [number, string];
      if (of === space) {
        keys.push(cursor.primaryKey as Key);
        cursor.continue();
      } else {
        cursor.continue([at, of < space ? space : []]);
      }
    };
  });
