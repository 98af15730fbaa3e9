import type { CallOptions, Metadata, SetOptions } from './options.js';
import type { KvValue, ValueType } from './values.js';

/** How to open a store. Options that the backend does not know are refused. */
export interface OpenOptions {
  /**
   * `indexeddb` (the default): in the browser, for all tabs of the site. `memory`: gone with the page. `http`: at a service
   * (`dataknobs-kv serve`), for whoever uses that; also in Node.
   */
  backend?: 'indexeddb' | 'memory' | 'http' | undefined;
  /** Stores with different namespaces do not see each other's entries. `default` if not given. */
  namespace?: string | undefined;
  /** IndexedDB: the database; `dataknobs-kv` if not given. */
  name?: string | undefined;
  /**
   * IndexedDB: when a write is answered. `relaxed` (the default): when the operating system has it, so that it survives the
   * browser but not a power cut. `strict`: when it is on disk, which takes about twice as long for a single write.
   */
  durability?: 'relaxed' | 'strict' | undefined;
  /**
   * HTTP: where the service is, such as `https://kv.example.org`; in a page it may be a path, such as `/`. A service on another
   * origin must allow this page's (`--allow-origin`). Nothing is sent before the first call.
   */
  url?: string | URL | undefined;
  /** HTTP: the service's token, where it asks for one. */
  token?: string | undefined;
  /**
   * IndexedDB: how many seconds opening the database, or a transaction, may take; 10 if not given. HTTP: how many seconds a
   * request may take; 90 if not given, longer than a service's own limit, so that its answer comes first.
   */
  timeout?: number | undefined;
  /**
   * `memory`: a cache in front of the backend, for this store alone. `get`, `entry`, `describe`, `ttl` and `getMany` are
   * answered from it, that a key is absent too; everything else goes past it. What this store writes is seen at once, what other
   * tabs of this browser write when they have told of it, and what others write at a service after `cacheTtl` at the latest.
   * Conditions are decided by the backend. `none` if not given.
   */
  cache?: 'memory' | 'none' | undefined;
  /** With a cache: how old an answer may be, in seconds, at most a day; 60 if not given. */
  cacheTtl?: number | undefined;
  /** With a cache: how many entries are kept, an entry counting once for each 64 KiB begun; 10,000 if not given. */
  cacheSize?: number | undefined;
  /** Remove expired entries in the background. They are absent in any case; this frees their space. */
  autoCleanup?: boolean | undefined;
  /** How often, in seconds; 60 if not given. */
  cleanupInterval?: number | undefined;
}

/** What is known of an entry besides its value. */
export interface Description {
  /** Its key, as it was given. */
  key: string;
  /** How its value is stored. */
  type: ValueType;
  /** Changes with every write; for `ifVersion`. Opaque: compare only for equality. */
  version: string;
  /** Empty where there is none. */
  metadata: Metadata;
  /** The value's media type, where one was given. */
  contentType: string | undefined;
  /** When there began to be an entry of this key. */
  createdAt: Date;
  /** When it was last written. */
  updatedAt: Date;
  /** When it expires; undefined where never. */
  expiresAt: Date | undefined;
  /** With a sliding expiry: how far a read moves it, in milliseconds. */
  slidingMs: number | undefined;
  /** Of the stored value, in bytes. */
  size: number;
}

/** An entry with its value. */
export interface Entry<T = unknown> extends Description {
  /** As `get` gives it. */
  value: T;
}

/** What became of a {@link KVStore.set}: with a condition that did not hold, what is there instead, if anything is. */
export type SetResult<T = unknown> =
  | {
      /** It was written. */
      written: true;
      /** The entry's version now. */
      version: string;
    }
  | {
      /** It was not. */
      written: false;
      /** What is there instead; undefined where nothing is. */
      current: Entry<T> | undefined;
    };

/** Options of a listing. */
export interface ListOptions extends CallOptions {
  /** Only entries whose metadata has these fields, equal as JSON. */
  metadata?: Metadata | undefined;
  /** How many to read at once; the store decides if not given. */
  pageSize?: number | undefined;
}

/** One step down the hierarchy of keys. */
export interface Child {
  /** Its name, unescaped. */
  segment: string;
  /** The key that it is, or would be. */
  key: string;
  /** Whether there is an entry of just that key. */
  isEntry: boolean;
  /** How many entries lie below it, where asked for. */
  below: number | undefined;
  /** Whether any entries lie below it. */
  hasChildren: boolean;
}

/** What the backend can do. What it cannot is refused with `unsupported`. */
export interface Capabilities {
  /** Whether entries outlive the page, or the service's process. */
  durable: boolean;
  /** Whether others see the same entries: other tabs, other processes. */
  shared: boolean;
  /** The most keys of one transaction. */
  maxAtomic: number;
  /** The largest value. */
  maxValueBytes: number;
  /** The most metadata of an entry, as JSON. */
  maxMetadataBytes: number;
  /** Whether expiry may be sliding. */
  sliding: boolean;
  /** Whether metadata and expiry can be changed without moving the value. */
  cheapAmend: boolean;
  /** Whether the storage removes expired entries by itself. */
  nativeExpiry: boolean;
  /** Whether a listing by prefix costs what it finds, and not what is stored. */
  indexedScan: boolean;
  /** With a cache: how old an answer of `get` and its like may be. */
  staleReadsMs?: number;
}

/** For {@link KVStore.transact}: must hold, or nothing is applied. */
export type Check =
  | {
      /** The entry. */
      key: string;
      /** It has exactly this version. */
      ifVersion: string;
    }
  | {
      /** The key. */
      key: string;
      /** There is no entry of it. */
      ifAbsent: true;
    };

/** For {@link KVStore.transact}. */
export type Action =
  | ({
      /** The key to set. */
      set: string;
      /** Its value. */
      value: KvValue | object;
    } & Omit<SetOptions, 'signal'>)
  | {
      /** The key to delete. */
      delete: string;
    };

/** What became of a transaction. */
export type TransactionResult =
  | {
      /** All of it was applied. */
      committed: true;
      /** The versions of what was set, by key. */
      versions: Map<string, string>;
    }
  | {
      /** Nothing was applied. */
      committed: false;
      /** What stood in the way. */
      key: string;
      /** What is there, without its value; undefined where nothing is. */
      current: Description | undefined;
    };
