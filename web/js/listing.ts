import { throwIfAborted } from './options.js';

/** A part of a listing, and where to go on. */
export type Page<T> = [items: T[], cursor: string | undefined];

/**
 * A listing: awaited, all of it as one; iterated with `for await`, page by page, so that neither memory nor time are spent on
 * what is not looked at.
 */
export class Listing<T, All = T[]> implements AsyncIterable<T>, PromiseLike<All> {
  readonly #pages: (cursor: string | undefined) => Promise<Page<T>>;
  readonly #gather: (items: T[]) => All;
  readonly #signal: AbortSignal | undefined;

  /** @internal */
  constructor(
    pages: (cursor: string | undefined) => Promise<Page<T>>,
    gather: (items: T[]) => All,
    signal: AbortSignal | undefined,
  ) {
    this.#pages = pages;
    this.#gather = gather;
    this.#signal = signal;
  }

  /** All of it. */
  async all(): Promise<All> {
    let items: T[] = [];
    for await (const page of this.pages()) items = items.length === 0 ? page : items.concat(page);
    return this.#gather(items);
  }

  /** Page by page. */
  async *pages(): AsyncGenerator<T[], void, undefined> {
    let cursor: string | undefined;
    do {
      throwIfAborted(this.#signal);
      const [items, next]: Page<T> = await this.#pages(cursor);
      throwIfAborted(this.#signal);
      cursor = next;
      if (items.length > 0) yield items;
    } while (cursor !== undefined);
  }

  /** One after the other: for `for await`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  /** For `await`: as {@link all}. */
  then<Done = All, Failed = never>(
    done?: ((all: All) => Done | PromiseLike<Done>) | null,
    failed?: ((reason: unknown) => Failed | PromiseLike<Failed>) | null,
  ): Promise<Done | Failed> {
    return this.all().then(done, failed);
  }
}
