// Which store is shown: that of the service which this page comes from, or this browser's own.
import { KVStore, KvError, type StoredValue } from 'dataknobs-kv';

/**
 * A store whose values stay in the form in which they are stored: so every type is shown as what it is, JSON to the byte, and
 * values of types that this page has never heard of can be looked at, copied and exported.
 */
export class Store extends KVStore {
  override serialize(value: unknown): StoredValue {
    return value as StoredValue;
  }

  override deserialize(stored: StoredValue): StoredValue {
    return stored;
  }
}

export type Backend = 'indexeddb' | 'http';

/** Kept for this tab alone, and no longer than that. */
const TOKEN = 'dataknobs-kv token';

/** Whether a service has handed out this page: it says so with its files, whatever else their server may answer. */
export async function fromService(): Promise<boolean> {
  const response = await fetch(new URL('index.html', document.baseURI), { method: 'HEAD' }).catch(() => undefined);
  return response?.headers.has('kv-api') ?? false;
}

/** `askToken` is asked where the service wants one; undefined where that is not given. */
export async function openStore(
  backend: Backend,
  namespace: string,
  askToken: (wrong: boolean) => Promise<string | undefined>,
): Promise<Store | undefined> {
  if (backend === 'indexeddb') return Store.open({ backend, namespace, autoCleanup: true });
  let token = sessionStorage.getItem(TOKEN) ?? undefined;
  for (;;) {
    const store = await Store.open({ backend, url: new URL('.', document.baseURI), namespace, token });
    try {
      // Nothing is sent before the first call: this one asks for little.
      await store.capabilities();
      return store;
    } catch (error) {
      await store.close();
      if (!(error instanceof KvError) || error.code !== 'access-denied') throw error;
      const given = await askToken(token !== undefined);
      if (given === undefined) return undefined;
      token = given;
      sessionStorage.setItem(TOKEN, token);
    }
  }
}
