import init, { Handle, Matcher, joinKey, openIndexedDb, openMemory, setErrorFactory, splitKey } from '#wasm';
import { KvError, type KvErrorCode } from './error.js';

/** The WebAssembly module: fetched, compiled while it arrives, when a store is first opened. */
let loading: Promise<void> | undefined;

export function load(): Promise<void> {
  loading ??= start().catch((error: unknown) => {
    // The next attempt may have a network.
    loading = undefined;
    throw new KvError('unavailable', 'the WebAssembly module could not be loaded', { cause: error });
  });
  return loading;
}

declare const process: { versions?: { node?: string } } | undefined;

const isNode = typeof process !== 'undefined' && typeof process.versions?.node === 'string' && typeof window === 'undefined';

async function start(): Promise<void> {
  await init({ module_or_path: await source() });
  setErrorFactory(
    (code: KvErrorCode, message: string, limit?: number, actual?: number, retryAfterMs?: number) =>
      new KvError(code, message, { limit, actual, retryAfterMs }),
  );
}

async function source(): Promise<Response | Uint8Array<ArrayBuffer> | WebAssembly.Module> {
  const url = new URL('./dataknobs_kv.wasm', import.meta.url);
  if (isNode && url.protocol === 'file:') {
    // Named so that no bundler looks for it.
    const name = 'node:fs/promises';
    const { readFile } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
      readFile(url: URL): Promise<Uint8Array<ArrayBuffer>>;
    };
    return readFile(url);
  }
  const response = await fetch(url).catch(() => undefined);
  const type = response?.headers.get('content-type') ?? '';
  if (response?.ok === true && !type.startsWith('text/html')) return response;
  // Some bundlers move this file and leave the module behind; a copy of it as text goes wherever the code goes.
  const { default: bytes } = await import('#inline');
  return bytes();
}

export { Handle, Matcher, joinKey, openIndexedDb, openMemory, splitKey };
