import { KvError, invalid } from './error.js';
import { wellFormed } from './text.js';
import { toJson } from './values.js';

/** Fields of your own beside a value: what JSON can say. */
export type Metadata = { [field: string]: unknown };

/** Options of every call. */
export interface CallOptions {
  /** Aborted, the call ends with a {@link KvError} of code `aborted`. What was written by then stays written. */
  signal?: AbortSignal | undefined;
}

/** When an entry expires; at most one of these. */
export interface ExpiryOptions {
  /**
   * From now, in seconds; fractions are allowed. `null`: never, as {@link KVStore.ttl} answers it, also where the metadata or a
   * service's default for the namespace would say otherwise.
   */
  ttl?: number | null | undefined;
  /** From now, in milliseconds. */
  ttlMs?: number | undefined;
  /** At this instant: a `Date`, or milliseconds since 1970. */
  expiresAt?: Date | number | undefined;
  /** With `ttl` or `ttlMs`: each `get` starts the time anew. */
  sliding?: boolean | undefined;
  /** As it is: a plain `set` would clear it. */
  keepTtl?: boolean | undefined;
}

/** Only under a condition: the call tells whether it held. */
export interface ConditionOptions {
  /** Only where the entry has exactly this version. */
  ifVersion?: string | undefined;
  /** Only where there is no entry. */
  ifAbsent?: boolean | undefined;
}

/** Options of {@link KVStore.set}. */
export interface SetOptions extends CallOptions, ExpiryOptions, ConditionOptions {
  /**
   * Replaces all metadata. A number `ttl` in it (seconds) is the ttl where the options name no expiry, a string `content_type`
   * the content type where they name none.
   */
  metadata?: Metadata | undefined;
  /** The value's media type. */
  contentType?: string | undefined;
}

/** For the WebAssembly module; undefined where nothing is asked for. */
export interface Normal {
  expiry?: number;
  ms?: number;
  contentType?: string | undefined;
  metadata?: string | undefined;
  ifVersion?: string | undefined;
  ifAbsent?: boolean | undefined;
}

const MAX_MS = 253_402_300_799_999;

/** Whole milliseconds, rounded up. The digits beyond the fifteenth are the float's and not the caller's. */
function milliseconds(number: unknown, what: string, unit = 1): number {
  if (typeof number !== 'number' || !Number.isFinite(number) || number <= 0) {
    throw invalid(`${what}: a number above 0 is expected`);
  }
  const ms = Math.ceil(Number((number * unit).toPrecision(15)));
  if (ms > MAX_MS) throw invalid(`${what}: it reaches beyond the year 9999`);
  return ms;
}

export const seconds = (number: unknown, what: string): number => milliseconds(number, what, 1000);

function expiryOf({ ttl, ttlMs, expiresAt, sliding, keepTtl }: ExpiryOptions): Pick<Normal, 'expiry' | 'ms'> {
  const given = [ttl, ttlMs, expiresAt, keepTtl === true ? true : undefined].filter((one) => one !== undefined);
  if (given.length > 1) throw invalid('ttl, ttlMs, expiresAt, keepTtl: at most one of them');
  if (sliding === true && (ttl ?? ttlMs) === undefined) throw invalid('sliding: it needs a span, as ttl or ttlMs');
  const after = sliding === true ? 4 : 3;
  if (ttl === null) return { expiry: 2 };
  if (ttl !== undefined) return { expiry: after, ms: seconds(ttl, 'ttl') };
  if (ttlMs !== undefined) return { expiry: after, ms: milliseconds(ttlMs, 'ttlMs') };
  if (expiresAt !== undefined) {
    return { expiry: 5, ms: milliseconds(expiresAt instanceof Date ? expiresAt.getTime() : expiresAt, 'expiresAt') };
  }
  return keepTtl === true ? { expiry: 1 } : {};
}

const EXPIRY = ['ttl', 'ttlMs', 'expiresAt', 'sliding', 'keepTtl'] as const;
export const NAMES = {
  call: ['signal'],
  expiry: ['signal', ...EXPIRY],
  condition: ['signal', 'ifVersion'],
  expiryUnderCondition: ['signal', 'ifVersion', ...EXPIRY],
  list: ['signal', 'metadata', 'pageSize'],
  set: ['signal', 'ifVersion', 'ifAbsent', 'metadata', 'contentType', ...EXPIRY],
} as const;

/** The options, if any are given; all of them have these names: mistyped ones would be promises that nobody keeps. */
export function given<T extends object>(options: T | undefined, names: readonly string[]): T | undefined {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null) throw invalid('options: an object is expected');
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw invalid(`options: no option ${JSON.stringify(name)}`);
  }
  return options;
}

export function normal(options: SetOptions | undefined): Normal | undefined {
  if (options === undefined) return undefined;
  const { ifVersion, ifAbsent, metadata, contentType } = options;
  if (ifVersion !== undefined && ifAbsent === true) throw invalid('ifVersion, ifAbsent: at most one of them');
  return {
    ...expiryOf(options),
    contentType: contentType === undefined ? undefined : wellFormed(contentType, 'contentType'),
    metadata: metadata === undefined ? undefined : metadataText(metadata),
    ifVersion: ifVersion === undefined ? undefined : wellFormed(ifVersion, 'ifVersion'),
    ifAbsent,
  };
}

export function metadataText(metadata: Metadata): string {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw invalid('metadata: an object is expected');
  }
  return wellFormed(toJson(metadata), 'metadata');
}

const aborted = (signal: AbortSignal): KvError =>
  new KvError('aborted', 'the call was aborted', { cause: signal.reason as unknown });

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

/** The promise, or the abortion if that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(aborted(signal));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
