// Values as text: what is shown of them, and what people type.
import type { Entry, StoredValue } from 'dataknobs-kv';

/** An entry as this page reads it. */
export type Held = Entry<StoredValue>;

/** What values are called here. Dates and files are custom types of the package. */
export const KINDS = [
  ['text', 'Text'],
  ['integer', 'Integer'],
  ['number', 'Number'],
  ['boolean', 'Boolean'],
  ['null', 'Null'],
  ['json', 'JSON'],
  ['custom:date', 'Date'],
  ['bytes', 'Bytes'],
] as const;

export const kindName = (type: string): string =>
  KINDS.find(([kind]) => kind === type)?.[1] ?? (type === 'custom:blob' ? 'File' : type.slice(type.indexOf(':') + 1));

export const bytesOf = (stored: StoredValue): Uint8Array<ArrayBuffer> => {
  const { data } = stored;
  return data instanceof Uint8Array ? new Uint8Array(data) : new TextEncoder().encode(data === null ? 'null' : String(data));
};

const decoder = new TextDecoder();

export const isBinary = (type: string): boolean => type === 'bytes' || (type.startsWith('custom:') && type !== 'custom:date');

/** What is edited: the text of a text, the digits of a number, hex digits of bytes. */
export function toText(stored: StoredValue): string {
  const { type, data } = stored;
  if (type === 'custom:date') return decoder.decode(data as Uint8Array);
  if (data instanceof Uint8Array) return toHex(data);
  return data === null ? '' : Object.is(data, -0) ? '-0' : String(data);
}

/** In one line, for lists. */
export function glance(stored: StoredValue, most = 120): string {
  const { type, data } = stored;
  if (isBinary(type)) return `${kindName(type)}, ${size((data as Uint8Array).length)}`;
  const text = type === 'null' ? 'null' : toText(stored);
  const line = text.slice(0, most * 2).replace(/\s+/g, ' ');
  return line.length > most || text.length > most * 2 ? `${line.slice(0, most)}…` : line;
}

/** The value that a text stands for; an `Error` whose message says what is wrong with it. */
export function fromText(type: string, text: string): StoredValue {
  const trimmed = text.trim();
  switch (type) {
    case 'text':
      return { type, data: text };
    case 'integer':
      if (!/^[+-]?\d+$/.test(trimmed)) throw new Error('A whole number is expected, such as 42.');
      if (BigInt.asIntN(64, BigInt(trimmed)) !== BigInt(trimmed)) throw new Error('An integer has at most 64 bits.');
      return { type, data: BigInt(trimmed) };
    case 'number': {
      const data = Number(trimmed);
      if (trimmed === '' || !Number.isFinite(data)) throw new Error('A number is expected, such as 0.5 or 1e9.');
      return { type, data };
    }
    case 'boolean':
      if (trimmed !== 'true' && trimmed !== 'false') throw new Error('true or false is expected.');
      return { type, data: trimmed === 'true' };
    case 'null':
      return { type, data: null };
    case 'json':
      try {
        JSON.parse(text);
      } catch (error) {
        throw new Error(`This is not JSON yet: ${(error as Error).message}`);
      }
      return { type, data: text };
    case 'custom:date': {
      const date = new Date(trimmed);
      if (trimmed === '' || Number.isNaN(date.getTime())) throw new Error('A date is expected, such as 2030-01-31T12:00:00Z.');
      return { type, data: new TextEncoder().encode(date.toISOString()) };
    }
    case 'bytes':
      return { type, data: fromHex(text) };
    default:
      throw new Error(`Values of the type ${type} cannot be typed in: choose a file.`);
  }
}

/** A first value of each type. */
export const initial = (type: string): string =>
  ({ integer: '0', number: '0', boolean: 'true', json: '{}', 'custom:date': new Date().toISOString() })[type] ?? '';

/** Sixteen bytes a line. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  bytes.forEach((byte, at) => {
    text += byte.toString(16).padStart(2, '0') + (at % 16 === 15 ? '\n' : ' ');
  });
  return text.trimEnd();
}

function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error('Bytes are pairs of hex digits, such as 4f 4b.');
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** A size for people. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const [amount, unit] = bytes < 1024 ** 2 ? [bytes / 1024, 'KiB'] : [bytes / 1024 ** 2, 'MiB'];
  return `${amount.toFixed(amount < 10 ? 1 : 0)} ${unit}`;
}

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
