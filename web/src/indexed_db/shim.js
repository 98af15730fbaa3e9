// What IndexedDB is asked for, in as few crossings between WebAssembly and JavaScript as possible. No rule of the store is
// here: `write.rs` and `scan.rs` decide, this file asks.
//
// Two object stores, both with the key [namespace, key]:
//   entries  one record for each entry: value, type, version, times ...; its index `expiry` holds those that expire
//   values   values too large to be read along with their entry's other attributes

const ENTRIES = 'entries';
const VALUES = 'values';
const EXPIRY = 'expiry';

/** Of the form above. Others may come; between them there is room for what has to be tried. */
export const SCHEMA = 10;

/** More expired entries than this, and a listing of keys looks at each entry's own expiry. */
const MANY = 1000;

// IndexedDB orders text by UTF-16 code units, the store by UTF-8 bytes. They differ where surrogates meet what lies behind
// them, and nowhere once the two ranges have changed places.
const ODD = /[\ud800-\uffff]/;
const ODDS = /[\ud800-\uffff]/g;

const toOrdered = (text) =>
  ODD.test(text)
    ? text.replace(ODDS, (unit) => {
        const code = unit.charCodeAt(0);
        return String.fromCharCode(code >= 0xe000 ? code - 0x800 : code + 0x2000);
      })
    : text;

const fromOrdered = (text) =>
  ODD.test(text)
    ? text.replace(ODDS, (unit) => {
        const code = unit.charCodeAt(0);
        return String.fromCharCode(code >= 0xf800 ? code - 0x2000 : code + 0x800);
      })
    : text;

const keyOf = (namespace, key) => [toOrdered(namespace), toOrdered(key)];

/** All keys of the namespace, or those `from <= key < to` and behind `after`; null where there can be none. */
function rangeOf(namespace, from, to, after) {
  const space = toOrdered(namespace);
  let lower = from === undefined ? [space] : [space, toOrdered(from)];
  let open = false;
  if (after !== undefined) {
    const behind = [space, toOrdered(after)];
    if (indexedDB.cmp(behind, lower) >= 0) {
      lower = behind;
      open = true;
    }
  }
  // An array comes after every text.
  const upper = to === undefined ? [space, []] : [space, toOrdered(to)];
  const order = indexedDB.cmp(lower, upper);
  return order > 0 || order === 0 ? null : IDBKeyRange.bound(lower, upper, open, true);
}

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const failure = (name, message) => new DOMException(message, name);

/**
 * Opens the database, creating what is missing. `onGone` is called when the connection can no longer be used: the browser
 * closed it, or another tab wants to change or delete the database, which waits until we let go.
 */
export function openDatabase(name, timeout, onGone) {
  return new Promise((resolve, reject) => {
    const factory = globalThis.indexedDB;
    if (!factory) {
      reject(failure('NotSupportedError', 'there is no IndexedDB here'));
      return;
    }
    const request = factory.open(name, SCHEMA);
    let late = false;
    let blocked = false;
    const timer = setTimeout(() => {
      late = true;
      reject(
        failure(
          'TimeoutError',
          blocked ? 'another tab keeps an older version of it open' : 'the browser did not open it in time',
        ),
      );
    }, timeout);
    request.onblocked = () => {
      blocked = true;
    };
    request.onupgradeneeded = () => {
      const database = request.result;
      if (late) {
        request.transaction.abort();
        return;
      }
      if (!database.objectStoreNames.contains(ENTRIES)) {
        const entries = database.createObjectStore(ENTRIES);
        entries.createIndex(EXPIRY, ['expiresAt', 'namespace']);
      }
      if (!database.objectStoreNames.contains(VALUES)) {
        database.createObjectStore(VALUES);
      }
    };
    request.onerror = (event) => {
      event.preventDefault?.();
      clearTimeout(timer);
      reject(request.error);
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      const database = request.result;
      if (late) {
        database.close();
        return;
      }
      database.onversionchange = () => {
        database.close();
        onGone();
      };
      database.onclose = () => onGone();
      resolve(database);
    };
  });
}

export function closeDatabase(database) {
  database.onversionchange = null;
  database.onclose = null;
  database.close();
}

/** One transaction. `done` is undefined once it is complete, and the error where nothing of it was applied. */
export class Transaction {
  constructor(database, writing, durability, timeout) {
    const stores = [ENTRIES, VALUES];
    const transaction = writing
      ? database.transaction(stores, 'readwrite', { durability })
      : database.transaction(stores, 'readonly');
    this.transaction = transaction;
    this.entries = transaction.objectStore(ENTRIES);
    this.values = transaction.objectStore(VALUES);
    this.done = new Promise((resolve) => {
      const timer = setTimeout(() => {
        try {
          transaction.abort();
        } catch {
          // It is being committed: what becomes of it will be told.
        }
      }, timeout);
      transaction.oncomplete = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
      transaction.onabort = () => {
        clearTimeout(timer);
        resolve(transaction.error ?? failure('AbortError', 'the browser gave the transaction up'));
      };
    });
  }

  /** The records of these keys, in order; with their values, also those that are kept apart. */
  read(namespaces, keys, withValues) {
    return new Promise((resolve, reject) => {
      const records = new Array(keys.length);
      let left = keys.length;
      const arrived = () => {
        left -= 1;
        if (left === 0) resolve(records);
      };
      for (let at = 0; at < keys.length; at += 1) {
        const key = keyOf(namespaces.length === 1 ? namespaces[0] : namespaces[at], keys[at]);
        const request = this.entries.get(key);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const record = request.result;
          records[at] = record;
          if (withValues && record?.apart === true) {
            const second = this.values.get(key);
            second.onerror = () => reject(second.error);
            second.onsuccess = () => {
              record.value = second.result;
              arrived();
            };
          } else {
            arrived();
          }
        };
      }
      if (left === 0) resolve(records);
    });
  }

  /**
   * Which of these keys, all of one namespace, have a record: for a large batch of keys that are mostly new. Null where that
   * cannot be said cheaply.
   */
  async present(namespace, first, last, limit) {
    const range = IDBKeyRange.bound(keyOf(namespace, first), keyOf(namespace, last));
    const keys = await result(this.entries.getAllKeys(range, limit));
    return keys.length < limit ? keys.map((key) => fromOrdered(key[1])) : null;
  }

  /** Values that are kept apart. */
  readApart(namespaces, keys) {
    return Promise.all(keys.map((key, at) => result(this.values.get(keyOf(namespaces[at], key)))));
  }

  put(namespace, key, record, apart, wasApart) {
    const name = keyOf(namespace, key);
    if (apart !== undefined) {
      this.values.put(apart, name);
    } else if (wasApart) {
      this.values.delete(name);
    }
    this.entries.put(record, name);
  }

  /** As `put`, where the value that is kept apart stays as it is. */
  amend(namespace, key, record) {
    this.entries.put(record, keyOf(namespace, key));
  }

  remove(namespace, key, wasApart) {
    const name = keyOf(namespace, key);
    this.entries.delete(name);
    if (wasApart) this.values.delete(name);
  }

  commit() {
    this.transaction.commit?.();
  }

  abort() {
    try {
      this.transaction.abort();
    } catch {
      // It has ended already.
    }
  }

  /** Keys of the range in order, joined by line breaks, which no key holds; how many were looked at, and the last of them. */
  async keys(namespace, from, to, after, count, now) {
    const range = rangeOf(namespace, from, to, after);
    if (range === null) return { text: '', count: 0, looked: 0, last: undefined };
    const [names, expired] = await Promise.all([
      result(this.entries.getAllKeys(range, count)),
      result(this.entries.index(EXPIRY).getAllKeys(due(now), MANY)),
    ]);
    // Too many to be taken out one by one.
    if (expired.length >= MANY) return null;
    const space = toOrdered(namespace);
    const gone = new Set();
    for (const [of, key] of expired) if (of === space) gone.add(key);
    const keys = [];
    for (const [, key] of names) if (gone.size === 0 || !gone.has(key)) keys.push(fromOrdered(key));
    const last = names.length === 0 ? undefined : fromOrdered(names[names.length - 1][1]);
    return { text: keys.join('\n'), count: keys.length, looked: names.length, last };
  }

  /** Records of the range in order, with their keys. */
  async records(namespace, from, to, after, count) {
    const range = rangeOf(namespace, from, to, after);
    if (range === null) return { keys: [], records: [] };
    if (this.entries.getAllRecords !== undefined) {
      const found = await result(this.entries.getAllRecords({ query: range, count }));
      return { keys: found.map((one) => fromOrdered(one.key[1])), records: found.map((one) => one.value) };
    }
    const [keys, records] = await Promise.all([
      result(this.entries.getAllKeys(range, count)),
      result(this.entries.getAll(range, count)),
    ]);
    return { keys: keys.map((key) => fromOrdered(key[1])), records };
  }

  /** How many living entries the range holds; undefined where too many have expired. */
  async count(namespace, from, to, after, now) {
    const range = rangeOf(namespace, from, to, after);
    if (range === null) return 0;
    const [all, expired] = await Promise.all([
      result(this.entries.count(range)),
      result(this.entries.index(EXPIRY).getAllKeys(due(now), MANY)),
    ]);
    if (expired.length >= MANY) return undefined;
    return all - expired.filter((key) => range.includes(key)).length;
  }

  /** Removes up to `limit` of what has expired: how many, and whether more is left. */
  async reclaim(namespace, now, limit) {
    const index = this.entries.index(EXPIRY);
    const keys =
      namespace === undefined
        ? await result(index.getAllKeys(due(now), limit + 1))
        : await dueOf(index, toOrdered(namespace), now, limit + 1);
    const more = keys.length > limit;
    if (more) keys.pop();
    for (const key of keys) {
      this.entries.delete(key);
      this.values.delete(key);
    }
    return { removed: keys.length, more };
  }

  /** Removes the first entries of a namespace: whether more are left. */
  async clear(namespace, limit) {
    const all = rangeOf(namespace);
    const keys = await result(this.entries.getAllKeys(all, limit + 1));
    if (keys.length === 0) return false;
    const more = keys.length > limit;
    const range = more ? IDBKeyRange.bound(keys[0], keys[limit], false, true) : all;
    this.entries.delete(range);
    this.values.delete(range);
    return more;
  }

  /** Namespaces with entries, by one step for each. */
  async namespaces(after, limit) {
    const names = [];
    let lower = after === undefined ? undefined : [toOrdered(after), []];
    for (;;) {
      const range = lower === undefined ? undefined : IDBKeyRange.lowerBound(lower, true);
      const [key] = await result(this.entries.getAllKeys(range, 1));
      if (key === undefined) return { names, more: false };
      if (names.length === limit) return { names, more: true };
      names.push(fromOrdered(key[0]));
      lower = [key[0], []];
    }
  }
}

/** What has expired at `now`, of all namespaces: an array comes after every namespace. */
const due = (now) => IDBKeyRange.bound([0], [now, []]);

/** Of one namespace: the index is ordered by time, so others are jumped over. */
const dueOf = (index, space, now, limit) =>
  new Promise((resolve, reject) => {
    const keys = [];
    const request = index.openKeyCursor(due(now));
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor === null || keys.length === limit) {
        resolve(keys);
        return;
      }
      const [at, of] = cursor.key;
      if (of === space) {
        keys.push(cursor.primaryKey);
        cursor.continue();
      } else {
        cursor.continue([at, of < space ? space : []]);
      }
    };
  });

/** A record, as it is kept. The index takes those that have `expiresAt` and `namespace`. */
export function makeRecord(
  value, apart, type, version, createdAt, updatedAt, size, checksum, contentType, metadata, expiresAt, slidingMs, namespace,
) {
  const record = { value, type, version, createdAt, updatedAt, size, checksum };
  if (apart) record.apart = true;
  if (contentType !== undefined) record.contentType = contentType;
  if (metadata !== undefined) record.metadata = metadata;
  if (slidingMs !== undefined) record.slidingMs = slidingMs;
  if (expiresAt !== undefined) {
    record.expiresAt = expiresAt;
    record.namespace = toOrdered(namespace);
  }
  return record;
}

const optional = (value, type) => value === undefined || typeof value === type;

/** Whether it is a record of ours: anybody can write into the database. */
export function isRecord(record) {
  return (
    typeof record === 'object' && record !== null && typeof record.type === 'string' &&
    typeof record.version === 'string' && typeof record.createdAt === 'number' && typeof record.updatedAt === 'number' &&
    typeof record.size === 'number' && typeof record.checksum === 'number' && optional(record.contentType, 'string') &&
    optional(record.metadata, 'string') && optional(record.expiresAt, 'number') && optional(record.slidingMs, 'number')
  );
}

export const fillRandom = (bytes) => globalThis.crypto.getRandomValues(bytes);

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
