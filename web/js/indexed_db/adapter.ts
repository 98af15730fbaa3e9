// The storage of the browser package: `web/src/storage/` asks for all of this, and is answered by tickets.
//
//   adapter.ts   what is asked; calls.ts: the forms of calls and answers
//   queue.ts     how calls come to share a transaction; batch.ts: what happens in it
//   scan.ts      listings
//   link.ts      the connection; database.ts: the form of the database
//   transaction.ts   what a transaction can do: requests.ts over IndexedDB, memory.ts over memory; deadline.ts
//   record.ts    entries as they are kept; version.ts
import * as calls from './calls.js';
import type { Announce, Host, Mutation } from './calls.js';
import { type Config, Link, completed } from './link.js';
import { Queue } from './queue.js';
import { type Entry, LARGE_BYTES, type Want, setExpiry, toNative } from './record.js';
import { scan } from './scan.js';
import type { Transaction } from './transaction.js';

/** Entries in IndexedDB, or in memory. What has a ticket is answered later, by the host's functions; none of it throws. */
export class Adapter {
  readonly #link: Link;
  readonly #host: Host;
  readonly #queue: Queue;
  readonly #announce: Announce;
  /** Said, and not yet used. */
  #said: Mutation[] = [];
  /** Of updates: what takes the decision that was said. */
  readonly #questions = new Map<number, () => void>();

  private constructor(link: Link, host: Host, announce: Announce) {
    this.#link = link;
    this.#host = host;
    this.#announce = announce;
    this.#queue = new Queue(link, host, announce);
  }

  /** The database of this name; in memory where none is named. */
  static async open(host: Host, announce: Announce, config?: Config): Promise<Adapter> {
    // Loaded only where it is used.
    const link = new Link(config, config === undefined ? new (await import('#memory')).Memory() : undefined);
    await link.open();
    return new Adapter(link, host, announce);
  }

  get lasting(): boolean {
    return this.#link.lasting;
  }

  get(ticket: number, namespace: string, key: string, now: number, values: boolean): void {
    this.#queue.push({ ticket, namespace, now, call: { type: 'read', keys: [key], values } });
  }

  getMany(ticket: number, namespace: string, keys: string, now: number, values: boolean): void {
    this.#queue.push({ ticket, namespace, now, call: { type: 'read', keys: keys.split('\n'), values } });
  }

  mutation(
    kind: number,
    key: string,
    guard: string | undefined,
    bytes: unknown,
    type: string | undefined,
    contentType: string | undefined,
    metadata: string | undefined,
    createdAt: number,
    updatedAt: number,
    expiresAt: number | undefined,
    slidingMs: number | undefined,
    size: number,
    checksum: number,
  ): void {
    const apart = size > LARGE_BYTES;
    const value = toNative(type, bytes);
    const entry: Entry = {
      value: apart ? undefined : value, type: type ?? '', version: '', createdAt, updatedAt, size, checksum,
    };
    if (apart) entry.apart = true;
    if (contentType !== undefined) entry.contentType = contentType;
    if (metadata !== undefined) entry.metadata = metadata;
    if (slidingMs !== undefined) entry.slidingMs = slidingMs;
    if (expiresAt !== undefined) entry.expiresAt = expiresAt;
    this.#said.push({ kind, key, guard, entry, value });
  }

  #taken(namespace: string): Mutation[] {
    const said = this.#said;
    this.#said = [];
    for (const { entry } of said) if (entry.expiresAt !== undefined) setExpiry(entry, namespace, entry.expiresAt);
    return said;
  }

  write(ticket: number, namespace: string, atomic: boolean, now: number, want: Want): void {
    this.#queue.push({ ticket, namespace, now, call: { type: 'write', mutations: this.#taken(namespace), atomic, want } });
  }

  update(ticket: number, namespace: string, key: string, now: number, want: Want): void {
    const asked = (decided: (change: Mutation | undefined) => void): void => {
      this.#questions.set(ticket, () => decided(this.#taken(namespace)[0]));
    };
    this.#queue.push({ ticket, namespace, now, call: { type: 'update', key, want, asked } });
  }

  decide(ticket: number): void {
    const decide = this.#questions.get(ticket);
    this.#questions.delete(ticket);
    decide?.();
  }

  scan(
    ticket: number,
    namespace: string,
    from: string | undefined,
    to: string | undefined,
    after: string | undefined,
    pattern: string | undefined,
    metadata: string | undefined,
    now: number,
    limit: number,
    want: Want,
  ): void {
    const asked = { namespace, range: { from, to, after }, pattern, metadata, now, limit, want };
    this.#run(ticket, async () => {
      const { keys, items, next } = await scan(this.#link, asked);
      for (const item of items ?? []) calls.tell(this.#host, ticket, item, false);
      return [keys === '' ? undefined : keys, next];
    });
  }

  count(
    ticket: number,
    namespace: string,
    from: string | undefined,
    to: string | undefined,
    after: string | undefined,
    now: number,
  ): void {
    this.#run(ticket, async () => {
      const transaction = await this.#link.begin(false);
      const count = await transaction.count(namespace, { from, to, after }, now);
      return count === undefined ? [] : [undefined, undefined, count];
    });
  }

  /** In one transaction: what is found is still expired when it is removed. */
  reclaim(ticket: number, namespace: string | undefined, now: number, limit: number): void {
    this.#run(ticket, async () => {
      const { removed, more } = await this.#writing((transaction) => transaction.reclaim(namespace, now, limit));
      return [undefined, more ? '' : undefined, removed];
    });
  }

  clear(ticket: number, namespace: string, limit: number): void {
    this.#run(ticket, async () => {
      const more = await this.#writing((transaction) => transaction.clear(namespace, limit));
      this.#announce(namespace, '', '0');
      return [undefined, more ? '' : undefined];
    });
  }

  namespaces(ticket: number, after: string | undefined, limit: number): void {
    this.#run(ticket, async () => {
      const transaction = await this.#link.begin(false);
      const { names, more } = await transaction.namespaces(after, limit);
      return [joined(names), more ? names.at(-1) : undefined];
    });
  }

  sleep(ticket: number, longest: number): void {
    setTimeout(() => this.#host.tellEnd(ticket, true), Math.random() * longest);
  }

  /** Lets go of the database. */
  close(): void {
    this.#link.close();
  }

  async #writing<T>(run: (transaction: Transaction) => Promise<T>): Promise<T> {
    const transaction = await this.#link.begin(true);
    const result = await run(transaction);
    transaction.commit();
    await completed(transaction.done);
    return result;
  }

  /** Answers with text, where to go on, and number. */
  #run(ticket: number, run: () => Promise<[text?: string | undefined, next?: string | undefined, number?: number]>): void {
    this.#link.again(run).then(
      (answer) => this.#host.tellEnd(ticket, true, ...answer),
      (error: unknown) => {
        const { code, message } = this.#link.error(error);
        this.#host.tellFailure(ticket, code, message);
      },
    );
  }
}

const joined = (texts: string[]): string | undefined => (texts.length === 0 ? undefined : texts.join('\n'));
