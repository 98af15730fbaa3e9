// Calls about many entries at once, each with an outcome of its own; and those that are all or nothing.
import { type RawEntry, description, valueOf } from './entry.js';
import { KvError, invalid } from './error.js';
import { type CallOptions, NAMES, type SetOptions, given, normal } from './options.js';
import type { Session } from './session.js';
import { wellFormed } from './text.js';
import type { Action, Check, TransactionResult } from './types.js';
import type { Encoded } from './values.js';

/** Throws one error for all that failed. */
function eachOf<T>(keys: string[], results: (T | KvError)[], good: (key: string, result: T) => void): void {
  const failures = new Map<string, KvError>();
  keys.forEach((key, at) => {
    const result = results[at] as T | KvError;
    if (result instanceof KvError) failures.set(key, result);
    else good(key, result);
  });
  const [first] = failures.values();
  if (first === undefined) return;
  const message = failures.size === 1 ? first.message : `${failures.size} of ${keys.length} failed, first: ${first.message}`;
  throw new KvError(first.code, message, { ...first, failures });
}

const distinct = (keys: Iterable<string>): string[] => [...new Set(keys)].map((key) => wellFormed(key, 'key'));

export async function setMany(
  session: Session,
  entries: Iterable<readonly [string, unknown]> | Record<string, unknown>,
  options: Omit<SetOptions, 'ifVersion' | 'ifAbsent'> | undefined,
): Promise<Map<string, string>> {
  const names = NAMES.set.filter((name) => name !== 'ifVersion' && name !== 'ifAbsent');
  const wanted = normal(given(options, names));
  const pairs = Symbol.iterator in entries ? [...(entries as Iterable<[string, unknown]>)] : Object.entries(entries);
  const keys = pairs.map(([key]) => wellFormed(key, 'key'));
  if (new Set(keys).size < keys.length) throw invalid('keys: one comes twice');
  const values = await session.encodeAll(pairs.map(([, value]) => value));
  const results = await session.call<(string | unknown[] | KvError)[]>(options?.signal, () =>
    session.handle.setMany(session.namespace, keys, values, wanted),
  );
  const versions = new Map<string, string>();
  eachOf(keys, results, (key, version) => versions.set(key, version as string));
  return versions;
}

export async function getMany<T>(
  session: Session,
  keys: Iterable<string>,
  options: CallOptions | undefined,
): Promise<Map<string, T>> {
  const signal = given(options, NAMES.call)?.signal;
  const names = distinct(keys);
  const results = await session.call<(Encoded | undefined | KvError)[]>(signal, () =>
    session.handle.getMany(session.namespace, names, false),
  );
  const values = new Map<string, T>();
  eachOf(names, results, (key, found) => {
    if (found !== undefined) values.set(key, valueOf(session, found as Encoded) as T);
  });
  return values;
}

export async function deleteMany(
  session: Session,
  keys: Iterable<string>,
  options: CallOptions | undefined,
): Promise<number> {
  const signal = given(options, NAMES.call)?.signal;
  const names = distinct(keys);
  const results = await session.call<(boolean | KvError)[]>(signal, () =>
    session.handle.deleteMany(session.namespace, names),
  );
  let deleted = 0;
  eachOf(names, results, (_, was) => {
    if (was === true) deleted += 1;
  });
  return deleted;
}

export async function transact(
  session: Session,
  checks: Check[],
  actions: Action[],
  options: CallOptions | undefined,
): Promise<TransactionResult> {
  const signal = given(options, NAMES.call)?.signal;
  const demanded = checks.map((check) => [
    wellFormed(check.key, 'key'),
    'ifVersion' in check ? wellFormed(check.ifVersion, 'ifVersion') : undefined,
  ]);
  const keys: string[] = [];
  const parts = await Promise.all(
    actions.map(async (action) => {
      if ('delete' in action) {
        keys.push(wellFormed(action.delete, 'key'));
        return [action.delete, undefined, undefined];
      }
      const { set: key, value, ...rest } = action;
      keys.push(wellFormed(key, 'key'));
      return [key, await session.encode(value), normal(given(rest as SetOptions, NAMES.set))];
    }),
  );
  const result = await session.call<(string | undefined | [key: string, current: RawEntry | undefined])[]>(signal, () =>
    session.handle.transact(session.namespace, demanded, parts),
  );
  const [first] = result;
  if (Array.isArray(first)) {
    const [key, current] = first;
    return { committed: false, key, current: current === undefined ? undefined : description(current) };
  }
  const versions = new Map<string, string>();
  keys.forEach((key, at) => {
    const version = result[at];
    if (version !== undefined) versions.set(key, version as string);
  });
  return { committed: true, versions };
}
