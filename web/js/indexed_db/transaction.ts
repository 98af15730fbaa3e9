// One transaction of IndexedDB, or of memory: what both can do.
import type { Entry } from './record.js';

/** Keys `from <= key < to`, and after `after`. */
export interface Range {
  from: string | undefined;
  to: string | undefined;
  after: string | undefined;
}

/** A key and its namespace. */
export interface Name {
  namespace: string;
  key: string;
}

/** What was read of one key. */
export interface Read {
  /** Whatever lies there. */
  record: unknown;
  /** The value that lies apart, if it was read too. */
  apart?: unknown;
}

/** Whether a key, from this place on a key in the order of the store, may be wanted. */
export type Fits = (key: string, from: number) => boolean;

/** A page of keys, in the order of the store and in that form. */
export interface Keys {
  keys: string[];
  /** Whether there are others behind `last`, which is the last one looked at. */
  more: boolean;
  last: string | undefined;
}

export interface Transaction {
  /** If it writes: undefined once it is complete, the error where nothing of it was applied. */
  readonly done: Promise<unknown> | undefined;
  /** What lies under these keys, in order; with `values` also those that are kept apart. */
  read(names: Name[], values: boolean): Promise<Read[]>;
  /** Values that are kept apart. */
  readApart(names: Name[]): Promise<unknown[]>;
  /**
   * Puts the entry in the place of what is there, which leaves it the time of its creation if it lives, and commits: where that
   * takes a step less than to read first.
   */
  replace?(name: Name, entry: Entry, apart: unknown, now: number): Promise<unknown>;
  /** Puts entry, and value if it is to lie apart. `wasApart`: whether one may lie there that is to go. */
  put(name: Name, entry: Entry, apart: unknown, wasApart: boolean): void;
  /** As `put`, where the value that is kept apart stays as it is. */
  amend(name: Name, entry: Entry): void;
  remove(name: Name, wasApart: boolean): void;
  commit(): void;
  abort(): void;
  /**
   * What has not expired and fits: until there are `limit` of them, or `most` were looked at;
   * undefined where too many have expired.
   */
  keys(
    namespace: string,
    range: Range,
    limit: number,
    most: number,
    now: number,
    fits: Fits | undefined,
  ): Promise<Keys | undefined>;
  /** Keys of the range in order, and what lies there. */
  records(namespace: string, range: Range, count: number): Promise<[string[], unknown[]]>;
  /** How many living entries the range holds; undefined where too many have expired. */
  count(namespace: string, range: Range, now: number): Promise<number | undefined>;
  /** Removes up to `limit` of what has expired: how many, and whether more is left. */
  reclaim(namespace: string | undefined, now: number, limit: number): Promise<{ removed: number; more: boolean }>;
  /** Removes the first entries of a namespace: whether more are left. */
  clear(namespace: string, limit: number): Promise<boolean>;
  /** Namespaces with entries. */
  namespaces(after: string | undefined, limit: number): Promise<{ names: string[]; more: boolean }>;
}
