// Calls about all entries that match, page by page.
import { invalid } from './error.js';
import { type RawEntry, description, entryOf, valueOf } from './entry.js';
import { Listing, type Page } from './listing.js';
import { type CallOptions, NAMES, given, metadataText } from './options.js';
import type { Session } from './session.js';
import { wellFormed } from './text.js';
import type { Child, Description, Entry, ListOptions } from './types.js';

const PAGE = 1000;
/** Of what is small: keys, counts. */
const LARGE_PAGE = 10_000;

function listOptions(options: ListOptions | undefined) {
  const { signal, metadata, pageSize } = given(options, NAMES.list) ?? {};
  if (pageSize !== undefined && !(Number.isInteger(pageSize) && pageSize >= 1 && pageSize <= LARGE_PAGE)) {
    throw invalid('pageSize: a whole number from 1 to 10,000 is expected');
  }
  return { signal, metadata: metadata === undefined ? undefined : metadataText(metadata), pageSize };
}

/** Texts joined by line breaks, and where to go on. */
type Lines = [text: string, cursor: string | undefined];

const lines = (text: string): string[] => (text === '' ? [] : text.split('\n'));

const same = <T>(all: T): T => all;

export function keys(session: Session, pattern: string, options: ListOptions | undefined): Listing<string> {
  const { signal, metadata, pageSize } = listOptions(options);
  return new Listing<string>(
    async (cursor) => {
      const [text, next] = await session.call<Lines>(signal, () =>
        session.handle.keys(session.namespace, wellFormed(pattern, 'pattern'), metadata, cursor, pageSize ?? LARGE_PAGE),
      );
      return [lines(text), next];
    },
    same,
    signal,
  );
}

function list<T, All>(
  session: Session,
  pattern: string,
  options: ListOptions | undefined,
  withValues: boolean,
  make: (raw: RawEntry) => T,
  gather: (items: T[]) => All,
  brief = false,
): Listing<T, All> {
  const { signal, metadata, pageSize = PAGE } = listOptions(options);
  const text = wellFormed(pattern, 'pattern');
  return new Listing<T, All>(
    async (cursor) => {
      const [raw, next] = await session.call<Page<RawEntry>>(signal, () =>
        session.handle.entries(session.namespace, text, metadata, cursor, pageSize, withValues, brief),
      );
      return [raw.map(make), next];
    },
    gather,
    signal,
  );
}

export const entries = <T>(session: Session, pattern: string, options: ListOptions | undefined): Listing<Entry<T>> =>
  list(session, pattern, options, true, (raw) => entryOf<T>(session, raw), same);

export const descriptions = (
  session: Session,
  pattern: string,
  options: ListOptions | undefined,
): Listing<Description> => list(session, pattern, options, false, description, same);

export function getPattern<T>(
  session: Session,
  pattern: string,
  options: ListOptions | undefined,
): Listing<[string, T], Map<string, T>> {
  const pair = (raw: RawEntry): [string, T] => [raw.key, valueOf(session, raw) as T];
  return list(session, pattern, options, true, pair, (all) => new Map(all), true);
}

export async function count(session: Session, pattern: string, options: ListOptions | undefined): Promise<number> {
  const { signal, metadata } = listOptions(options);
  return sum(session, signal, (cursor) =>
    session.handle.count(session.namespace, wellFormed(pattern, 'pattern'), metadata, cursor, LARGE_PAGE),
  );
}

export async function deletePattern(
  session: Session,
  pattern: string,
  options: ListOptions | undefined,
): Promise<number> {
  const { signal, metadata } = listOptions(options);
  return sum(session, signal, (cursor) =>
    session.handle.deletePattern(session.namespace, wellFormed(pattern, 'pattern'), metadata, cursor, PAGE),
  );
}

/** Part by part. */
async function sum(
  session: Session,
  signal: AbortSignal | undefined,
  part: (cursor: string | undefined) => Promise<unknown>,
): Promise<number> {
  let sum = 0;
  let cursor: string | undefined;
  do {
    const [count, next] = await session.call<[number, string | undefined]>(signal, () => part(cursor));
    sum += count;
    cursor = next;
  } while (cursor !== undefined);
  return sum;
}

export function children(
  session: Session,
  prefix: string | undefined,
  options: (CallOptions & { counts?: boolean | undefined }) | undefined,
): Listing<Child> {
  const { signal, counts = false } = given(options, ['signal', 'counts']) ?? {};
  const under = prefix === undefined ? undefined : wellFormed(prefix, 'prefix');
  return new Listing<Child>(
    async (cursor) => {
      const [children, next] = await session.call<
        Page<[segment: string, key: string, isEntry: boolean, below: number | undefined, hasChildren: boolean]>
      >(signal, () => session.handle.children(session.namespace, under, counts, cursor, PAGE));
      return [
        children.map(([segment, key, isEntry, below, hasChildren]) => ({ segment, key, isEntry, below, hasChildren })),
        next,
      ];
    },
    same,
    signal,
  );
}

export function namespaces(session: Session, options: CallOptions | undefined): Listing<string> {
  const signal = given(options, NAMES.call)?.signal;
  return new Listing<string>(
    async (cursor) => {
      const [text, next] = await session.call<Lines>(signal, () => session.handle.namespaces(cursor, PAGE));
      return [lines(text), next];
    },
    same,
    signal,
  );
}
