import { rules } from './wasm.js';

/** A change that was made to an entry, in this tab or in another one. */
export interface Change {
  /**
   * `set`: there is a new value, metadata or expiry. `delete`: it is gone. `clear`: the whole namespace is. `deletePattern`:
   * some keys are, and which ones only the service knows that removed them, so read again; only with the backend `http`.
   */
  type: 'set' | 'delete' | 'clear' | 'deletePattern';
  /** Empty with `clear`; with `deletePattern` the pattern. */
  key: string;
  /** Of the store that subscribed. */
  namespace: string;
  /** Whether it was made by this tab or worker. */
  local: boolean;
}

/** What is told of a write. */
export interface Message {
  namespace: string;
  /** Joined by line breaks; empty for the whole namespace. */
  keys: string;
  /** For each key `1` if it is there now, else `0`; or `p`, and `keys` is a pattern. */
  there: string;
}

/** Tells of changes: of one database, or of one store in memory. */
export class Changes {
  readonly #listeners = new Set<(message: Message, local: boolean) => void>();
  readonly #channel: BroadcastChannel | undefined;
  /** What other tabs are to be told: together, since telling costs as much as a tenth of a write. */
  #untold: Message[] = [];

  /** @param name of the database, or the address of the service, that other tabs have open too */
  constructor(name?: string) {
    if (name === undefined || typeof BroadcastChannel === 'undefined') return;
    this.#channel = new BroadcastChannel(`dataknobs-kv:${name}`);
    this.#channel.onmessage = ({ data }: MessageEvent<Message[]>) => {
      for (const message of data) this.#tell(message, false);
    };
    globalThis.addEventListener?.('pagehide', this.#flush);
    // It alone does not keep a program running.
    (this.#channel as { unref?: () => void }).unref?.();
  }

  /** For the backend, after each write. */
  readonly announce = (namespace: string, keys: string, there: string): void => {
    const message = { namespace, keys, there };
    if (this.#channel !== undefined && this.#untold.push(message) === 1) setTimeout(this.#flush, 0);
    this.#tell(message, true);
  };

  readonly #flush = (): void => {
    if (this.#untold.length > 0) this.#channel?.postMessage(this.#untold);
    this.#untold = [];
  };

  #tell(message: Message, local: boolean): void {
    for (const listener of this.#listeners) listener(message, local);
  }

  /** All messages, as they come. */
  watch(listener: (message: Message) => void): void {
    this.#listeners.add(listener);
  }

  listen(namespace: string, pattern: string, callback: (change: Change) => void): () => void {
    const { matching } = rules();
    // What is no pattern is refused now.
    matching(pattern, '');
    const listener = (message: Message, local: boolean): void => {
      if (message.namespace !== namespace) return;
      if (message.keys === '') {
        report(callback, { type: 'clear', key: '', namespace, local });
        return;
      }
      if (message.there === 'p') {
        report(callback, { type: 'deletePattern', key: message.keys, namespace, local });
        return;
      }
      const fits = matching(pattern, message.keys);
      message.keys.split('\n').forEach((key, at) => {
        if (fits[at] !== '1') return;
        report(callback, { type: message.there[at] === '1' ? 'set' : 'delete', key, namespace, local });
      });
    };
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#listeners.clear();
    this.#flush();
    globalThis.removeEventListener?.('pagehide', this.#flush);
    this.#channel?.close();
  }
}

/** An error of the callback is its own: it must not fail the write that it is told of. */
function report(callback: (change: Change) => void, change: Change): void {
  queueMicrotask(() => callback(change));
}
