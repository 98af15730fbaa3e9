// Runs scenarios for whoever asks, in this page or in a worker of its own.
import * as package_ from '/dist/index.js';
import { scenarios } from '/api/all.js';

const tests = {
  indexeddb: scenarios(package_, 'indexeddb'),
  // The test's program starts services for pages that ask.
  http: scenarios(package_, 'http', async () => {
    const { id, url } = await globalThis.startService();
    return { url, ahead: (seconds) => globalThis.moveClock(id, seconds), stop: () => globalThis.stopService(id) };
  }),
};

async function answer(name, backend = 'indexeddb') {
  try {
    await tests[backend][name]();
    return undefined;
  } catch (error) {
    return `${error.stack ?? error}`;
  }
}

if (typeof WorkerGlobalScope === 'undefined') {
  globalThis.names = Object.keys(tests.indexeddb);
  let worker;
  globalThis.runScenario = (place, name, backend) => {
    if (place === 'window') return answer(name, backend);
    worker ??= new Worker(import.meta.url, { type: 'module' });
    return new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => resolve(`worker: ${event.message}`);
      worker.postMessage(name);
    });
  };
  Object.assign(globalThis, package_);
} else {
  self.onmessage = async ({ data }) => self.postMessage(await answer(data));
}
