// What is told of what was found.
import * as calls from './calls.js';
import type { Item } from './calls.js';
import { type Found, KEY, VALUE, type Want, expired } from './record.js';

/** What was found, if it lives; nobody can say it of what is damaged. */
export const living = (found: Found, now: number): Found =>
  found === undefined || found === 'damaged' || !expired(found, now) ? found : undefined;

/** Which an entry that takes its place keeps. */
export const createdAtOf = (living: Found): number | undefined =>
  living === undefined || living === 'damaged' ? undefined : living.createdAt;

/** As much of it as is wanted. `apart`: its value, if that lies apart and was read. */
export function itemOf(found: Found, apart: unknown, want: Want, kind = calls.THERE): Item {
  if (found === 'damaged') return { kind: calls.DAMAGED };
  if (found === undefined || want === KEY) return { kind: kind === calls.THERE ? calls.ABSENT : kind };
  if (want !== VALUE) return { kind, entry: found };
  // A value that is missing is damage.
  const value = found.apart === true ? apart : found.value;
  return value === undefined ? { kind: calls.DAMAGED } : { kind, entry: found, value };
}
