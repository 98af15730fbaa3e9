import { Changes } from './changes.js';
import { asKvError, invalid } from './error.js';
import { given, seconds } from './options.js';
import { Opened } from './session.js';
import { wellFormed } from './text.js';
import type { OpenOptions } from './types.js';
import { type Handle, load, openIndexedDb, openMemory } from './wasm.js';

const NAMES = ['backend', 'namespace', 'name', 'durability', 'timeout', 'autoCleanup', 'cleanupInterval'];
/** The longest that timers wait. */
const LONGEST = 2 ** 31 - 1;

/** Opens the backend that the options name. */
export async function open(options: OpenOptions): Promise<Opened> {
  given(options, NAMES);
  const { backend = 'indexeddb', name = 'dataknobs-kv', durability = 'relaxed', timeout = 10 } = options;
  const { autoCleanup = false, cleanupInterval = 60 } = options;
  const namespace = wellFormed(options.namespace ?? 'default', 'namespace');
  const cleanup = autoCleanup ? Math.min(seconds(cleanupInterval, 'cleanupInterval'), LONGEST) : undefined;
  const timeoutMs = Math.min(seconds(timeout, 'timeout'), LONGEST);
  await load();
  let handle: Handle;
  let changes: Changes;
  switch (backend) {
    case 'indexeddb':
      changes = new Changes(wellFormed(name, 'name'));
      try {
        handle = (await openIndexedDb(name, durability, timeoutMs, changes.announce)) as Handle;
      } catch (error) {
        changes.close();
        throw asKvError(error);
      }
      break;
    case 'memory':
      changes = new Changes();
      handle = openMemory(changes.announce);
      break;
    default:
      throw invalid(`backend: there is no ${JSON.stringify(backend)}; there are indexeddb and memory`);
  }
  return new Opened(handle, changes, namespace, cleanup);
}
