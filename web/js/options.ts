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
  expiry: number | undefined;
  ms: number | undefined;
  contentType: string | undefined;
  metadata: string | undefined;
  ifVersion: string | undefined;
  ifAbsent: boolean | undefined;
}

const MAX_MS = 253_402_300_799_999;

const positive = (number: unknown, what: string): number => {
  if (typeof number !== 'number' || !Number.isFinite(number) || number <= 0) {
    throw invalid(`${what}: a number above 0 is expected`);
  }
  return number;
};

/** Whole milliseconds, rounded up. The digits beyond the fifteenth are the float's and not the caller's. */
const whole = (ms: number, what: string): number => {
  const rounded = Math.ceil(Number(ms.toPrecision(15)));
  if (rounded > MAX_MS) throw invalid(`${what}: it reaches beyond the year 9999`);
  return rounded;
};

export const seconds = (ttl: unknown, what = 'ttl'): number => whole(positive(ttl, what) * 1000, what);

function expiryOf(options: ExpiryOptions): { expiry: number | undefined; ms: number | undefined } {
  const { ttl, ttlMs, expiresAt, sliding, keepTtl } = options;
  const given = [ttl, ttlMs, expiresAt, keepTtl === true ? true : undefined].filter((one) => one !== undefined);
  if (given.length > 1) throw invalid('ttl, ttlMs, expiresAt, keepTtl: at most one of them');
  if (sliding === true && (ttl ?? ttlMs) === undefined) throw invalid('sliding: it needs a span, as ttl or ttlMs');
  if (ttl === null) return { expiry: 2, ms: undefined };
  if (ttl !== undefined) return { expiry: sliding === true ? 4 : 3, ms: seconds(ttl) };
  if (ttlMs !== undefined) return { expiry: sliding === true ? 4 : 3, ms: whole(positive(ttlMs, 'ttlMs'), 'ttlMs') };
  if (expiresAt !== undefined) {
    const at = expiresAt instanceof Date ? expiresAt.getTime() : expiresAt;
    return { expiry: 5, ms: whole(positive(at, 'expiresAt'), 'expiresAt') };
  }
  return keepTtl === true ? { expiry: 1, ms: undefined } : { expiry: undefined, ms: undefined };
}

/** Names that were mistyped would be promises that nobody keeps. */
function known(options: object, names: readonly string[], what: string): void {
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw invalid(`${what}: no option ${JSON.stringify(name)}`);
  }
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

/** The options, if any are given; all of them have these names. */
export function given<T extends object>(options: T | undefined, names: readonly string[]): T | undefined {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null) throw invalid('options: an object is expected');
  known(options, names, 'options');
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
