import type { Metadata } from './options.js';
import type { Session } from './session.js';
import type { Description, Entry } from './types.js';
import { type Encoded, decode } from './values.js';

/** An entry as the WebAssembly module gives it. */
export interface RawEntry extends Encoded {
  key: string;
  version: string;
  metadata: string | undefined;
  createdAt: number;
  updatedAt: number;
  expiresAt: number | undefined;
  slidingMs: number | undefined;
  size: number;
}

export function description(raw: RawEntry): Description {
  const date = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms));
  return {
    key: raw.key,
    type: decode(raw).type,
    version: raw.version,
    metadata: raw.metadata === undefined ? {} : (JSON.parse(raw.metadata) as Metadata),
    contentType: raw.contentType,
    createdAt: new Date(raw.createdAt),
    updatedAt: new Date(raw.updatedAt),
    expiresAt: date(raw.expiresAt),
    slidingMs: raw.slidingMs,
    size: raw.size,
  };
}

export const valueOf = (session: Session, found: Encoded): unknown => session.codec.deserialize(decode(found));

export const entryOf = <T>(session: Session, raw: RawEntry): Entry<T> => ({
  ...description(raw),
  value: valueOf(session, raw) as T,
});
