// What is asked of the storage, and whom the answers are told.
import { type Entry, type Want, textOf } from './record.js';

/** What is told of one key, as `item.rs` numbers it. */
export const ABSENT = 0;
export const DAMAGED = 1;
export const THERE = 2;
export const WRITTEN = 3;
export const HELD = 4;
export const DELETED = 5;
export const CONFLICT = 6;
export const NOT_APPLIED = 7;

/** One item of an answer. */
export interface Item {
  kind: number;
  key?: string;
  /** What was written. */
  version?: string;
  entry?: Entry;
  /** Of the entry, where it is wanted. */
  value?: unknown;
}

/** What is done to a key, as the core numbers it. */
export const PUT = 0;
export const AMEND = 1;
export const EXTEND = 2;
export const DELETE = 3;
export const CHECK = 4;

export interface Mutation {
  kind: number;
  key: string;
  /** The version that must be there, empty for none; undefined: whatever is there. */
  guard: string | undefined;
  /** A new entry to put, without its version; what an amendment says; when an extension ends. */
  entry: Entry;
  /** A value to put. */
  value: unknown;
}

export interface Write {
  type: 'write';
  mutations: Mutation[];
  atomic: boolean;
  /** As much of what stands in the way. */
  want: Want;
}

export interface Update {
  type: 'update';
  key: string;
  want: Want;
  /** Told how to answer, before the question is put. */
  asked: (decided: (change: Mutation | undefined) => void) => void;
}

export interface Read {
  type: 'read';
  keys: string[];
  values: boolean;
}

/** One call. */
export interface Op {
  ticket: number;
  namespace: string;
  now: number;
  call: Write | Update | Read;
}

/** The functions of the WebAssembly module that take answers: `ticket.rs`, `item.rs`. */
export interface Host {
  tellItem(
    ticket: number,
    kind: number,
    key: string | undefined,
    version: string | undefined,
    valueType: string | undefined,
    contentType: string | undefined,
    metadata: string | undefined,
    createdAt: number,
    updatedAt: number,
    expiresAt: number | undefined,
    slidingMs: number | undefined,
    size: number,
    checksum: number,
    text: string | undefined,
    bytes: Uint8Array | undefined,
    last: boolean,
  ): void;
  tellEnd(ticket: number, last: boolean, text?: string, next?: string, number?: number): void;
  tellFailure(ticket: number, code: string, message: string): void;
}

/** Without a type there is no entry, and nothing else of it counts. */
const NOTHING = {} as Entry;

/** Tells of one item; with `last` that is all. */
export function tell({ tellItem }: Host, ticket: number, { kind, key, version, entry, value }: Item, last: boolean): void {
  const of = entry ?? NOTHING;
  tellItem(
    ticket, kind, key, version ?? of.version, of.type, of.contentType, of.metadata, of.createdAt, of.updatedAt, of.expiresAt,
    of.slidingMs, of.size, of.checksum, textOf(value), value instanceof Uint8Array ? value : undefined, last,
  );
}

/** Who is told of the keys that a transaction has changed: joined by line breaks, and for each `1` if it is there now. */
export type Announce = (namespace: string, keys: string, there: string) => void;
