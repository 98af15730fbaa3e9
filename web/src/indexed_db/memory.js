// Entries in memory, of one page alone: what `transaction.js` is over IndexedDB, with the same records and the same functions.
import { fromOrdered, toOrdered } from './record.js';

/** One namespace: entries by their names in the order of the store, which are sorted when that is asked for. */
class Space {
  entries = new Map();
  #names = [];
  #fresh = [];
  #changed = false;

  put(name, entry) {
    if (!this.entries.has(name)) {
      this.#fresh.push(name);
      this.#changed = true;
    }
    this.entries.set(name, entry);
  }

  delete(name) {
    if (this.entries.delete(name)) this.#changed = true;
  }

  /** In order. Between two changes sorted once, and then mostly sorted already. */
  names() {
    if (this.#changed) {
      const all = this.#names.concat(this.#fresh).filter((name) => this.entries.has(name));
      // One that was removed and put again is there twice.
      this.#names = all.sort().filter((name, at) => at === 0 || name !== all[at - 1]);
      this.#fresh = [];
      this.#changed = false;
    }
    return this.#names;
  }

  /** Names `from <= name < to` and behind `after`, at most `count`. */
  range(from, to, after, count = Infinity) {
    const names = this.names();
    let start = from === undefined ? 0 : place(names, toOrdered(from));
    if (after !== undefined) {
      const behind = toOrdered(after);
      const at = place(names, behind);
      start = Math.max(start, names[at] === behind ? at + 1 : at);
    }
    const end = to === undefined ? names.length : place(names, toOrdered(to));
    return names.slice(start, Math.max(start, Math.min(end, start + count)));
  }
}

/** The place of the first name that is not before this one. */
function place(names, name) {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (names[middle] < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

const expired = ({ record }, now) => record.expiresAt <= now;

export class Memory {
  spaces = new Map();
  /** The end of the last transaction that writes: one at a time. */
  last = Promise.resolve();

  begin(writing) {
    return new Transaction(this, writing);
  }
}

const NONE = new Space();

class Transaction {
  #memory;
  #turn;
  #end;
  /** Values apart of what was read: what is written meanwhile does not change them. */
  #apart = new Map();

  constructor(memory, writing) {
    this.#memory = memory;
    if (!writing) return;
    this.#turn = memory.last;
    this.done = new Promise((resolve) => {
      this.#end = resolve;
    });
    memory.last = this.done;
  }

  #space(namespace) {
    return this.#memory.spaces.get(toOrdered(namespace)) ?? NONE;
  }

  #read(space, namespace, name) {
    const entry = space.entries.get(name);
    if (entry?.apart !== undefined) this.#apart.set(`${namespace}\n${name}`, entry.apart);
    return entry;
  }

  async read(namespaces, keys, withValues) {
    await this.#turn;
    return keys.map((key, at) => {
      const entry = this.#read(this.#space(namespaces[at]), namespaces[at], toOrdered(key));
      return withValues && entry?.apart !== undefined ? { ...entry.record, value: entry.apart } : entry?.record;
    });
  }

  async readApart(namespaces, keys) {
    return keys.map((key, at) => this.#apart.get(`${namespaces[at]}\n${toOrdered(key)}`));
  }

  async replace(namespace, key, record, apart, now) {
    await this.#turn;
    const there = this.#space(namespace).entries.get(toOrdered(key));
    if (there !== undefined && !expired(there, now)) record.createdAt = there.record.createdAt;
    this.put(namespace, key, record, apart);
    this.commit();
    return this.done;
  }

  put(namespace, key, record, apart) {
    const { spaces } = this.#memory;
    const name = toOrdered(namespace);
    if (!spaces.has(name)) spaces.set(name, new Space());
    spaces.get(name).put(toOrdered(key), { record, apart });
  }

  amend(namespace, key, record) {
    this.put(namespace, key, record, this.#space(namespace).entries.get(toOrdered(key))?.apart);
  }

  remove(namespace, key) {
    this.#delete(toOrdered(namespace), [toOrdered(key)]);
  }

  #delete(name, names) {
    const space = this.#memory.spaces.get(name);
    for (const one of names) space?.delete(one);
    if (space?.entries.size === 0) this.#memory.spaces.delete(name);
  }

  commit() {
    this.#end?.();
  }

  abort() {
    this.#end?.();
  }

  async keys(namespace, from, to, after, limit, most, now, pattern) {
    const space = this.#space(namespace);
    const names = space.range(from, to, after, (pattern === undefined ? limit : most) + 1);
    const more = names.length > (pattern === undefined ? limit : most);
    if (more) names.pop();
    const keys = names.filter((name) => !expired(space.entries.get(name), now)).map(fromOrdered);
    const last = names.length === 0 ? undefined : fromOrdered(names[names.length - 1]);
    return { text: keys.join('\n'), count: keys.length, more, last };
  }

  async records(namespace, from, to, after, count) {
    const space = this.#space(namespace);
    const names = space.range(from, to, after, count);
    const records = names.map((name) => this.#read(space, namespace, name).record);
    return { text: names.map(fromOrdered).join('\n'), records };
  }

  async count(namespace, from, to, after, now) {
    const space = this.#space(namespace);
    return space.range(from, to, after).filter((name) => !expired(space.entries.get(name), now)).length;
  }

  async reclaim(namespace, now, limit) {
    await this.#turn;
    const spaces = [...this.#memory.spaces.keys()];
    const some = namespace === undefined ? spaces : [toOrdered(namespace)];
    let removed = 0;
    for (const name of some) {
      const gone = [];
      for (const [key, entry] of this.#memory.spaces.get(name)?.entries ?? []) {
        if (!expired(entry, now)) continue;
        if (removed === limit) {
          this.#delete(name, gone);
          return { removed, more: true };
        }
        gone.push(key);
        removed += 1;
      }
      this.#delete(name, gone);
    }
    return { removed, more: false };
  }

  async clear(namespace, limit) {
    await this.#turn;
    const names = this.#space(namespace).range(undefined, undefined, undefined, limit + 1);
    this.#delete(toOrdered(namespace), names.slice(0, limit));
    return names.length > limit;
  }

  async namespaces(after, limit) {
    const behind = after === undefined ? '' : toOrdered(after);
    const names = [...this.#memory.spaces.keys()].filter((name) => name > behind).sort();
    return { names: names.slice(0, limit).map(fromOrdered), more: names.length > limit };
  }
}

export const newMemory = () => new Memory();
