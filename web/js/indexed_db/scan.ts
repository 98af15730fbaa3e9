// Listings: a page of keys, or of entries.
import type { Item } from './calls.js';
import { itemOf } from './item.js';
import type { Link } from './link.js';
import * as record from './record.js';
import { KEY, VALUE, type Want, fromOrdered, toOrdered } from './record.js';
import type { Fits, Range, Transaction } from './transaction.js';

/** The most entries that one call looks at. */
const LOOKED_AT = 20_000;
/** The most keys that one call looks at. */
const KEYS_LOOKED_AT = 200_000;
/** Records come in parts of so many: all of a part are in memory at once. */
const PART = 1000;

export interface Scan {
  namespace: string;
  range: Range;
  pattern: string | undefined;
  metadata: string | undefined;
  now: number;
  limit: number;
  want: Want;
}

/** Keys alone, joined by line breaks, or items; and where to go on. */
export interface Page {
  keys?: string;
  items?: Item[];
  next: string | undefined;
}

/**
 * Whether a key may match the pattern: whether what the pattern spells out is there, in its order. Undefined where that is but its
 * beginning, which the range sees to; and for patterns with braces, classes or backslashes, which are not looked at. The core
 * decides; what is left out here spares it the look.
 */
function mayMatch(pattern: string | undefined): Fits | undefined {
  if (pattern === undefined || /[{}[\\]/.test(pattern)) return undefined;
  // A `**` may stand for no segment, and then the dot beside it is not there.
  const texts = toOrdered(pattern).split(/\.?\*\*+\.?|\*|\?/);
  const first = texts.shift() ?? '';
  const last = texts.pop() ?? '';
  const between = texts.filter((text) => text !== '');
  if (last === '' && between.length === 0) return undefined;
  return (key, from) => {
    if (!key.endsWith(last) || !key.startsWith(first, from)) return false;
    let at = from + first.length;
    for (const text of between) {
      at = key.indexOf(text, at);
      if (at < 0) return false;
      at += text.length;
    }
    return true;
  };
}

/** Whether metadata may hold these fields; as with patterns the core decides. */
function mayHold(fields: string | undefined): ((metadata: string | undefined) => boolean) | undefined {
  const wanted = fields === undefined ? undefined : parsed(fields);
  if (wanted === undefined) return undefined;
  return (metadata) => {
    const there = parsed(metadata ?? '{}');
    return (
      there === undefined ||
      Object.entries(wanted).every(([name, value]) => Object.hasOwn(there, name) && alike(value, there[name]))
    );
  };
}

/** Undefined where it cannot be read. */
function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function alike(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const names = Object.keys(a);
  const field = (of: object, name: string): unknown => (of as Record<string, unknown>)[name];
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && alike(field(a, name), field(b, name)))
  );
}

export async function scan(link: Link, asked: Scan): Promise<Page> {
  const transaction = await link.begin(false);
  const byKeys = asked.want === KEY && asked.metadata === undefined;
  return (byKeys ? await keys(transaction, asked) : undefined) ?? entries(transaction, asked);
}

/** By keys alone; undefined where too many entries have expired for that. */
async function keys(transaction: Transaction, asked: Scan): Promise<Page | undefined> {
  const { namespace, range, limit, now } = asked;
  const page = await transaction.keys(namespace, range, limit, KEYS_LOOKED_AT, now, mayMatch(asked.pattern));
  if (page === undefined) return undefined;
  const cut = page.keys.length > limit;
  const keys = cut ? page.keys.slice(0, limit) : page.keys;
  const next = cut ? keys.at(-1) : page.more ? page.last : undefined;
  return { keys: fromOrdered(keys.join('\n')), next: next === undefined ? undefined : fromOrdered(next) };
}

async function entries(transaction: Transaction, asked: Scan): Promise<Page> {
  const { namespace, range, limit, now, want } = asked;
  const fits = mayMatch(asked.pattern);
  const holds = mayHold(asked.metadata);
  const few = fits !== undefined || holds !== undefined;
  const items: Item[] = [];
  let { after } = range;
  let looked = 0;
  let weight = 0;
  for (;;) {
    const ask = few ? PART : Math.min(limit - items.length, PART);
    const [keys, records] = await transaction.records(namespace, { ...range, after }, ask);
    for (const [at, key] of keys.entries()) {
      looked += 1;
      const entry = record.found(records[at]);
      const whole = entry !== undefined && entry !== 'damaged';
      const matches =
        entry !== undefined &&
        (fits === undefined || fits(toOrdered(key), 0)) &&
        (whole ? !record.expired(entry, now) && (holds?.(entry.metadata) ?? true) : holds === undefined);
      if (matches) {
        if (whole && want !== KEY) weight += key.length + record.weight(entry, want);
        if (items.length >= limit || (weight > record.ANSWER_BYTES && items.length > 0)) return { items, next: after };
        const apart = whole && want === VALUE && entry.apart === true;
        const value = apart ? (await transaction.readApart([{ namespace, key }]))[0] : undefined;
        items.push({ ...itemOf(entry, value, want), key });
      }
      after = key;
    }
    if (keys.length < ask) return { items, next: undefined };
    if (looked >= LOOKED_AT || items.length >= limit) return { items, next: after };
  }
}
