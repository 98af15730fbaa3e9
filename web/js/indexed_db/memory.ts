// Entries in memory, of one page alone: what `requests.ts` is over IndexedDB, with the same records.
import { type Entry, expired, fromOrdered, toOptional, toOrdered } from './record.js';
import type { Fits, Keys, Name, Range, Read, Transaction } from './transaction.js';

/** An entry, and its value if that lies apart. */
interface Kept {
  entry: Entry;
  apart: unknown;
}

/** One namespace: entries by their keys in the order of the store, which are sorted when that is asked for. */
class Space {
  entries = new Map<string, Kept>();
  #keys: string[] = [];
  #fresh: string[] = [];
  #changed = false;

  put(key: string, kept: Kept): void {
    if (!this.entries.has(key)) {
      this.#fresh.push(key);
      this.#changed = true;
    }
    this.entries.set(key, kept);
  }

  delete(key: string): void {
    if (this.entries.delete(key)) this.#changed = true;
  }

  /** In order. Between two changes sorted once, and then mostly sorted already. */
  #sorted(): string[] {
    if (this.#changed) {
      const all = this.#keys.concat(this.#fresh).filter((key) => this.entries.has(key));
      // One that was removed and put again is there twice.
      this.#keys = all.sort().filter((key, at) => at === 0 || key !== all[at - 1]);
      this.#fresh = [];
      this.#changed = false;
    }
    return this.#keys;
  }

  /** Keys of the range, at most `count`. */
  range(range: Range, count = Infinity): string[] {
    const keys = this.#sorted();
    const [from, to, after] = [toOptional(range.from), toOptional(range.to), toOptional(range.after)];
    let start = from === undefined ? 0 : place(keys, from);
    if (after !== undefined) {
      const at = place(keys, after);
      start = Math.max(start, keys[at] === after ? at + 1 : at);
    }
    const end = to === undefined ? keys.length : place(keys, to);
    return keys.slice(start, Math.max(start, Math.min(end, start + count)));
  }

  living(keys: string[], now: number): string[] {
    return keys.filter((key) => {
      const kept = this.entries.get(key);
      return kept !== undefined && !expired(kept.entry, now);
    });
  }
}

/** The place of the first key that is not before this one. */
function place(keys: string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class Memory {
  readonly spaces = new Map<string, Space>();
  /** The end of the last transaction that writes: one at a time. */
  last: Promise<unknown> = Promise.resolve();

  begin(writing: boolean): Transaction {
    return new InMemory(this, writing);
  }
}

const NONE = new Space();
const EVERYTHING: Range = { from: undefined, to: undefined, after: undefined };

class InMemory implements Transaction {
  readonly done: Promise<unknown> | undefined;
  readonly #memory: Memory;
  readonly #turn: Promise<unknown> | undefined;
  #end: ((error?: undefined) => void) | undefined;
  /** Values apart of what was read: what is written meanwhile does not change them. */
  readonly #apart = new Map<string, unknown>();

  constructor(memory: Memory, writing: boolean) {
    this.#memory = memory;
    if (!writing) return;
    this.#turn = memory.last;
    this.done = new Promise((resolve) => {
      this.#end = resolve;
    });
    memory.last = this.done;
  }

  #space(namespace: string): Space {
    return this.#memory.spaces.get(toOrdered(namespace)) ?? NONE;
  }

  #read(namespace: string, key: string, values: boolean): Read {
    const kept = this.#space(namespace).entries.get(toOrdered(key));
    if (kept?.apart === undefined) return { record: kept?.entry };
    this.#apart.set(`${namespace}\n${key}`, kept.apart);
    return values ? { record: kept.entry, apart: kept.apart } : { record: kept.entry };
  }

  async read(names: Name[], values: boolean): Promise<Read[]> {
    await this.#turn;
    return names.map(({ namespace, key }) => this.#read(namespace, key, values));
  }

  async readApart(names: Name[]): Promise<unknown[]> {
    return names.map(({ namespace, key }) => this.#apart.get(`${namespace}\n${key}`));
  }

  put({ namespace, key }: Name, entry: Entry, apart: unknown): void {
    const { spaces } = this.#memory;
    const name = toOrdered(namespace);
    let space = spaces.get(name);
    if (space === undefined) spaces.set(name, (space = new Space()));
    space.put(toOrdered(key), { entry, apart });
  }

  amend(name: Name, entry: Entry): void {
    this.put(name, entry, this.#space(name.namespace).entries.get(toOrdered(name.key))?.apart);
  }

  remove({ namespace, key }: Name): void {
    this.#delete(toOrdered(namespace), [toOrdered(key)]);
  }

  #delete(namespace: string, keys: string[]): void {
    const space = this.#memory.spaces.get(namespace);
    for (const key of keys) space?.delete(key);
    if (space?.entries.size === 0) this.#memory.spaces.delete(namespace);
  }

  commit(): void {
    this.#end?.();
  }

  abort(): void {
    this.#end?.();
  }

  async keys(
    namespace: string,
    range: Range,
    limit: number,
    most: number,
    now: number,
    fits: Fits | undefined,
  ): Promise<Keys> {
    const space = this.#space(namespace);
    const count = fits === undefined ? limit : most;
    const looked = space.range(range, count + 1);
    const more = looked.length > count;
    if (more) looked.pop();
    const living = space.living(looked, now);
    return { keys: fits === undefined ? living : living.filter((key) => fits(key, 0)), more, last: looked.at(-1) };
  }

  async records(namespace: string, range: Range, count: number): Promise<[string[], unknown[]]> {
    const keys = this.#space(namespace).range(range, count).map(fromOrdered);
    return [keys, keys.map((key) => this.#read(namespace, key, false).record)];
  }

  async count(namespace: string, range: Range, now: number): Promise<number> {
    const space = this.#space(namespace);
    return space.living(space.range(range), now).length;
  }

  async reclaim(namespace: string | undefined, now: number, limit: number) {
    await this.#turn;
    const { spaces } = this.#memory;
    let removed = 0;
    for (const name of namespace === undefined ? [...spaces.keys()] : [toOrdered(namespace)]) {
      const gone: string[] = [];
      for (const [key, { entry }] of spaces.get(name)?.entries ?? []) {
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

  async clear(namespace: string, limit: number): Promise<boolean> {
    await this.#turn;
    const keys = this.#space(namespace).range(EVERYTHING, limit + 1);
    this.#delete(toOrdered(namespace), keys.slice(0, limit));
    return keys.length > limit;
  }

  async namespaces(after: string | undefined, limit: number) {
    const behind = toOptional(after) ?? '';
    const names = [...this.#memory.spaces.keys()].filter((name) => name > behind).sort();
    return { names: names.slice(0, limit).map(fromOrdered), more: names.length > limit };
  }
}
