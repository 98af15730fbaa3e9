import { Changes } from './changes.js';
import { KvError, asKvError, invalid } from './error.js';
import type { Backend } from './layer.js';
import { given, seconds } from './options.js';
import { Opened } from './session.js';
import { wellFormed } from './text.js';
import type { OpenOptions } from './types.js';
import { loadDatabase, loadHttp } from './wasm.js';

const EVERYWHERE = ['backend', 'namespace', 'timeout', 'cache', 'cacheTtl', 'cacheSize', 'autoCleanup', 'cleanupInterval'];
/** What each backend takes besides. */
const OWN = { indexeddb: ['name', 'durability'], memory: ['name', 'durability'], http: ['url', 'token'] };
/** The longest that timers wait. */
const LONGEST = 2 ** 31 - 1;

/** Opens the backend that the options name. */
export async function open(options: OpenOptions): Promise<Opened> {
  given(options, [...EVERYWHERE, ...Object.values(OWN).flat()]);
  const { backend = 'indexeddb' } = options;
  if (!Object.hasOwn(OWN, backend)) {
    throw invalid(`backend: there is no ${JSON.stringify(backend)}; there are ${Object.keys(OWN).join(', ')}`);
  }
  given(options, [...EVERYWHERE, ...OWN[backend]]);
  const { autoCleanup = false, cleanupInterval = 60, timeout } = options;
  const namespace = wellFormed(options.namespace ?? 'default', 'namespace');
  const cleanup = autoCleanup ? Math.min(seconds(cleanupInterval, 'cleanupInterval'), LONGEST) : undefined;
  const timeoutMs = timeout === undefined ? undefined : Math.min(seconds(timeout, 'timeout'), LONGEST);
  const cache = cacheOf(options);
  const [handle, changes] = await openers[backend](options, timeoutMs);
  return new Opened(cache === undefined ? handle : await cached(handle, changes, cache), changes, namespace, cleanup);
}

interface Cache {
  ttlMs: number;
  size: number;
}

function cacheOf({ cache = 'none', cacheTtl, cacheSize }: OpenOptions): Cache | undefined {
  if (cache === 'none') {
    if (cacheTtl !== undefined || cacheSize !== undefined) throw invalid("cacheTtl, cacheSize: they go with cache: 'memory'");
    return undefined;
  }
  if (cache !== 'memory') throw invalid('cache: it is `memory` or `none`');
  const { ttlMs, size } = { ttlMs: seconds(cacheTtl ?? 60, 'cacheTtl'), size: cacheSize ?? 10_000 };
  if (ttlMs > 86_400_000) throw invalid('cacheTtl: at most a day, 86,400 seconds');
  if (!Number.isInteger(size) || size < 1 || size > 100_000_000) {
    throw invalid('cacheSize: a whole number from 1 to 100,000,000 is expected');
  }
  return { ttlMs, size };
}

async function cached(handle: Backend, changes: Changes, { ttlMs, size }: Cache): Promise<Backend> {
  try {
    const { Cached } = await import('#cache');
    return new Cached(handle, ttlMs, size, (listener) => changes.watch(listener));
  } catch (error) {
    changes.close();
    handle.close();
    throw new KvError('unavailable', 'the cache could not be loaded', { cause: error });
  }
}

const openers = {
  async indexeddb(options: OpenOptions, timeoutMs = 10_000): Promise<[Backend, Changes]> {
    const { name = 'dataknobs-kv', durability = 'relaxed' } = options;
    wellFormed(name, 'name');
    if (durability !== 'relaxed' && durability !== 'strict') throw invalid('durability: it is `relaxed` or `strict`');
    const { openStore } = await loadDatabase();
    const changes = new Changes(name);
    try {
      return [await openStore(changes.announce, { name, durability, timeoutMs }), changes];
    } catch (error) {
      changes.close();
      throw asKvError(error);
    }
  },

  async memory(): Promise<[Backend, Changes]> {
    const { openStore } = await loadDatabase();
    const changes = new Changes();
    return [await openStore(changes.announce), changes];
  },

  async http(options: OpenOptions, timeoutMs = 90_000): Promise<[Backend, Changes]> {
    const address = whole(options.url);
    const token = options.token === undefined ? undefined : wellFormed(options.token, 'token');
    const { openHttp, Told } = await loadHttp();
    const handle = openHttp(address, token, timeoutMs);
    // An address of a service holds no secret: `openHttp` has seen to that.
    const changes = new Changes(`http ${address}`);
    return [new Told(handle, changes.announce), changes];
  },
};

/** The address, from that of the page where it is none by itself. */
function whole(url: unknown): string {
  if (!(url instanceof URL) && typeof url !== 'string') throw invalid('url: the address of a service is expected');
  try {
    return new URL(url, globalThis.location?.href).href;
  } catch (error) {
    throw invalid('url: it is no address', error);
  }
}
