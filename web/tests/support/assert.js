// For pages and Node alike.

const shown = (value) =>
  typeof value === 'bigint'
    ? `${value}n`
    : value instanceof Map
      ? `Map ${JSON.stringify([...value])}`
      : (JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner)) ?? String(value));

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof Map) return same([...a], [...b]);
  if (ArrayBuffer.isView(a)) return a.length === b.length && a.every((value, at) => value === b[at]);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

/** Equal in type and content. */
export function equal(actual, expected, what = '') {
  if (!same(actual, expected)) throw new Error(`${what} expected ${shown(expected)}, got ${shown(actual)}`);
}

export function ok(condition, what = 'it does not hold') {
  if (!condition) throw new Error(what);
}

/** Expects a `KvError` of this code: gives it. */
export async function refused(code, call, what = '') {
  let result;
  try {
    result = await call();
  } catch (error) {
    if (error.name === 'KvError' && error.code === code) return error;
    throw new Error(`${what} expected a KvError ${code}, got ${error.name} ${error.code}: ${error.message}`);
  }
  throw new Error(`${what} expected a KvError ${code}, got ${shown(result)}`);
}
