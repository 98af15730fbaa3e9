// Which store is shown: the service that this page comes from, or this browser's own.
import { KVStore, type StoredValue } from 'dataknobs-kv';

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

export function openStore(namespace: string): Promise<Store> {
  return Store.open({ backend: 'indexeddb', namespace, autoCleanup: true });
}
