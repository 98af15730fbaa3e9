// The connection: opened when it is needed, and again after the browser or another tab made us let go of it. Or memory,
// which needs none.
import { type KvErrorCode, KvError } from '../error.js';
import { closeDatabase, openDatabase } from './database.js';
import type { Memory } from './memory.js';
import { Requests, readOne } from './requests.js';
import type { Name, Read, Transaction } from './transaction.js';

export type Durability = 'relaxed' | 'strict';

/** Which database, and how it is used. */
export interface Config {
  name: string;
  durability: Durability;
  /** How long opening, or a transaction, may take, in milliseconds. */
  timeoutMs: number;
}

const nameOf = (error: unknown): string => (error as { name?: string } | null)?.name ?? 'Error';

/** Whether a new connection may help: the browser closed the database, for example to save memory. */
const connectionLost = (error: unknown): boolean =>
  ['AbortError', 'InvalidStateError', 'TransactionInactiveError', 'UnknownError'].includes(nameOf(error));

/** The browser's errors in the store's words, by the names of DOMException. Nothing was applied: the browser undid it. */
const TOLD: Record<string, [code: KvErrorCode, what: string]> = {
  QuotaExceededError: ['unavailable', 'the browser gives this site no more space'],
  VersionError: ['unsupported', 'a newer version of this package has changed it'],
  NotSupportedError: ['unsupported', 'no storage here'],
  SecurityError: ['access-denied', 'the browser does not let this page store anything'],
};

export class Link {
  readonly #config: Config | undefined;
  readonly #memory: Memory | undefined;
  #open: IDBDatabase | undefined;
  /** Set by `close`, for good. */
  #closed = false;

  /** Without settings: memory. */
  constructor(config: Config | undefined, memory?: Memory) {
    this.#config = config;
    this.#memory = memory;
  }

  get lasting(): boolean {
    return this.#memory === undefined;
  }

  /** The database, opened if it is not. */
  async #database({ name, timeoutMs }: Config): Promise<IDBDatabase> {
    this.#stillOpen();
    if (this.#open !== undefined) return this.#open;
    const database: IDBDatabase = await openDatabase(name, timeoutMs, () => {
      if (this.#open === database) this.#open = undefined;
    });
    // Another call may have opened it meanwhile: one connection is enough.
    if (this.#open !== undefined || this.#closed) closeDatabase(database);
    this.#stillOpen();
    this.#open ??= database;
    return this.#open;
  }

  #stillOpen(): void {
    if (this.#closed) throw new KvError('invalid-argument', 'the store is closed');
  }

  /** Opens the database, if it is not open. */
  async open(): Promise<void> {
    try {
      if (this.#config !== undefined) await this.#database(this.#config);
    } catch (error) {
      throw this.error(error);
    }
  }

  /** A transaction, begun before this returns where the database is open. */
  begin(writing: boolean): Transaction | Promise<Transaction> {
    this.#stillOpen();
    if (this.#memory !== undefined) return this.#memory.begin(writing);
    const config = this.#config as Config;
    const begun = (database: IDBDatabase) => new Requests(database, writing, config.durability, config.timeoutMs);
    return this.#open === undefined ? this.#database(config).then(begun) : begun(this.#open);
  }

  /** As `readOne` of `requests.ts`, where a database is open. */
  readOne(name: Name, values: boolean, done: (read: Read) => void, failed: () => void): boolean {
    const { timeoutMs = 0 } = this.#config ?? {};
    return this.#open !== undefined && readOne(this.#open, timeoutMs, name, values, done, failed);
  }

  /** Runs it, and once more where the connection was lost: what was under way is undone, and so can be done again. */
  async again<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (!connectionLost(error)) throw error;
      this.#forget();
      return run();
    }
  }

  /** Lets go of the connection; the next call opens another. */
  #forget(): void {
    if (this.#open !== undefined) closeDatabase(this.#open);
    this.#open = undefined;
  }

  /** Lets go of the connection. Transactions that have begun are completed. */
  close(): void {
    this.#closed = true;
    this.#forget();
  }

  error(error: unknown): KvError {
    if (error instanceof KvError) return error;
    const name = nameOf(error);
    const [code, what] = TOLD[name] ?? ['unavailable', 'the browser gave up'];
    const message = (error as { message?: string } | null)?.message ?? 'no more was told';
    return new KvError(code, `database ${JSON.stringify(this.#config?.name ?? 'in memory')}: ${what} (${name}: ${message})`, {
      cause: error,
    });
  }
}

/** The end of a transaction that writes: throws where nothing of it was applied. */
export async function completed(done: Promise<unknown> | undefined): Promise<void> {
  const error = await done;
  if (error !== undefined) throw error;
}
