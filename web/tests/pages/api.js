// Runs scenarios for whoever asks, in this page or in a worker of its own.
import * as package_ from '/dist/index.js';
import { scenarios } from '/api/all.js';

const tests = scenarios(package_, 'indexeddb');

async function answer(name) {
  try {
    await tests[name]();
    return undefined;
  } catch (error) {
    return `${error.stack ?? error}`;
  }
}

if (typeof WorkerGlobalScope === 'undefined') {
  globalThis.names = Object.keys(tests);
  let worker;
  globalThis.runScenario = (place, name) => {
    if (place === 'window') return answer(name);
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
