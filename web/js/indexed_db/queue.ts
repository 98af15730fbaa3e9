// Calls of one tick share one transaction, and each gets its own answer.
//
// What is in the queue when the browser has run all that is ready to run goes into one transaction (`batch.ts`). If that
// fails each is tried by itself, so that nobody fails for what another one wanted. A transaction that did not complete was
// undone, so trying again is safe.
import { type Changed, type Outcome, transact } from './batch.js';
import * as calls from './calls.js';
import type { Announce, Host, Op } from './calls.js';
import { itemOf, living } from './item.js';
import type { Link } from './link.js';
import { ATTRIBUTES, VALUE, found } from './record.js';
import type { Read } from './transaction.js';

export class Queue {
  readonly #link: Link;
  readonly #host: Host;
  readonly #announce: Announce;
  #waiting: Op[] = [];

  constructor(link: Link, host: Host, announce: Announce) {
    this.#link = link;
    this.#host = host;
    this.#announce = announce;
  }

  push(op: Op): void {
    // The first one sees to it that all go: behind whatever is ready to run now, and would come along.
    if (this.#waiting.push(op) > 1) return;
    queueMicrotask(() => {
      const ops = this.#waiting;
      this.#waiting = [];
      if (!this.#single(ops)) void this.#run(ops);
    });
  }

  /** A read of one key, alone in its tick, needs none of what is shared: that would cost half as much as the browser takes. */
  #single(ops: Op[]): boolean {
    const [op, another] = ops;
    if (op?.call.type !== 'read' || another !== undefined) return false;
    const { ticket, namespace, now, call } = op;
    const [key, second] = call.keys;
    if (key === undefined || second !== undefined) return false;
    const want = call.values ? VALUE : ATTRIBUTES;
    const done = ({ record, apart }: Read): void =>
      calls.tell(this.#host, ticket, itemOf(living(found(record), now), apart, want), true);
    try {
      // What fails is tried the other way, which knows what to do.
      return this.#link.readOne({ namespace, key }, call.values, done, () => void this.#run(ops));
    } catch {
      return false;
    }
  }

  async #run(ops: Op[]): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = await this.#link.again(() => transact(this.#link, this.#host, ops));
    } catch (error) {
      if (ops.length > 1) {
        for (const op of ops) await this.#run([op]);
      } else {
        const { code, message } = this.#link.error(error);
        for (const { ticket } of ops) this.#host.tellFailure(ticket, code, message);
      }
      return;
    }
    this.#tell(outcome.changed);
    ops.forEach(({ ticket }, at) => {
      const items = outcome.answers[at] ?? [];
      items.forEach((item, at) => calls.tell(this.#host, ticket, item, at === items.length - 1));
    });
  }

  /** Tells of what a transaction has changed, those of one namespace together. */
  #tell(changed: Changed[]): void {
    for (let at = 0; at < changed.length; ) {
      const [namespace] = changed[at] as Changed;
      let keys = '';
      let there = '';
      for (; changed[at]?.[0] === namespace; at += 1) {
        const [, key, now] = changed[at] as Changed;
        keys += there === '' ? key : `\n${key}`;
        there += now ? '1' : '0';
      }
      this.#announce(namespace, keys, there);
    }
  }
}
