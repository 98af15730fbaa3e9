// The database: its form, opening and letting go.
//
// Two object stores, both with the key `namespace⇥key` (`requests.ts`):
//   entries  one record for each entry: value, type, version, times ...; its index `expiry` holds those that expire
//   values   values too large to be read along with their entry's other attributes

export const ENTRIES = 'entries';
export const VALUES = 'values';
export const EXPIRY = 'expiry';

/** Of the form above, the first that is published. */
const SCHEMA = 2;

export const failure = (name: string, message: string): DOMException => new DOMException(message, name);

/**
 * Opens the database, creating what is missing. `onGone` is called when the connection can no longer be used: the browser
 * closed it, or another tab wants to change or delete the database, which waits until we let go.
 */
export function openDatabase(name: string, timeout: number, onGone: () => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const factory = globalThis.indexedDB as IDBFactory | undefined;
    if (!factory) {
      reject(failure('NotSupportedError', 'there is no IndexedDB here'));
      return;
    }
    const request = factory.open(name, SCHEMA);
    let late = false;
    let blocked = false;
    const timer = setTimeout(() => {
      late = true;
      reject(
        failure(
          'TimeoutError',
          blocked ? 'another tab keeps an older version of it open' : 'the browser did not open it in time',
        ),
      );
    }, timeout);
    request.onblocked = () => {
      blocked = true;
    };
    request.onupgradeneeded = () => {
      const database = request.result;
      if (late) {
        request.transaction?.abort();
        return;
      }
      if (!database.objectStoreNames.contains(ENTRIES)) {
        const entries = database.createObjectStore(ENTRIES);
        entries.createIndex(EXPIRY, ['expiresAt', 'namespace']);
      }
      if (!database.objectStoreNames.contains(VALUES)) {
        database.createObjectStore(VALUES);
      }
    };
    request.onerror = (event) => {
      event.preventDefault();
      clearTimeout(timer);
      reject(request.error);
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      const database = request.result;
      if (late) {
        database.close();
        return;
      }
      database.onversionchange = () => {
        database.close();
        onGone();
      };
      database.onclose = onGone;
      resolve(database);
    };
  });
}

export function closeDatabase(database: IDBDatabase): void {
  database.onversionchange = null;
  database.onclose = null;
  database.close();
}
