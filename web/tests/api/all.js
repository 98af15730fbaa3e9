// The scenarios, for a page, a worker or Node: `run(name)` runs one.
import * as assert from '../support/assert.js';
import calls from './calls.js';
import input from './input.js';
import readme from './readme.js';

export const files = { readme, input, calls };

/**
 * @param {object} package_ the package's exports
 * @param {string} backend
 * @param {() => Promise<{ url: string, ahead(seconds: number): unknown, stop(): unknown }>} [start] a service, for `http`
 * @param {object} [more] options of every store
 */
export function scenarios(package_, backend, start, more = {}) {
  const { KVStore } = package_;
  const tests = {};
  for (const [file, make] of Object.entries(files)) {
    for (const [name, run] of Object.entries(make({ ...package_, ...assert }))) {
      tests[`${file}::${name}`] = async () => {
        const database = `test-${crypto.randomUUID()}`;
        const service = await start?.();
        const where = { indexeddb: { name: database }, http: { url: service?.url } }[backend];
        const opened = [];
        const open = async (options = {}, Class = KVStore) => {
          const { shared: _, ...rest } = options;
          const store = await Class.open({ backend, ...where, ...more, ...rest });
          opened.push(store);
          return store;
        };
        // Time passes for as long as `then` runs: by the clock that the store looks at.
        const now = Date.now;
        const later = async (seconds, then) => {
          await service?.ahead(seconds);
          Date.now = () => now() + seconds * 1000;
          try {
            return await then();
          } finally {
            Date.now = now;
            await service?.ahead(0);
          }
        };
        try {
          await run({ open, later, backend });
        } finally {
          await Promise.all(opened.map((store) => store.close()));
          if (backend === 'indexeddb') indexedDB.deleteDatabase(database);
          await service?.stop();
        }
      };
    }
  }
  return tests;
}
