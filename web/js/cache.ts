// A cache in memory in front of a backend, as `docs/layers.md` describes it: a file of its own in the package, loaded when a
// store with a cache is opened.
import { LRUCache } from 'lru-cache';
import type { Changes } from './changes.js';
import type { RawEntry } from './entry.js';
import { type Backend, Layer } from './layer.js';

/** An answer: none where there is no entry. Without its value where only the rest was asked for. */
interface Answer {
  entry: RawEntry | undefined;
  whole: boolean;
}

/** A read under way, shared by all who ask meanwhile. Not kept if something was written since it began. */
interface Flight {
  answer: Promise<RawEntry | undefined>;
  whole: boolean;
  kept: boolean;
}

/** An entry counts once for each of these begun. */
const WEIGHT = 64 * 1024;

/** Neither part can hold a line break. */
const nameOf = (namespace: string, key: string): string => `${namespace}\n${key}`;

/**
 * `get`, `entry`, `describe` and `getMany` are answered from it, and read through it; everything else goes past it. Whatever is
 * written through it is forgotten before and after, together with the reads under way.
 */
export class Cached extends Layer {
  readonly #answers: LRUCache<string, Answer>;
  readonly #flights = new Map<string, Flight>();
  /** Keys that are being written, and by how many calls. */
  readonly #writing = new Map<string, number>();
  /** Calls under way that may write any key. */
  #sweeping = 0;
  readonly #ttl: number;

  /**
   * @param ttl how old an answer may be, in milliseconds
   * @param size how many entries are kept
   * @param watch tells of what other tabs, or other stores of this one, have written
   */
  constructor(below: Backend, ttl: number, size: number, watch: Changes['watch']) {
    super(below);
    this.#ttl = ttl;
    this.#answers = new LRUCache({
      maxSize: size,
      ttl,
      ttlResolution: 0,
      sizeCalculation: ({ entry }) =>
        Math.max(1, Math.ceil(((entry?.size ?? 0) + (entry?.metadata?.length ?? 0)) / WEIGHT)),
    });
    watch(({ namespace, keys, there }) => {
      if (keys === '' || there === 'p') this.#forgetAll();
      else for (const key of keys.split('\n')) this.#forget(nameOf(namespace, key));
    });
  }

  #forget(name: string): void {
    this.#answers.delete(name);
    const flight = this.#flights.get(name);
    if (flight === undefined) return;
    flight.kept = false;
    this.#flights.delete(name);
  }

  #forgetAll(): void {
    this.#answers.clear();
    for (const flight of this.#flights.values()) flight.kept = false;
    this.#flights.clear();
  }

  /** What is known of a key, if it is enough and still holds. */
  #known(name: string, whole: boolean): Answer | undefined {
    const answer = this.#answers.get(name);
    if (answer === undefined || (whole && !answer.whole && answer.entry !== undefined)) return undefined;
    // Somebody may have renewed it.
    if (answer.entry?.expiresAt !== undefined && answer.entry.expiresAt <= Date.now()) return undefined;
    return answer;
  }

  /** A read under way that is enough. */
  #joined(name: string, whole: boolean): Flight | undefined {
    const flight = this.#flights.get(name);
    return flight !== undefined && (flight.whole || !whole) ? flight : undefined;
  }

  #start(name: string, whole: boolean, reading: Promise<RawEntry | undefined>): Flight {
    const start = performance.now();
    // One at a time is looked after.
    this.#forget(name);
    const flight: Flight = {
      whole,
      kept: true,
      answer: reading.then(
        (entry) => {
          this.#land(name, flight, () => {
            // Each read moves a sliding expiry: it has to be made.
            if (entry?.slidingMs !== undefined) return;
            this.#answers.set(name, { entry, whole }, { start });
          });
          return entry;
        },
        (error: unknown) => {
          this.#land(name, flight, () => {});
          throw error;
        },
      ),
    };
    this.#flights.set(name, flight);
    return flight;
  }

  #land(name: string, flight: Flight, keep: () => void): void {
    if (this.#flights.get(name) === flight) this.#flights.delete(name);
    if (flight.kept && this.#sweeping === 0 && !this.#writing.has(name)) keep();
  }

  async #read(namespace: string, key: string, whole: boolean): Promise<RawEntry | undefined> {
    const name = nameOf(namespace, key);
    const known = this.#known(name, whole);
    if (known !== undefined) return copy(known.entry);
    const flight =
      this.#joined(name, whole) ?? this.#start(name, whole, this.below.entry(namespace, key, whole) as Promise<RawEntry>);
    return copy(await flight.answer);
  }

  override get(namespace: string, key: string) {
    return this.#read(namespace, key, true);
  }

  override entry(namespace: string, key: string, whole: boolean) {
    return this.#read(namespace, key, whole);
  }

  override async getMany(namespace: string, keys: string[]) {
    const found = new Map<string, Promise<RawEntry | undefined> | RawEntry | undefined>();
    const missing: string[] = [];
    for (const key of keys) {
      const name = nameOf(namespace, key);
      const known = this.#known(name, true);
      if (known !== undefined) found.set(key, known.entry);
      else {
        const flight = this.#joined(name, true);
        if (flight === undefined) missing.push(key);
        else found.set(key, flight.answer);
      }
    }
    if (missing.length > 0) {
      const reading = this.below.getMany(namespace, missing, true) as Promise<(RawEntry | undefined | Error)[]>;
      missing.forEach((key, at) => {
        const one = reading.then((entries) => {
          const entry = entries[at];
          if (entry instanceof Error) throw entry;
          return entry;
        });
        found.set(key, this.#start(nameOf(namespace, key), true, one).answer);
      });
      // A call that failed as a whole fails as a whole.
      for (const answer of found.values()) if (answer instanceof Promise) answer.catch(() => {});
      await reading;
    }
    return Promise.all(
      keys.map(async (key) => {
        try {
          return copy(await found.get(key));
        } catch (error) {
          return error;
        }
      }),
    );
  }

  /** Runs a write of these keys. */
  async #write<T>(namespace: string, keys: string[], write: () => Promise<T>): Promise<T> {
    const names = keys.map((key) => nameOf(namespace, key));
    for (const name of names) {
      this.#writing.set(name, (this.#writing.get(name) ?? 0) + 1);
      this.#forget(name);
    }
    try {
      return await write();
    } finally {
      // Also where it failed: it may have been applied.
      for (const name of names) {
        const others = (this.#writing.get(name) ?? 1) - 1;
        if (others > 0) this.#writing.set(name, others);
        else this.#writing.delete(name);
        this.#forget(name);
      }
    }
  }

  /** Runs a write of keys that are not known. */
  async #sweep<T>(write: () => Promise<T>): Promise<T> {
    this.#sweeping += 1;
    this.#forgetAll();
    try {
      return await write();
    } finally {
      this.#sweeping -= 1;
      this.#forgetAll();
    }
  }

  override set(...call: Parameters<Backend['set']>) {
    return this.#write(call[0], [call[1]], () => super.set(...call));
  }
  override setMany(...call: Parameters<Backend['setMany']>) {
    return this.#write(call[0], call[1], () => super.setMany(...call));
  }
  override delete(...call: Parameters<Backend['delete']>) {
    return this.#write(call[0], [call[1]], () => super.delete(...call));
  }
  override deleteMany(...call: Parameters<Backend['deleteMany']>) {
    return this.#write(call[0], call[1], () => super.deleteMany(...call));
  }
  override compareAndSwap(...call: Parameters<Backend['compareAndSwap']>) {
    return this.#write(call[0], [call[1]], () => super.compareAndSwap(...call));
  }
  override increment(...call: Parameters<Backend['increment']>) {
    return this.#write(call[0], [call[1]], () => super.increment(...call));
  }
  override append(...call: Parameters<Backend['append']>) {
    return this.#write(call[0], [call[1]], () => super.append(...call));
  }
  override setMetadata(...call: Parameters<Backend['setMetadata']>) {
    return this.#write(call[0], [call[1]], () => super.setMetadata(...call));
  }
  override setExpiry(...call: Parameters<Backend['setExpiry']>) {
    return this.#write(call[0], [call[1]], () => super.setExpiry(...call));
  }
  override transact(...call: Parameters<Backend['transact']>) {
    const [namespace, checks, actions] = call;
    // What was checked too: if it did not hold, what is known here may be old.
    const keys = ([...checks, ...actions] as [string][]).map(([key]) => key);
    return this.#write(namespace, keys, () => super.transact(...call));
  }
  override deletePattern(...call: Parameters<Backend['deletePattern']>) {
    return this.#sweep(() => super.deletePattern(...call));
  }
  override clear(...call: Parameters<Backend['clear']>) {
    return this.#sweep(() => super.clear(...call));
  }

  override async capabilities() {
    return { ...(await super.capabilities()), staleReadsMs: this.#ttl };
  }

  override close() {
    this.#forgetAll();
    super.close();
  }
}

/** What the caller may change. */
function copy(entry: RawEntry | undefined): RawEntry | undefined {
  return entry?.data instanceof Uint8Array ? { ...entry, data: entry.data.slice() } : entry;
}
