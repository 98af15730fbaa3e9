// How an entry lies: the record of it, and the texts of its key in the order of the store.

// IndexedDB orders text by UTF-16 code units, the store by UTF-8 bytes. They differ where surrogates meet what lies behind
// them, and nowhere once the two ranges have changed places.
const ODD = /[\ud800-\uffff]/;
const ODDS = /[\ud800-\uffff]/g;

export const toOrdered = (text) =>
  ODD.test(text)
    ? text.replace(ODDS, (unit) => {
        const code = unit.charCodeAt(0);
        return String.fromCharCode(code >= 0xe000 ? code - 0x800 : code + 0x2000);
      })
    : text;

export const fromOrdered = (text) =>
  ODD.test(text)
    ? text.replace(ODDS, (unit) => {
        const code = unit.charCodeAt(0);
        return String.fromCharCode(code >= 0xf800 ? code - 0x2000 : code + 0x800);
      })
    : text;

/** A record, as it is kept. The index takes those that have `expiresAt` and `namespace`. */
export function makeRecord(
  value, apart, type, version, createdAt, updatedAt, size, checksum, contentType, metadata, expiresAt, slidingMs, namespace,
) {
  const record = { value, type, version, createdAt, updatedAt, size, checksum };
  if (apart) record.apart = true;
  if (contentType !== undefined) record.contentType = contentType;
  if (metadata !== undefined) record.metadata = metadata;
  if (slidingMs !== undefined) record.slidingMs = slidingMs;
  if (expiresAt !== undefined) {
    record.expiresAt = expiresAt;
    record.namespace = toOrdered(namespace);
  }
  return record;
}

/** No text of ours holds a line break. */
const text = (value) => typeof value === 'string' && !value.includes('\n');
const optional = (value, is) => value === undefined || is(value);
const number = (value) => typeof value === 'number';

/** Whether it is a record of ours: anybody can write into the database. */
export function isRecord(record) {
  return (
    typeof record === 'object' && record !== null && text(record.type) && text(record.version) &&
    number(record.createdAt) && number(record.updatedAt) && number(record.size) && number(record.checksum) &&
    optional(record.contentType, text) && optional(record.metadata, text) && optional(record.expiresAt, number) &&
    optional(record.slidingMs, number)
  );
}

/**
 * What records say besides their values, in two crossings for all of them: eight numbers for each, of which the first is 0
 * where there is none, 1 where it is none of ours, and 3 where its value lies apart; and four lines of text for each of ours.
 */
export function describe(records) {
  const numbers = new Float64Array(records.length * 8);
  const texts = [];
  for (let at = 0; at < records.length; at += 1) {
    const record = records[at];
    if (record === undefined) continue;
    if (!isRecord(record)) {
      numbers[at * 8] = 1;
      continue;
    }
    const { apart, type, version, contentType, metadata, createdAt, updatedAt, size, checksum, expiresAt, slidingMs } = record;
    const given = (contentType === undefined ? 0 : 1) + (metadata === undefined ? 0 : 2);
    const all = [apart === true ? 3 : 2, createdAt, updatedAt, size, checksum, expiresAt ?? NaN, slidingMs ?? NaN, given];
    numbers.set(all, at * 8);
    texts.push(type, version, contentType ?? '', metadata ?? '');
  }
  return [numbers, texts.join('\n')];
}
