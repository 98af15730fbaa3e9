// What the parts of the page share.
import type { Store } from './store.js';

export interface App {
  /** The store that is shown; another one after a switch. */
  readonly store: Store;
  /** Another namespace of the same store; its caller closes it. */
  open(namespace: string): Promise<Store | undefined>;
  /** Shows the entry of this key. */
  show(key: string): void;
  /** Shows no entry: the one that was shown is gone, or the reader goes back to the keys. */
  leave(): void;
  /** Deletes an entry, and offers to undo that; with a version only if it still has that one. */
  remove(key: string, version?: string): Promise<void>;
  /** Does what may fail; people are told of errors. Undefined after one. */
  attempt<T>(work: () => Promise<T>): Promise<T | undefined>;
  /** Tells of something done, and offers to undo it. */
  say(text: string, undo?: () => Promise<unknown>): void;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
