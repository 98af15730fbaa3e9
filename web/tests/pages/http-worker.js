// A store at a service, in a worker: the address comes as the first message.
import { KVStore } from '/dist/index.js';

self.onmessage = async ({ data: url }) => {
  try {
    const store = await KVStore.open({ backend: 'http', url, cache: 'memory' });
    await store.set('k', { a: 1 });
    self.postMessage([await store.get('k'), await store.increment('n'), await store.keys()]);
  } catch (error) {
    self.postMessage(String(error));
  }
};
