import init, {
  joinKey,
  matching,
  openOver,
  setErrorFactory,
  splitKey,
  tellEnd,
  tellFailure,
  tellItem,
} from '#wasm';
import { KvError, type KvErrorCode, invalid } from './error.js';
import { Handle } from './handle.js';
import { Adapter } from './indexed_db/adapter.js';
import type { Announce } from './indexed_db/calls.js';
import type { Config } from './indexed_db/link.js';

/** The rules of keys and patterns, of whichever WebAssembly module was loaded first: both have them. */
export interface Rules {
  joinKey: typeof joinKey;
  matching: typeof matching;
  splitKey: typeof splitKey;
}

let loaded: Rules | undefined;

export function rules(): Rules {
  if (loaded === undefined) throw invalid('keys and patterns are understood once a store has been opened');
  return loaded;
}

/** What starts a module: the functions of its glue. */
interface Glue extends Rules {
  init(source: { module_or_path: WebAssembly.Module }): Promise<unknown>;
  setErrorFactory(factory: unknown): void;
}

/** Fetched, and compiled while it arrives, when a backend that needs it is first opened. */
function lazily<T extends Glue>(
  glue: () => Promise<T> | T,
  url: () => URL,
  inline: () => Promise<{ default: () => Uint8Array<ArrayBuffer> }>,
): () => Promise<T> {
  let loading: Promise<T> | undefined;
  const start = async (): Promise<T> => {
    const module = await glue();
    await module.init({ module_or_path: await source(url(), inline) });
    module.setErrorFactory(
      (code: KvErrorCode, message: string, limit?: number, actual?: number, retryAfterMs?: number) =>
        new KvError(code, message, { limit, actual, retryAfterMs }),
    );
    loaded ??= module;
    return module;
  };
  return () => {
    loading ??= start().catch((error: unknown) => {
      // The next attempt may have a network.
      loading = undefined;
      throw new KvError('unavailable', 'the WebAssembly module could not be loaded', { cause: error });
    });
    return loading;
  };
}

declare const process: { versions?: { node?: string } } | undefined;

const isNode = typeof process !== 'undefined' && typeof process.versions?.node === 'string' && typeof window === 'undefined';

async function source(
  url: URL,
  inline: () => Promise<{ default: () => Uint8Array<ArrayBuffer> }>,
): Promise<WebAssembly.Module> {
  if (isNode && url.protocol === 'file:') {
    // Named so that no bundler looks for it.
    const name = 'node:fs/promises';
    const { readFile } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
      readFile(url: URL): Promise<Uint8Array<ArrayBuffer>>;
    };
    return WebAssembly.compile(await readFile(url));
  }
  const response = await fetch(url).catch(() => undefined);
  const type = response?.headers.get('content-type') ?? '';
  if (response?.ok === true && !type.startsWith('text/html')) {
    // While it arrives, where the server says what it is.
    return type.startsWith('application/wasm')
      ? WebAssembly.compileStreaming(response)
      : WebAssembly.compile(await response.arrayBuffer());
  }
  // Some bundlers move this file and leave the module behind; a copy of it as text goes wherever the code goes.
  return WebAssembly.compile((await inline()).default());
}

// The addresses are written out where bundlers look for them.

/** IndexedDB and memory. */
export const loadDatabase = lazily(
  () => ({
    init,
    setErrorFactory,
    joinKey,
    matching,
    splitKey,
    /** The database of this name, or memory where none is named. */
    async openStore(announce: Announce, config?: Config): Promise<Handle> {
      const adapter = await Adapter.open({ tellEnd, tellFailure, tellItem }, announce, config);
      return new Handle(openOver(adapter), () => adapter.close());
    },
  }),
  () => new URL('./dataknobs_kv.wasm', import.meta.url),
  () => import('#inline'),
);

/** The client of a service, its glue too. */
export const loadHttp = lazily(
  () => import('#http'),
  () => new URL('./dataknobs_kv_http.wasm', import.meta.url),
  () => import('#http-inline'),
);

