/**
 * What went wrong, the same words in every language and protocol of dataknobs-kv; `aborted` and `closed` are JavaScript's own.
 *
 * - `invalid-argument`: a key, pattern, ttl, value or option breaks a rule; the message names it
 * - `too-large`: `limit` and `actual` say by how much
 * - `type-mismatch`: for example an increment of a text
 * - `overflow`: a counter would leave its range
 * - `unsupported`: this backend cannot keep that promise, and so does not take the call
 * - `access-denied`: the service, or the browser, refuses
 * - `rate-limited`: too much at once; `retryAfterMs` where known. Nothing was applied
 * - `unavailable`: not reachable, no space left, held up by another tab. Nothing was applied
 * - `outcome-unknown`: a write was sent and no answer came: it may have been applied
 * - `corrupt`: what was read is not what was written
 * - `internal`: a defect of ours
 * - `aborted`: the call's `signal` was aborted; a write may have been applied
 * - `closed`: the store was closed
 */
export type KvErrorCode =
  | 'invalid-argument'
  | 'too-large'
  | 'type-mismatch'
  | 'overflow'
  | 'unsupported'
  | 'access-denied'
  | 'rate-limited'
  | 'unavailable'
  | 'outcome-unknown'
  | 'corrupt'
  | 'internal'
  | 'aborted'
  | 'closed';

/** Every error of this package. Absence and lost races are results, not errors. */
export class KvError extends Error {
  /** Always `KvError`. */
  override readonly name = 'KvError';
  /** Which kind. */
  readonly code: KvErrorCode;
  /** With `too-large`: the most there may be. */
  readonly limit?: number;
  /** With `too-large`: how much there was. */
  readonly actual?: number;
  /** With `rate-limited`: when to try again. */
  readonly retryAfterMs?: number;
  /** Of a call with many items: the errors of those that failed, by key. The others were applied. */
  readonly failures?: ReadonlyMap<string, KvError>;

  /** For subclasses of a store that have errors of their own kind to report. */
  constructor(
    code: KvErrorCode,
    message: string,
    details: {
      limit?: number | undefined;
      actual?: number | undefined;
      retryAfterMs?: number | undefined;
      failures?: ReadonlyMap<string, KvError> | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.limit !== undefined) this.limit = details.limit;
    if (details.actual !== undefined) this.actual = details.actual;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    if (details.failures !== undefined) this.failures = details.failures;
  }
}

export const invalid = (message: string, cause?: unknown): KvError =>
  new KvError('invalid-argument', message, cause === undefined ? {} : { cause });

/** For whatever is thrown below: a trap of the WebAssembly module, an error of the platform. */
export const asKvError = (error: unknown): KvError =>
  error instanceof KvError
    ? error
    : new KvError('internal', error instanceof Error ? error.message : String(error), { cause: error });
