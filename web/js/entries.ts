// Calls about one entry.
import { invalid } from './error.js';
import { type RawEntry, description, entryOf, valueOf } from './entry.js';
import {
  type CallOptions,
  type ConditionOptions,
  type ExpiryOptions,
  type Metadata,
  NAMES,
  type SetOptions,
  given,
  metadataText,
  normal,
} from './options.js';
import type { Session } from './session.js';
import { wellFormed } from './text.js';
import type { Description, Entry, SetResult } from './types.js';
import { type Encoded, encode, serializeValue } from './values.js';

type Version = Pick<ConditionOptions, 'ifVersion'>;

export async function set(
  session: Session,
  key: string,
  value: unknown,
  options: SetOptions | undefined,
): Promise<SetResult> {
  const wanted = normal(given(options, NAMES.set));
  const encoded = session.encode(value);
  const ready = encoded instanceof Promise ? await encoded : encoded;
  // What the value says of itself, unless the call says otherwise.
  const all =
    ready.contentType === undefined || wanted?.contentType !== undefined
      ? wanted
      : { ...wanted, contentType: ready.contentType };
  const result = await session.call<string | [RawEntry?]>(options?.signal, () =>
    session.handle.set(session.namespace, wellFormed(key, 'key'), ready, all),
  );
  if (typeof result === 'string') return { written: true, version: result };
  return { written: false, current: result[0] === undefined ? undefined : entryOf(session, result[0]) };
}

export async function get<T>(session: Session, key: string, options: CallOptions | undefined): Promise<T | undefined> {
  const signal = given(options, NAMES.call)?.signal;
  const found = await session.call<Encoded | undefined>(signal, () =>
    session.handle.get(session.namespace, wellFormed(key, 'key')),
  );
  return found === undefined ? undefined : (valueOf(session, found) as T);
}

function read(session: Session, key: string, options: CallOptions | undefined, withValue: boolean) {
  const signal = given(options, NAMES.call)?.signal;
  return session.call<RawEntry | undefined>(signal, () =>
    session.handle.entry(session.namespace, wellFormed(key, 'key'), withValue),
  );
}

export async function entry<T>(session: Session, key: string, options: CallOptions | undefined) {
  const found = await read(session, key, options, true);
  return found === undefined ? undefined : (entryOf(session, found) as Entry<T>);
}

export async function describe(
  session: Session,
  key: string,
  options: CallOptions | undefined,
): Promise<Description | undefined> {
  const found = await read(session, key, options, false);
  return found === undefined ? undefined : description(found);
}

export async function remove(
  session: Session,
  key: string,
  options: (CallOptions & Version) | undefined,
): Promise<boolean> {
  const { signal, ifVersion } = given(options, NAMES.condition) ?? {};
  const result = await session.call<boolean | [RawEntry?]>(signal, () =>
    session.handle.delete(session.namespace, wellFormed(key, 'key'), ifVersion),
  );
  return result === true;
}

export async function setMetadata(
  session: Session,
  key: string,
  metadata: Metadata,
  options: (CallOptions & Version & { replace?: boolean | undefined }) | undefined,
): Promise<boolean> {
  const { signal, ifVersion, replace = false } = given(options, [...NAMES.condition, 'replace']) ?? {};
  const result = await session.call<string | undefined | unknown[]>(signal, () =>
    session.handle.setMetadata(session.namespace, wellFormed(key, 'key'), metadataText(metadata), replace, ifVersion),
  );
  return typeof result === 'string';
}

export async function compareAndSwap(
  session: Session,
  key: string,
  oldValue: unknown,
  newValue: unknown,
  options: SetOptions | undefined,
): Promise<boolean> {
  const wanted = normal(given(options, NAMES.set));
  let old = oldValue === undefined ? undefined : session.encode(oldValue);
  let next = session.encode(newValue);
  if (old instanceof Promise) old = await old;
  if (next instanceof Promise) next = await next;
  const [before, after] = [old, next];
  const result = await session.call<string | unknown[]>(options?.signal, () =>
    session.handle.compareAndSwap(session.namespace, wellFormed(key, 'key'), before, after, wanted),
  );
  return typeof result === 'string';
}

export async function increment(
  session: Session,
  key: string,
  delta: number | bigint,
  options: (CallOptions & ExpiryOptions) | undefined,
): Promise<number | bigint> {
  const wanted = normal(given(options, NAMES.expiry));
  if (typeof delta !== 'number' && typeof delta !== 'bigint') throw invalid('delta: a number or a bigint is expected');
  const encoded = encode(serializeValue(delta));
  return session.call<number | bigint>(options?.signal, () =>
    session.handle.increment(session.namespace, wellFormed(key, 'key'), encoded, wanted),
  );
}

export async function append(
  session: Session,
  key: string,
  tail: unknown,
  options: (CallOptions & ExpiryOptions) | undefined,
): Promise<number> {
  const wanted = normal(given(options, NAMES.expiry));
  const encoded = session.encode(tail);
  const ready = encoded instanceof Promise ? await encoded : encoded;
  return session.call<number>(options?.signal, () =>
    session.handle.append(session.namespace, wellFormed(key, 'key'), ready, wanted),
  );
}

export async function ttl(
  session: Session,
  key: string,
  options: CallOptions | undefined,
): Promise<number | null | undefined> {
  const found = await describe(session, key, options);
  if (found === undefined) return undefined;
  if (found.expiresAt === undefined) return null;
  const left = found.expiresAt.getTime() - Date.now();
  return left > 0 ? left / 1000 : undefined;
}

export async function touch(
  session: Session,
  key: string,
  expiry: number | null | (CallOptions & ExpiryOptions & Version),
): Promise<boolean> {
  const options =
    typeof expiry === 'number' || expiry === null ? { ttl: expiry } : given(expiry, NAMES.expiryUnderCondition);
  const wanted = normal(options);
  if (wanted?.expiry === undefined) throw invalid('touch: a ttl or another expiry is expected');
  const result = await session.call<string | undefined | unknown[]>(options?.signal, () =>
    session.handle.setExpiry(session.namespace, wellFormed(key, 'key'), wanted),
  );
  return typeof result === 'string';
}

export async function persist(
  session: Session,
  key: string,
  options: (CallOptions & Version) | undefined,
): Promise<boolean> {
  return touch(session, key, { ...given(options, NAMES.condition), ttl: null });
}
