// What IndexedDB is asked for, in as few crossings between WebAssembly and JavaScript as possible. No rule of the store is
// here: `write.rs` and `scan.rs` decide, this file asks.
import { ENTRIES, EXPIRY, VALUES, failure } from './database.js';
import { fromOrdered, isRecord, toOrdered } from './record.js';

/** More expired entries than this, and a listing of keys looks at each entry's own expiry. */
const MANY = 1000;

const joined = (names) => names.map(([, name]) => fromOrdered(name)).join('\n');

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

/** Until when transactions may take. One timer for all of them: one for each would cost a tenth of a read. */
const deadlines = new Map();
let timer;
let wakes;

function watch(transaction, timeout) {
  const deadline = Date.now() + timeout;
  deadlines.set(transaction, deadline);
  if (timer !== undefined && wakes <= deadline) return;
  clearTimeout(timer);
  wakes = deadline;
  timer = setTimeout(late, timeout);
}

function late() {
  timer = undefined;
  const now = Date.now();
  let next;
  for (const [transaction, deadline] of deadlines) {
    if (deadline > now) {
      next = Math.min(next ?? deadline, deadline);
      continue;
    }
    deadlines.delete(transaction);
    abort(transaction);
  }
  if (next === undefined) return;
  wakes = next;
  timer = setTimeout(late, next - now);
}

function abort(transaction) {
  try {
    transaction.abort();
  } catch {
    // It has ended, or it is being committed: what becomes of it will be told.
  }
}

/** What this tab has last seen of some entries: when they were created, and whether their values lie apart. Guesses. */
const seen = new Map();
const SEEN = 1000;

function remember(name, createdAt, apart) {
  if (seen.size >= SEEN) seen.clear();
  seen.set(`${name[0]}\n${name[1]}`, { createdAt, apart });
}

const recall = (name) => seen.get(`${name[0]}\n${name[1]}`);

/** So many keys of one namespace are looked for in their range, where that does not hold many others. */
const MANY_KEYS = 24;
const PART = 1000;
/** The most keys that one request asks for. */
const MOST = 10_000;

/**
 * Whether a key may match the pattern: whether what the pattern spells out is there, in its order. Patterns with braces, classes or
 * backslashes are not looked at. The core decides; what is left out here spares it the look.
 */
function mayMatch(pattern) {
  if (pattern === undefined || /[{}[\\]/.test(pattern)) return () => true;
  // A `**` may stand for no segment, and then the dot beside it is not there.
  const texts = pattern.split(/\.?\*\*+\.?|\*|\?/);
  const first = texts.shift();
  const last = texts.pop() ?? '';
  const between = texts.filter((text) => text !== '');
  return (key) => {
    if (!key.startsWith(first) || !key.endsWith(last)) return false;
    let at = first.length;
    for (const text of between) {
      at = key.indexOf(text, at);
      if (at < 0) return false;
      at += text.length;
    }
    return true;
  };
}

export const begin = (database, writing, durability, timeout) => new Transaction(database, writing, durability, timeout);

/** One transaction. `done`, if it writes, is undefined once it is complete, and the error where nothing of it was applied. */
class Transaction {
  constructor(database, writing, durability, timeout) {
    const stores = [ENTRIES, VALUES];
    const transaction = writing
      ? database.transaction(stores, 'readwrite', { durability })
      : database.transaction(stores, 'readonly');
    this.transaction = transaction;
    this.entries = transaction.objectStore(ENTRIES);
    this.values = transaction.objectStore(VALUES);
    watch(transaction, timeout);
    if (!writing) return;
    this.done = new Promise((resolve) => {
      transaction.oncomplete = () => {
        deadlines.delete(transaction);
        resolve(undefined);
      };
      transaction.onabort = () => {
        deadlines.delete(transaction);
        resolve(transaction.error ?? failure('AbortError', 'the browser gave the transaction up'));
      };
    });
  }

  /** The records of these keys, in order; with their values, also those that are kept apart. */
  read(namespaces, keys, withValues) {
    if (keys.length >= MANY_KEYS && namespaces.every((namespace) => namespace === namespaces[0])) {
      return this.readMany(namespaces[0], keys);
    }
    return this.readEach(keys.map((key, at) => keyOf(namespaces[at], key)), withValues);
  }

  readEach(names, withValues) {
    return new Promise((resolve, reject) => {
      const records = new Array(names.length);
      let left = names.length;
      const failed = (event) => reject(event.target.error);
      const arrived = () => {
        left -= 1;
        if (left > 0) return;
        // What only reads need not be watched any longer.
        if (this.done === undefined) deadlines.delete(this.transaction);
        resolve(records);
      };
      names.forEach((name, at) => {
        const load = () => {
          const request = this.values.get(name);
          request.onerror = failed;
          return request;
        };
        // Asked for along with the record where it is likely to be there.
        const early = withValues && recall(name)?.apart === true ? load() : undefined;
        const request = this.entries.get(name);
        request.onerror = failed;
        request.onsuccess = () => {
          const record = request.result;
          records[at] = record;
          if (!withValues || record?.apart !== true) {
            arrived();
            return;
          }
          remember(name, record.createdAt, true);
          const second = early ?? load();
          const loaded = () => {
            record.value = second.result;
            arrived();
          };
          if (second.readyState === 'done') loaded();
          else second.onsuccess = loaded;
        };
      });
      if (left === 0) resolve(records);
    });
  }

  /** Many of one namespace: by one request for their keys, and then by as few as their range allows. */
  async readMany(namespace, keys) {
    const space = toOrdered(namespace);
    const places = new Map();
    keys.forEach((key, at) => places.set(toOrdered(key), at));
    const wanted = [...places.keys()].sort();
    const range = IDBKeyRange.bound([space, wanted[0]], [space, wanted[wanted.length - 1]]);
    const limit = keys.length * 2;
    const there = await result(this.entries.getAllKeys(range, limit));
    const records = new Array(keys.length);
    const close = there.length < limit;
    const found = close ? there.filter((name) => places.has(name[1])) : wanted.map((key) => [space, key]);
    // Too few to be worth reading what lies between them.
    if (!close || found.length * 2 < there.length) {
      const each = await this.readEach(found, false);
      found.forEach((name, at) => (records[places.get(name[1])] = each[at]));
      return records;
    }
    for (let at = 0; at < there.length; at += PART) {
      const last = Math.min(at + PART, there.length) - 1;
      const part = await result(this.entries.getAll(IDBKeyRange.bound(there[at], there[last])));
      part.forEach((record, offset) => {
        const place = places.get(there[at + offset][1]);
        if (place !== undefined) records[place] = record;
      });
    }
    return records;
  }

  /**
   * Puts a record in the place of what is there, which leaves it the time of its creation, and commits. Without a step
   * between: it is written as if what is there were what was seen last, or nothing, and again where that was wrong.
   */
  replace(namespace, key, record, apart, now) {
    const name = keyOf(namespace, key);
    const fresh = record.createdAt;
    record.createdAt = recall(name)?.createdAt ?? fresh;
    const before = this.entries.get(name);
    this.entries.put(record, name);
    if (apart !== undefined) this.values.put(apart, name);
    before.onsuccess = () => {
      const there = before.result;
      const known = there === undefined || isRecord(there);
      const lives = known && there !== undefined && !(there.expiresAt <= now);
      const createdAt = lives ? there.createdAt : fresh;
      if (record.createdAt !== createdAt) {
        record.createdAt = createdAt;
        this.entries.put(record, name);
      }
      if (apart === undefined && (!known || there?.apart === true)) this.values.delete(name);
      remember(name, createdAt, apart !== undefined);
      this.commit();
    };
    return this.done;
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
    abort(this.transaction);
  }

  /**
   * Keys of the range in order, joined by line breaks, which no key holds: what has not expired and may match the pattern.
   * Until there are `limit` of them, or `most` keys were looked at; `more` tells that there are others, behind `last`.
   */
  async keys(namespace, from, to, after, limit, most, now, pattern) {
    const range = rangeOf(namespace, from, to, after);
    if (range === null) return { text: '', count: 0, more: false, last: undefined };
    const part = Math.min(most, pattern === undefined ? limit : Math.max(limit, PART), MOST);
    let asked = result(this.entries.getAllKeys(range, part));
    const expired = await result(this.entries.index(EXPIRY).getAllKeys(due(now), MANY));
    // Too many to be taken out one by one.
    if (expired.length >= MANY) return null;
    const space = toOrdered(namespace);
    const gone = new Set();
    for (const [of, key] of expired) if (of === space) gone.add(key);
    const fits = mayMatch(pattern);
    const keys = [];
    let looked = 0;
    let last;
    for (;;) {
      const names = await asked;
      looked += names.length;
      if (names.length > 0) last = names[names.length - 1];
      const ended = names.length < part;
      // Asked for before these are looked at, unless they may well be enough.
      const next = () => result(this.entries.getAllKeys(IDBKeyRange.bound(last, range.upper, true, true), part));
      const ahead = !ended && looked < most && keys.length + part / 2 < limit;
      if (ahead) asked = next();
      for (const [, name] of names) {
        if (gone.size > 0 && gone.has(name)) continue;
        const key = fromOrdered(name);
        if (fits(key)) keys.push(key);
      }
      const enough = keys.length >= limit || looked >= most;
      if (ended || enough) {
        // What was asked for ahead is not wanted any longer, and does no harm.
        if (ahead) asked.catch(() => undefined);
        const behind = last === undefined ? undefined : fromOrdered(last[1]);
        return { text: keys.join('\n'), count: keys.length, more: !ended, last: behind };
      }
      if (!ahead) asked = next();
    }
  }

  /** Records of the range in order, and their keys, joined by line breaks. */
  async records(namespace, from, to, after, count) {
    const range = rangeOf(namespace, from, to, after);
    if (range === null) return { text: '', records: [] };
    if (this.entries.getAllRecords !== undefined) {
      const found = await result(this.entries.getAllRecords({ query: range, count }));
      return { text: joined(found.map((one) => one.key)), records: found.map((one) => one.value) };
    }
    const [keys, records] = await Promise.all([
      result(this.entries.getAllKeys(range, count)),
      result(this.entries.getAll(range, count)),
    ]);
    return { text: joined(keys), records };
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
