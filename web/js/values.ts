import { invalid } from './error.js';
import { wellFormed } from './text.js';

/** What `set` takes. Other objects need a subclass with `serialize` and `deserialize`. */
export type KvValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Date
  | Uint8Array
  | ArrayBuffer
  | Blob
  | readonly unknown[]
  | { readonly [key: string]: unknown };

/** How a value is stored. `custom:NAME` is for values of your own types: NAME is 1 to 64 printable ASCII characters. */
export type ValueType =
  | 'text'
  | 'bytes'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'null'
  | 'json'
  | `custom:${string}`;

/**
 * A value as it is stored, between {@link KVStore.serialize} and {@link KVStore.deserialize}: `data` is a string for `text`
 * and `json`, a `Uint8Array` for `bytes` and `custom:…`, and the value itself for the others.
 */
export interface StoredValue {
  /** What it is. */
  type: ValueType;
  /** The content. */
  data: string | number | bigint | boolean | null | Uint8Array;
  /** Stored beside the value, unless the call gives another. */
  contentType?: string | undefined;
}

/** As the WebAssembly module takes and gives it. */
export interface Encoded {
  type: number;
  data: unknown;
  name: string | undefined;
  contentType: string | undefined;
}

const TYPES = ['text', 'bytes', 'integer', 'number', 'boolean', 'null', 'json'] as const;
const CUSTOM = TYPES.length;
const DATE = 'custom:date';
const BLOB = 'custom:blob';

export const typeName = (type: number, name: string | undefined): ValueType =>
  TYPES[type] ?? (`custom:${name ?? ''}` as const);

/** The bytes of a `Uint8Array` or an `ArrayBuffer`; undefined for all else. */
function bytesOf(data: unknown): Uint8Array | undefined {
  if (!(data instanceof Uint8Array) && !(data instanceof ArrayBuffer)) return undefined;
  try {
    const all = new Uint8Array(data instanceof Uint8Array ? data.buffer : data);
    return data instanceof Uint8Array ? data : all;
  } catch (error) {
    throw invalid('value: the buffer is detached, and its bytes are gone', error);
  }
}

/** What JSON would change or drop without a word is refused. */
function strict(this: unknown, key: string, value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value)) throw invalid(`${at(key)}: ${value} has no form in JSON`);
      return value;
    case 'bigint':
    case 'function':
    case 'symbol':
      throw invalid(`${at(key)}: a ${typeof value} has no form in JSON`);
    case 'string':
      return value;
    case 'undefined':
      if (Array.isArray(this)) throw invalid(`${at(key)}: undefined has no form in JSON`);
      return value;
    case 'object':
      if (value !== null && !Array.isArray(value) && strange(value)) {
        throw invalid(`${at(key)}: a ${value.constructor?.name ?? 'strange object'} has no form in JSON`);
      }
      return value;
    default:
      return value;
  }
}

const at = (key: string): string => (key === '' ? 'value' : `value, at ${JSON.stringify(key)}`);

/** Whether it is an object whose content JSON does not see. */
const strange = (value: object): boolean =>
  value instanceof Map ||
  value instanceof Set ||
  value instanceof WeakMap ||
  value instanceof WeakSet ||
  value instanceof Promise ||
  value instanceof RegExp ||
  value instanceof Error ||
  value instanceof ArrayBuffer ||
  ArrayBuffer.isView(value) ||
  (typeof Blob !== 'undefined' && value instanceof Blob);

/** The built-in form of a value. A `Blob` is not one of them: its bytes come later. */
export function serializeValue(value: unknown): StoredValue {
  switch (typeof value) {
    case 'string':
      return { type: 'text', data: value };
    case 'number':
      return { type: Number.isSafeInteger(value) && !Object.is(value, -0) ? 'integer' : 'number', data: value };
    case 'boolean':
      return { type: 'boolean', data: value };
    case 'bigint':
      return { type: 'integer', data: value };
    case 'object': {
      if (value === null) return { type: 'null', data: null };
      const bytes = bytesOf(value);
      if (bytes !== undefined) return { type: 'bytes', data: bytes };
      if (value instanceof Date) {
        if (Number.isNaN(value.getTime())) throw invalid('value: an invalid date');
        return { type: DATE, data: new TextEncoder().encode(value.toISOString()) };
      }
      if (strange(value)) {
        throw invalid(`value: a ${value.constructor?.name ?? 'strange object'} needs a subclass with \`serialize\``);
      }
      return { type: 'json', data: toJson(value) };
    }
    default:
      throw invalid(`value: ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`} cannot be stored`);
  }
}

export function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value, strict);
  } catch (error) {
    if (error instanceof Error && error.name === 'KvError') throw error;
    // Cycles, and what `toJSON` throws.
    throw invalid(`value: it has no form in JSON (${error instanceof Error ? error.message : String(error)})`, error);
  }
  if (text === undefined) throw invalid('value: it has no form in JSON');
  return text;
}

export function deserializeValue(stored: StoredValue): unknown {
  switch (stored.type) {
    case 'json':
      return JSON.parse(stored.data as string);
    case DATE:
      return new Date(new TextDecoder().decode(stored.data as Uint8Array));
    case BLOB: {
      const bytes = stored.data as Uint8Array<ArrayBuffer>;
      return new Blob([bytes], stored.contentType === undefined ? {} : { type: stored.contentType });
    }
    default:
      return stored.data;
  }
}

/** A blob's bytes, to be stored; its type becomes the content type. */
export async function serializeBlob(blob: Blob): Promise<StoredValue> {
  const data = new Uint8Array(await blob.arrayBuffer());
  return { type: BLOB, data, contentType: blob.type === '' ? undefined : blob.type };
}

const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

/** For the WebAssembly module, which trusts what is looked at here. */
export function encode(stored: StoredValue): Encoded {
  const { type, data, contentType } = stored;
  const refuse = (): never => {
    throw invalid(`value: ${typeof data} is no data for the type ${type}`);
  };
  switch (type) {
    case 'text':
    case 'json':
      if (typeof data !== 'string') return refuse();
      return { type: type === 'text' ? 0 : 6, data: wellFormed(data, 'value'), name: undefined, contentType };
    case 'bytes': {
      const bytes = bytesOf(data) ?? refuse();
      return { type: 1, data: bytes, name: undefined, contentType };
    }
    case 'integer':
      if (typeof data === 'bigint') {
        if (data < I64_MIN || data > I64_MAX) throw invalid('value: a bigint of more than 64 bits');
      } else if (!Number.isSafeInteger(data)) {
        return refuse();
      }
      return { type: 2, data, name: undefined, contentType };
    case 'number':
      if (typeof data !== 'number') return refuse();
      if (!Number.isFinite(data)) throw invalid(`value: ${data} is no finite number`);
      return { type: 3, data, name: undefined, contentType };
    case 'boolean':
      if (typeof data !== 'boolean') return refuse();
      return { type: 4, data, name: undefined, contentType };
    case 'null':
      return { type: 5, data: null, name: undefined, contentType };
    default: {
      if (typeof type !== 'string' || !type.startsWith('custom:')) throw invalid(`value: no type ${String(type)}`);
      const bytes = bytesOf(data) ?? refuse();
      return { type: CUSTOM, data: bytes, name: wellFormed(type.slice(7), 'value type'), contentType };
    }
  }
}

export const decode = ({ type, data, name, contentType }: Encoded): StoredValue => ({
  type: typeName(type, name),
  data: data as StoredValue['data'],
  contentType,
});
