// JSON Lines as the command line's `export` and `import` have them: an entry a line, of every type, to the byte.
import type { StoredValue } from 'dataknobs-kv';
import type { Portable } from './again.js';
import type { Held } from './value.js';

/** The type of JSON whose text would break a line or lose spaces: it stands in a string. */
const JSON_TEXT = 'json-text';

/** The line of an entry, without its end. */
export function toLine(entry: Held): string {
  const [type, value] = valueOut(entry.value);
  const rest = JSON.stringify({
    metadata: Object.keys(entry.metadata).length === 0 ? undefined : entry.metadata,
    content_type: entry.contentType,
    created_at: entry.createdAt.getTime(),
    updated_at: entry.updatedAt.getTime(),
    expires_at: entry.expiresAt?.getTime(),
    sliding_ms: entry.slidingMs,
    size: entry.size,
  });
  const head = JSON.stringify({ key: entry.key, version: entry.version, type });
  return `${head.slice(0, -1)},"value":${value},${rest.slice(1)}`;
}

function valueOut({ type, data }: StoredValue): [type: string, json: string] {
  if (data instanceof Uint8Array) return [type, `"${toBase64(data)}"`];
  switch (type) {
    case 'json': {
      const text = data as string;
      return /[\r\n]|^[ \t]|[ \t]$/.test(text) ? [JSON_TEXT, JSON.stringify(text)] : [type, text];
    }
    case 'text':
      return [type, JSON.stringify(data)];
    default:
      return [type, Object.is(data, -0) ? '-0.0' : String(data)];
  }
}

const NAMES = ['key', 'version', 'type', 'value', 'metadata', 'content_type', 'created_at', 'updated_at', 'expires_at', 'sliding_ms', 'size', 'checksum'];

/** What a line says: an entry, or the namespace of those that follow. An error says what is wrong with it. */
export function fromLine(line: string): Portable | { namespace: string } {
  const members = JSON.parse(line) as Record<string, unknown> | null;
  if (typeof members !== 'object' || members === null || Array.isArray(members)) throw new Error('an object is expected');
  if (typeof members['namespace'] === 'string' && Object.keys(members).length === 1) return { namespace: members['namespace'] };
  for (const name of Object.keys(members)) if (!NAMES.includes(name)) throw new Error(`there is no member ${JSON.stringify(name)}`);
  const { key, type, metadata = {}, content_type: contentType, expires_at: expiresAt, sliding_ms: slidingMs } = members;
  if (typeof key !== 'string') throw new Error('key: a string is expected');
  if (!('value' in members)) throw new Error('value: it is missing');
  if (type !== undefined && typeof type !== 'string') throw new Error('type: a string is expected');
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) throw new Error('metadata: an object is expected');
  if (contentType !== undefined && typeof contentType !== 'string') throw new Error('content_type: a string is expected');
  return {
    key,
    value: valueIn(type, raw(line, 'value'), members['value']),
    metadata: metadata as Portable['metadata'],
    contentType,
    expiresAt: milliseconds(expiresAt, 'expires_at', (ms) => new Date(ms)),
    slidingMs: milliseconds(slidingMs, 'sliding_ms', (ms) => ms),
  };
}

function milliseconds<T>(value: unknown, name: string, make: (ms: number) => T): T | undefined {
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value)) throw new Error(`${name}: milliseconds are expected`);
  return make(value as number);
}

/** `text` is the value as it stands in the line: digits that a number does not hold, and spaces, are in it. */
function valueIn(given: string | undefined, text: string, value: unknown): StoredValue {
  const type = given ?? guess(text, value);
  const wrong = (): Error => new Error(`value: what is given is no ${type}`);
  switch (type) {
    case 'text':
      if (typeof value !== 'string') throw wrong();
      return { type, data: value };
    case 'integer':
      if (!isInteger(text)) throw wrong();
      return { type, data: BigInt(text) };
    case 'number':
      if (typeof value !== 'number') throw wrong();
      return { type, data: value };
    case 'boolean':
      if (typeof value !== 'boolean') throw wrong();
      return { type, data: value };
    case 'null':
      if (value !== null) throw wrong();
      return { type, data: null };
    case 'json':
      return { type, data: text };
    case JSON_TEXT:
      if (typeof value !== 'string') throw wrong();
      JSON.parse(value);
      return { type: 'json', data: value };
    default:
      if (type !== 'bytes' && !type.startsWith('custom:')) throw new Error(`type: there is no ${type}`);
      if (typeof value !== 'string') throw wrong();
      return { type: type as StoredValue['type'], data: fromBase64(value) };
  }
}

const isInteger = (text: string): boolean => /^-?\d+$/.test(text) && text !== '-0' && BigInt.asIntN(64, BigInt(text)) === BigInt(text);

function guess(text: string, value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'object') return 'json';
  if (typeof value === 'number') return isInteger(text) ? 'integer' : Number.isFinite(value) ? 'number' : 'json';
  return typeof value === 'string' ? 'text' : 'boolean';
}

/** A top-level member's text. The line is JSON, so only strings and nesting have to be told apart. */
function raw(line: string, name: string): string {
  let depth = 0;
  let label: string | undefined;
  let from: number | undefined;
  let text: string | undefined;
  for (const { 0: token, index } of line.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    if (depth > 1) continue;
    if (depth === 0 || (token === ',' && depth === 1)) {
      // The last of several of one name counts, as for `JSON.parse`.
      if (from !== undefined) text = line.slice(from, index).trim();
      [label, from] = [undefined, undefined];
    } else if (label === undefined && token.startsWith('"')) label = JSON.parse(token) as string;
    else if (token === ':' && from === undefined && label === name) from = index + 1;
  }
  if (text === undefined) throw new Error(`${name}: it is missing`);
  return text;
}

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  let decoded: string;
  try {
    decoded = atob(text);
  } catch {
    throw new Error('value: bytes are given as base64');
  }
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}
