// The calls of a batch, in one transaction: read what they need, decide in their order, write what came of it, commit.
//
// Between the first read and the commit nothing is awaited but requests of the transaction itself, and decisions of callers
// that are ready to decide: otherwise the browser would end it. Records are never changed in place: an earlier call's answer
// shows what was there for that call.
import * as calls from './calls.js';
import type { Host, Item, Mutation, Op, Update, Write } from './calls.js';
import { failure } from './database.js';
import { createdAtOf, itemOf, living } from './item.js';
import { type Link, completed } from './link.js';
import * as record from './record.js';
import { type Entry, type Found, KEY, VALUE, type Want } from './record.js';
import type { Transaction } from './transaction.js';
import { freshVersion } from './version.js';

/** What was changed: namespace, key, and whether it is there now. */
export type Changed = [namespace: string, key: string, there: boolean];

/** What came of the calls, for each what is told of it. */
export interface Outcome {
  answers: Item[][];
  changed: Changed[];
}

const NOTHING = 0;
/** All but the value. */
const ATTRIBUTES = 1;
const ALL = 2;

/** A key, and what is or will be under it. */
class Slot {
  found: Found;
  /** The value, where it lies apart and was read, or is to be written. */
  apart: unknown;
  /** Whether a value lies apart as the transaction begins. */
  wasApart = false;
  change = NOTHING;
  /** Whether some call needs the value. */
  wantValue = false;

  constructor(
    readonly namespace: string,
    readonly key: string,
  ) {}

  /** What stands in the way of the mutation, if anything does. */
  refusal({ kind, guard }: Mutation, now: number, want: Want): Item | undefined {
    if (this.found === 'damaged' && guard === undefined) {
      // Damage can be written over, and removed.
      return kind === calls.PUT || kind === calls.DELETE ? undefined : { kind: calls.DAMAGED };
    }
    const current = living(this.found, now);
    if (current === 'damaged') return { kind: calls.DAMAGED };
    if (guard !== undefined && (current?.version ?? '') !== guard) return itemOf(current, this.apart, want, calls.CONFLICT);
    const absent = current === undefined && (kind === calls.AMEND || kind === calls.EXTEND);
    return absent ? { kind: calls.ABSENT } : undefined;
  }

  /** Applies what nothing stands in the way of. */
  apply({ kind, entry, value }: Mutation, now: number): Item {
    const { found } = this;
    switch (kind) {
      case calls.PUT: {
        const createdAt = createdAtOf(living(found, now)) ?? entry.createdAt;
        this.apart = entry.apart === true ? value : undefined;
        return this.#write({ ...entry, createdAt }, ALL);
      }
      case calls.AMEND: {
        const { contentType, metadata, updatedAt, expiresAt, slidingMs } = entry;
        const amended = { ...(found as Entry), updatedAt };
        assign(amended, 'contentType', contentType);
        assign(amended, 'metadata', metadata);
        assign(amended, 'slidingMs', slidingMs);
        record.setExpiry(amended, this.namespace, expiresAt);
        return this.#write(amended, ATTRIBUTES);
      }
      case calls.EXTEND: {
        const { expiresAt } = found as Entry;
        if (expiresAt !== undefined && expiresAt < (entry.expiresAt ?? 0)) {
          const extended = { ...(found as Entry) };
          record.setExpiry(extended, this.namespace, entry.expiresAt);
          this.#set(extended, ATTRIBUTES);
        }
        return { kind: calls.HELD };
      }
      case calls.DELETE: {
        const lived = living(this.found, now) !== undefined;
        if (found !== undefined) this.#set(undefined, ALL);
        return { kind: lived ? calls.DELETED : calls.ABSENT };
      }
      default:
        return { kind: calls.HELD };
    }
  }

  #write(entry: Entry, change: number): Item {
    entry.version = freshVersion();
    this.#set(entry, change);
    return { kind: calls.WRITTEN, version: entry.version };
  }

  #set(found: Found, change: number): void {
    this.found = found;
    this.change = Math.max(this.change, change);
  }
}

function assign<K extends 'contentType' | 'metadata' | 'slidingMs'>(entry: Entry, name: K, value: Entry[K]): void {
  if (value === undefined) delete entry[name];
  else entry[name] = value;
}

/** Runs the calls: what came of each, or nothing of it was applied. */
export async function transact(link: Link, host: Host, ops: Op[]): Promise<Outcome> {
  const writing = ops.some(({ call }) => call.type !== 'read');
  const begun = link.begin(writing);
  const transaction = begun instanceof Promise ? await begun : begun;
  try {
    return (await replaced(transaction, ops)) ?? (await new Batch(transaction, host, ops).run(writing));
  } catch (error) {
    transaction.abort();
    throw error;
  }
}

/** The one call, where it sets one entry whatever is there: that need not be known here, a step less. */
async function replaced(transaction: Transaction, ops: Op[]): Promise<Outcome | undefined> {
  const [op, second] = ops;
  if (transaction.replace === undefined || op?.call.type !== 'write' || second !== undefined) return undefined;
  const [mutation, another] = op.call.mutations;
  if (mutation?.kind !== calls.PUT || mutation.guard !== undefined || another !== undefined) return undefined;
  const { namespace, now } = op;
  const { key, value } = mutation;
  const entry = { ...mutation.entry, version: freshVersion() };
  await completed(transaction.replace({ namespace, key }, entry, entry.apart && value, now));
  return { answers: [[{ kind: calls.WRITTEN, version: entry.version }]], changed: [[namespace, key, true]] };
}

function tooLate(error: unknown): never {
  throw error ?? failure('TimeoutError', 'a decision came too late');
}

class Batch {
  readonly #transaction: Transaction;
  readonly #host: Host;
  readonly #ops: Op[];
  readonly #slots = new Map<string, Slot>();

  constructor(transaction: Transaction, host: Host, ops: Op[]) {
    this.#transaction = transaction;
    this.#host = host;
    this.#ops = ops;
    for (const { namespace, call } of ops) {
      switch (call.type) {
        case 'read':
          for (const key of call.keys) this.#slot(namespace, key);
          break;
        case 'update':
          this.#slot(namespace, call.key).wantValue ||= call.want === VALUE;
          break;
        case 'write':
          for (const { key, guard } of call.mutations) {
            this.#slot(namespace, key).wantValue ||= guard !== undefined && call.want === VALUE;
          }
      }
    }
  }

  /** The slot of the key; there is one for each that is named. */
  #slot(namespace: string, key: string): Slot {
    const name = `${namespace}\n${key}`;
    let slot = this.#slots.get(name);
    if (slot === undefined) this.#slots.set(name, (slot = new Slot(namespace, key)));
    return slot;
  }

  async run(writing: boolean): Promise<Outcome> {
    await this.#read();
    const answers: Item[][] = [];
    for (const op of this.#ops) {
      const { call } = op;
      if (call.type === 'read') answers.push(this.#states(op, call.keys, call.values));
      else if (call.type === 'write') answers.push(this.#written(op, call));
      else answers.push([await this.#updated(op, call)]);
    }
    if (!writing) return { answers, changed: [] };
    const changed = this.#write();
    this.#transaction.commit();
    await completed(this.#transaction.done);
    return { answers, changed };
  }

  async #read(): Promise<void> {
    const slots = [...this.#slots.values()];
    // One key alone gets its value along.
    const loaded = slots.length === 1;
    const reads = await this.#transaction.read(slots, loaded);
    slots.forEach((slot, at) => {
      slot.found = record.found(reads[at]?.record);
      slot.wasApart = record.isApart(slot.found);
      slot.apart = reads[at]?.apart;
    });
    if (!loaded) await this.#readApart(slots);
  }

  /** Values that lie apart, where somebody needs them: as many as one answer may hold. */
  async #readApart(slots: Slot[]): Promise<void> {
    for (const { namespace, call } of this.#ops) {
      if (call.type !== 'read' || !call.values) continue;
      let weight = 0;
      for (const key of call.keys) {
        const slot = this.#slot(namespace, key);
        if (slot.found !== undefined && slot.found !== 'damaged') weight += record.weight(slot.found, VALUE);
        slot.wantValue = true;
        if (weight > record.ANSWER_BYTES) break;
      }
    }
    const unread = slots.filter((slot) => slot.wantValue && slot.wasApart && slot.found !== 'damaged');
    if (unread.length === 0) return;
    const values = await this.#transaction.readApart(unread);
    unread.forEach((slot, at) => (slot.apart = values[at]));
  }

  /** For the first keys, as many as one answer may hold. */
  #states({ namespace, now }: Op, keys: string[], values: boolean): Item[] {
    const want = values ? VALUE : record.ATTRIBUTES;
    const items: Item[] = [];
    let weight = 0;
    for (const key of keys) {
      const slot = this.#slot(namespace, key);
      const there = living(slot.found, now);
      if (there !== undefined && there !== 'damaged') weight += record.weight(there, want);
      if (weight > record.ANSWER_BYTES && items.length > 0) break;
      items.push(itemOf(there, slot.apart, want));
    }
    return items;
  }

  #written({ namespace, now }: Op, { mutations, atomic, want }: Write): Item[] {
    const refuse = (mutation: Mutation) => this.#slot(namespace, mutation.key).refusal(mutation, now, want);
    if (atomic) {
      const refusals = mutations.map(refuse);
      if (refusals.some((refusal) => refusal !== undefined)) {
        return refusals.map((refusal) => refusal ?? { kind: calls.NOT_APPLIED });
      }
    }
    return mutations.map(
      (mutation) => refuse(mutation) ?? this.#slot(namespace, mutation.key).apply(mutation, now),
    );
  }

  async #updated({ ticket, namespace, now }: Op, update: Update): Promise<Item> {
    const slot = this.#slot(namespace, update.key);
    const state = itemOf(living(slot.found, now), slot.apart, update.want === KEY ? record.ATTRIBUTES : update.want);
    if (state.kind === calls.DAMAGED) return state;
    let change: Mutation | undefined;
    let known = false;
    const decision = new Promise<void>((resolve) => {
      update.asked((decided) => {
        change = decided;
        known = true;
        resolve();
      });
    });
    calls.tell(this.#host, ticket, state, false);
    this.#host.tellEnd(ticket, false);
    // Who decides does so at once, or as soon as the browser lets him. Should he not while the transaction lives, nothing is applied.
    if (!known) await Promise.race([decision, this.#transaction.done?.then(tooLate)]);
    return change === undefined ? { kind: calls.ABSENT } : slot.apply(change, now);
  }

  /** Asks for all that has changed to be written. */
  #write(): Changed[] {
    const changed: Changed[] = [];
    for (const slot of this.#slots.values()) {
      const { found, namespace, key } = slot;
      if (slot.change === NOTHING) continue;
      const there = found !== undefined && found !== 'damaged';
      if (!there) this.#transaction.remove(slot, slot.wasApart);
      else if (found.apart !== true || slot.change === ALL) this.#transaction.put(slot, found, slot.apart, slot.wasApart);
      else this.#transaction.amend(slot, found);
      changed.push([namespace, key, there]);
    }
    return changed;
  }
}
