import { KvError } from './error.js';
import type { normal } from './options.js';
import type { Capabilities } from './types.js';
import type { Encoded } from './values.js';

/** Of either WebAssembly module. */
interface Module {
  call(
    op: number,
    namespace: string | undefined,
    text: string | undefined,
    more: string | undefined,
    from: string | undefined,
    x: unknown,
    y: unknown,
    z: unknown,
    number: number,
  ): unknown;
}

/** The most items of one call, as the core has it. */
const MAX_ITEMS = 1000;

/** What `capabilities` gives, in the order of `handle.rs`; the others are numbers. */
const ABILITIES = [
  'durable', 'shared', 'maxAtomic', 'maxValueBytes', 'maxMetadataBytes', 'sliding', 'cheapAmend', 'nativeExpiry', 'indexedScan',
] as const;

/** How many, and where to go on. */
type Part = [number, string | undefined];

type Given = ReturnType<typeof normal>;

/**
 * What the WebAssembly module can be called for. All go through one function of it, with a number for what is meant
 * (`op` in `handle.rs`): each function of its own would be half a kilobyte.
 */
export class Handle {
  readonly #module: Module;
  readonly #close: () => void;

  /** @param close lets go of what is below */
  constructor(module: Module, close: () => void = () => undefined) {
    this.#module = module;
    this.#close = close;
  }

  #call<T>(
    op: number,
    namespace: string | undefined,
    text?: string,
    more?: string,
    from?: string,
    x?: unknown,
    y?: unknown,
    z?: unknown,
    number = 0,
  ): Promise<T> {
    return Promise.resolve(this.#module.call(op, namespace, text, more, from, x, y, z, number) as T | Promise<T>);
  }

  /** The value, or undefined. */
  get(namespace: string, key: string): Promise<unknown> {
    return this.#call(0, namespace, key);
  }

  /** The entry, or undefined. */
  entry(namespace: string, key: string, withValue: boolean): Promise<unknown> {
    return this.#call(1, namespace, key, undefined, undefined, undefined, undefined, undefined, withValue ? 1 : 0);
  }

  /** In parts, all at once: a storage that can gathers them. A part is asked for again where an answer holds less of it. */
  async #many(op: number, namespace: string, keys: string[], values?: unknown[], options?: Given): Promise<unknown[]> {
    const part = async (from: number): Promise<unknown[]> => {
      const to = Math.min(from + MAX_ITEMS, keys.length);
      const results: unknown[] = [];
      while (from + results.length < to) {
        const begin = from + results.length;
        const given = [keys.slice(begin, to), values?.slice(begin, to)];
        const some = await this.#call<unknown[]>(op, namespace, undefined, undefined, undefined, ...given, options);
        if (some.length === 0) throw new KvError('internal', 'the storage answered for no key');
        results.push(...some);
      }
      return results;
    };
    const parts: Promise<unknown[]>[] = [];
    for (let from = 0; from < keys.length; from += MAX_ITEMS) parts.push(part(from));
    // Whoever is told of a failure finds nothing under way any longer.
    await Promise.allSettled(parts);
    return (await Promise.all(parts)).flat();
  }

  /** For each key its value, or the entry with it, undefined, or an error. */
  getMany(namespace: string, keys: string[], whole: boolean): Promise<unknown[]> {
    return this.#many(whole ? 22 : 2, namespace, keys);
  }

  /** The version, or what stands in the way: an array that holds the entry, or nothing where there is none by now. */
  set(namespace: string, key: string, value: Encoded, options: Given): Promise<unknown> {
    return this.#call(3, namespace, key, undefined, undefined, value, undefined, options);
  }

  /** For each key its version, what stands in the way, or an error. */
  setMany(namespace: string, keys: string[], values: Encoded[], options: Given): Promise<unknown[]> {
    return this.#many(4, namespace, keys, values, options);
  }

  /** Whether it was there, or what stands in the way. */
  delete(namespace: string, key: string, ifVersion: string | undefined): Promise<unknown> {
    return this.#call(5, namespace, key, ifVersion);
  }

  /** For each key whether it was there, or an error. */
  deleteMany(namespace: string, keys: string[]): Promise<unknown[]> {
    return this.#many(6, namespace, keys);
  }

  /** The version, or what is there instead. Without an old value the key must be absent. */
  compareAndSwap(namespace: string, key: string, old: Encoded | undefined, value: Encoded, options: Given): Promise<unknown> {
    return this.#call(7, namespace, key, undefined, undefined, old, value, options);
  }

  /** What the counter stands at. */
  increment(namespace: string, key: string, delta: Encoded, options: Given): Promise<unknown> {
    return this.#call(8, namespace, key, undefined, undefined, delta, undefined, options);
  }

  /** How many bytes the value has now. */
  append(namespace: string, key: string, tail: Encoded, options: Given): Promise<unknown> {
    return this.#call(9, namespace, key, undefined, undefined, tail, undefined, options);
  }

  /** The version, undefined where there is no entry, or what stands in the way. */
  setMetadata(
    namespace: string,
    key: string,
    metadata: string,
    replace: boolean,
    ifVersion: string | undefined,
  ): Promise<unknown> {
    return this.#call(10, namespace, key, metadata, ifVersion, undefined, undefined, undefined, replace ? 1 : 0);
  }

  /** As `setMetadata`. */
  setExpiry(namespace: string, key: string, options: Given): Promise<unknown> {
    return this.#call(11, namespace, key, undefined, undefined, undefined, undefined, options);
  }

  /** A page: `[keys joined by line breaks, cursor]`. */
  keys(
    namespace: string,
    pattern: string,
    metadata: string | undefined,
    from: string | undefined,
    limit: number,
  ): Promise<unknown> {
    return this.#call(12, namespace, pattern, metadata, from, undefined, undefined, undefined, limit);
  }

  /** A page: `[entries, cursor]`; with `brief` of each but what its value is made of. */
  entries(
    namespace: string,
    pattern: string,
    metadata: string | undefined,
    from: string | undefined,
    limit: number,
    withValues: boolean,
    brief = false,
  ): Promise<unknown> {
    return this.#call(13, namespace, pattern, metadata, from, withValues, brief, undefined, limit);
  }

  /** A part: `[count, cursor]`. */
  count(
    namespace: string,
    pattern: string,
    metadata: string | undefined,
    from: string | undefined,
    limit: number,
  ): Promise<Part> {
    return this.#call(14, namespace, pattern, metadata, from, undefined, undefined, undefined, limit);
  }

  /** A part: `[count, cursor]`. */
  deletePattern(
    namespace: string,
    pattern: string,
    metadata: string | undefined,
    from: string | undefined,
    limit: number,
  ): Promise<Part> {
    return this.#call(15, namespace, pattern, metadata, from, undefined, undefined, undefined, limit);
  }

  /** A page: `[children, cursor]`; a child is `[segment, key, is entry, entries below, whether there are any]`. */
  children(
    namespace: string,
    prefix: string | undefined,
    counts: boolean,
    from: string | undefined,
    limit: number,
  ): Promise<unknown> {
    return this.#call(16, namespace, prefix, undefined, from, counts, undefined, undefined, limit);
  }

  /** `[count, whether more are left]`, of all namespaces where none is named. */
  cleanupExpired(namespace: string | undefined, limit: number): Promise<[number, boolean]> {
    return this.#call(17, namespace, undefined, undefined, undefined, undefined, undefined, undefined, limit);
  }

  /** Whether more entries are left. */
  clear(namespace: string, limit: number): Promise<boolean> {
    return this.#call(18, namespace, undefined, undefined, undefined, undefined, undefined, undefined, limit);
  }

  /** A page: `[names joined by line breaks, cursor]`. */
  namespaces(from: string | undefined, limit: number): Promise<unknown> {
    return this.#call(19, undefined, undefined, undefined, from, undefined, undefined, undefined, limit);
  }

  /**
   * Checks are `[key, version or null for absent]`, actions `[key, value or undefined to delete, options]`. The versions,
   * undefined for each delete; or `[[key, entry or undefined]]` of what stood in the way.
   */
  transact(namespace: string, checks: unknown[], actions: unknown[][]): Promise<unknown> {
    return this.#call(20, namespace, undefined, undefined, undefined, checks, actions);
  }

  /** What the storage can do. */
  async capabilities(): Promise<Capabilities> {
    const numbers = await this.#call<Float64Array>(21, undefined);
    const named = ABILITIES.map((name, at) => [name, name.startsWith('max') ? numbers[at] : numbers[at] === 1]);
    return Object.fromEntries(named) as Capabilities;
  }

  /** Lets go of the database. */
  close(): void {
    this.#close();
  }
}
