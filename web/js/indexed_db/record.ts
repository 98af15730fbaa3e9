// How an entry lies: the record of it, and the texts of its key in the order of the store.

/** What is kept for one entry. The index of what expires takes those that have `expiresAt` and `namespace`. */
export interface Entry {
  /** What `toNative` makes of it; undefined where it lies apart. */
  value: unknown;
  /** Whether the value lies in a store of its own. */
  apart?: true;
  type: string;
  version: string;
  createdAt: number;
  updatedAt: number;
  /** Of the value, in bytes. */
  size: number;
  checksum: number;
  contentType?: string;
  metadata?: string;
  expiresAt?: number;
  slidingMs?: number;
  namespace?: string;
}

/** What was found under a key: anybody can write into the database. */
export type Found = Entry | 'damaged' | undefined;

/** A larger value is not read along with its attributes. */
export const LARGE_BYTES = 64 * 1024;

// IndexedDB orders text by UTF-16 code units, the store by UTF-8 bytes. They differ where surrogates meet what lies behind
// them, and nowhere once the two ranges have changed places.
const ODD = /[\ud800-\uffff]/;
const ODDS = /[\ud800-\uffff]/g;

const moved = (text: string, border: number, below: number, above: number): string =>
  ODD.test(text)
    ? text.replace(ODDS, (unit) => {
        const code = unit.charCodeAt(0);
        return String.fromCharCode(code + (code < border ? below : above));
      })
    : text;

export const toOrdered = (text: string): string => moved(text, 0xe000, 0x2000, -0x800);

export const fromOrdered = (text: string): string => moved(text, 0xf800, 0x800, -0x2000);

export const toOptional = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : toOrdered(text);

const text = (value: unknown): boolean => typeof value === 'string';
const number = (value: unknown): boolean => typeof value === 'number';
const optional = (value: unknown, is: (value: unknown) => boolean): boolean => value === undefined || is(value);

/** The entry, if it is one of ours. */
export function found(record: unknown): Found {
  if (record === undefined) return undefined;
  const entry = record as Entry | null;
  const ours =
    typeof entry === 'object' && entry !== null && text(entry.type) && text(entry.version) &&
    number(entry.createdAt) && number(entry.updatedAt) && number(entry.size) && number(entry.checksum) &&
    optional(entry.contentType, text) && optional(entry.metadata, text) && optional(entry.expiresAt, number) &&
    optional(entry.slidingMs, number);
  return ours ? entry : 'damaged';
}

export const expired = ({ expiresAt }: Entry, now: number): boolean => expiresAt !== undefined && expiresAt <= now;

export const isApart = (entry: Found): boolean => entry !== undefined && (entry === 'damaged' || entry.apart === true);

/** Sets the expiry, or takes it away. */
export function setExpiry(entry: Entry, namespace: string, expiresAt: number | undefined): void {
  if (expiresAt === undefined) {
    delete entry.expiresAt;
    delete entry.namespace;
  } else {
    entry.expiresAt = expiresAt;
    entry.namespace = toOrdered(namespace);
  }
}

/**
 * A value as it is kept, so that the browser's tools show it: a number, a boolean or null where that gives back the very text.
 * What is no text comes as bytes, and stays so.
 */
export function toNative(type: string | undefined, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  switch (type) {
    case 'integer':
    case 'number':
      return String(Number(value)) === value ? Number(value) : value;
    case 'boolean':
      return value === 'true' || (value === 'false' ? false : value);
    case 'null':
      return value === '' ? null : value;
    default:
      return value;
  }
}

/** Its text again; undefined where it has none. */
export function textOf(value: unknown): string | undefined {
  if (value === undefined || value instanceof Uint8Array) return undefined;
  return value === null ? '' : String(value);
}

/** What belongs to an entry may weigh so much in one answer, in bytes; the rest is asked for again. */
export const ANSWER_BYTES = 8 * 1024 * 1024;

/** About what it weighs in an answer. */
export const weight = (entry: Entry, want: Want): number =>
  want === KEY ? 0 : 128 + (entry.metadata?.length ?? 0) + (want === VALUE ? entry.size : 0);

/** How much of an entry is wanted, as the core numbers it. */
export type Want = 0 | 1 | 2;
export const KEY = 0;
export const ATTRIBUTES = 1;
export const VALUE = 2;
