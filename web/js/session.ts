import type { Changes } from './changes.js';
import { KvError, asKvError } from './error.js';
import type { Backend } from './layer.js';
import { abortable, throwIfAborted } from './options.js';
import { type Encoded, type StoredValue, encode } from './values.js';

/** How values become what is stored: a store, or a subclass of it. */
export interface Codec {
  serialize(value: unknown): StoredValue | Promise<StoredValue>;
  deserialize(stored: StoredValue): unknown;
}

/** What `open` gives to the constructor, and nobody else can. */
export class Opened {
  constructor(
    readonly handle: Backend,
    readonly changes: Changes,
    readonly namespace: string,
    /** Milliseconds between two cleanups, where there are to be any. */
    readonly cleanup: number | undefined,
  ) {}
}

const CLEANUP_PART = 1000;

/** An open store, as the calls see it: whom to ask, whether it is closed, how values are stored. */
export class Session {
  readonly handle: Backend;
  readonly changes: Changes;
  readonly namespace: string;
  readonly codec: Codec;
  #closed = false;
  #cleanup: ReturnType<typeof setInterval> | undefined;

  constructor({ handle, changes, namespace, cleanup }: Opened, codec: Codec) {
    this.handle = handle;
    this.changes = changes;
    this.namespace = namespace;
    this.codec = codec;
    if (cleanup !== undefined) {
      this.#cleanup = setInterval(() => void this.#cleanUp(), cleanup);
      // In Node it alone does not keep a program running.
      (this.#cleanup as { unref?: () => void }).unref?.();
    }
  }

  /** Throws where the store is closed. */
  open(): void {
    if (this.#closed) throw new KvError('closed', 'the store is closed');
  }

  /** One call of the WebAssembly module's, which rejects with `KvError`s; what is thrown at once is one, too. */
  call<T>(signal: AbortSignal | undefined, call: () => Promise<unknown>): Promise<T> {
    this.open();
    throwIfAborted(signal);
    try {
      return abortable(call() as Promise<T>, signal);
    } catch (error) {
      throw asKvError(error);
    }
  }

  /** Not a promise unless it must be: calls of one tick keep their order. */
  encode(value: unknown): Encoded | Promise<Encoded> {
    const stored = this.codec.serialize(value);
    return stored instanceof Promise ? stored.then(encode) : encode(stored);
  }

  async encodeAll(values: unknown[]): Promise<Encoded[]> {
    const encoded = values.map((value) => this.encode(value));
    return encoded.some((one) => one instanceof Promise) ? Promise.all(encoded) : (encoded as Encoded[]);
  }

  /** Removes expired entries of the namespace: how many. */
  async cleanupExpired(signal: AbortSignal | undefined): Promise<number> {
    let removed = 0;
    for (;;) {
      const [count, more] = await this.call<[number, boolean]>(signal, () =>
        this.handle.cleanupExpired(this.namespace, CLEANUP_PART),
      );
      removed += count;
      if (!more) return removed;
    }
  }

  async clear(signal: AbortSignal | undefined): Promise<void> {
    while (await this.call<boolean>(signal, () => this.handle.clear(this.namespace, 10_000)));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#cleanup);
    this.changes.close();
    this.handle.close();
  }

  async #cleanUp(): Promise<void> {
    try {
      // One part at a time: what is left has the next round.
      if (!this.#closed) await this.handle.cleanupExpired(undefined, CLEANUP_PART);
    } catch {
      // The next round tries again.
    }
  }
}
