import { Changes } from './changes.js';
import { asKvError, invalid } from './error.js';
import type { Backend } from './layer.js';
import { given, seconds } from './options.js';
import { Opened } from './session.js';
import { wellFormed } from './text.js';
import type { OpenOptions } from './types.js';
import { loadDatabase, loadHttp } from './wasm.js';

const EVERYWHERE = ['backend', 'namespace', 'timeout', 'autoCleanup', 'cleanupInterval'];
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
  const [handle, changes] = await openers[backend](options, timeoutMs);
  return new Opened(handle, changes, namespace, cleanup);
}

const openers = {
  async indexeddb(options: OpenOptions, timeoutMs = 10_000): Promise<[Backend, Changes]> {
    const { name = 'dataknobs-kv', durability = 'relaxed' } = options;
    wellFormed(name, 'name');
    const { openIndexedDb } = await loadDatabase();
    const changes = new Changes(name);
    try {
      return [(await openIndexedDb(name, durability, timeoutMs, changes.announce)) as Backend, changes];
    } catch (error) {
      changes.close();
      throw asKvError(error);
    }
  },

  async memory(): Promise<[Backend, Changes]> {
    const { openMemory } = await loadDatabase();
    const changes = new Changes();
    return [openMemory(changes.announce), changes];
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
