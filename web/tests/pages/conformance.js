// Runs cases of the suite for whoever asks: in a page, in a dedicated worker, in a shared worker.
import { Adapter } from '/conformance/adapter.js';
import init, { cases, run, tellEnd, tellFailure, tellItem } from '/conformance/conformance.js';

let ready;

globalThis.openAdapter = (name) =>
  Adapter.open(
    { tellEnd, tellFailure, tellItem },
    () => undefined,
    name === undefined ? undefined : { name, durability: 'relaxed', timeoutMs: 10_000 },
  );

/** @param {{ ask: 'cases' } | { ask: 'run', index: number }} question */
export async function answer(question) {
  ready ??= init();
  await ready;
  if (question.ask === 'cases') return { cases: await cases(question.database) };
  return new Promise((resolve) => {
    run(question.database, question.index, (message) => resolve({ failed: message })).then(
      () => resolve({ passed: true }),
      (error) => resolve({ failed: String(error) }),
    );
  });
}

const serve = (port) => {
  port.onmessage = async ({ data }) => port.postMessage(await answer(data));
};
if (typeof WorkerGlobalScope !== 'undefined') {
  if (typeof SharedWorkerGlobalScope !== 'undefined') self.onconnect = ({ ports: [port] }) => serve(port);
  else serve(self);
} else {
  let port;
  /** Asks here, or in a worker of this kind. */
  globalThis.ask = (kind, question) => {
    if (kind === 'window') return answer(question);
    if (port === undefined) {
      const url = new URL(import.meta.url);
      url.search = `?${crypto.randomUUID()}`;
      const worker =
        kind === 'worker' ? new Worker(url, { type: 'module' }) : new SharedWorker(url, { type: 'module' });
      port = kind === 'worker' ? worker : worker.port;
      worker.onerror = (event) => console.error('worker', event.message);
    }
    return new Promise((resolve) => {
      port.onmessage = ({ data }) => resolve(data);
      port.postMessage(question);
    });
  };
}
