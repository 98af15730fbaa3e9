// Changes: those that the package tells of, and at a service also those that are found by looking again. They are gathered for a
// moment, so that many at once are drawn once.
import type { Change, Description } from 'dataknobs-kv';
import type { Store } from './store.js';

/** What changed; an entry that has expired is not told of by anybody, but missed. */
export type News = Omit<Change, 'type'> & { type: Change['type'] | 'expire' };

const PAUSE = 60;
/** How often a service is looked at, and how many of its keys. */
const EVERY = 3000;
const WATCHED = 1000;

/** What was seen: of each key its version and expiry; `last` where there are more. */
interface Seen {
  entries: Map<string, Pick<Description, 'version' | 'expiresAt'>>;
  last: string | undefined;
}

export class Feed {
  readonly #onNews: (news: News[]) => void;
  readonly #onState: (state: string) => void;
  readonly #beyond: () => void;
  #store: Store | undefined;
  #gathered: News[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stop: (() => void) | undefined;
  #next: ReturnType<typeof setTimeout> | undefined;
  #seen: Seen | undefined;
  /** Told of since the last look, which so finds nothing new in them. */
  #told = new Set<string>();
  #toldAll = false;

  /** `beyond` is called where there is more than is watched: for what somebody looks at just now. */
  constructor(onNews: (news: News[]) => void, onState: (state: string) => void, beyond: () => void) {
    this.#onNews = onNews;
    this.#onState = onState;
    this.#beyond = beyond;
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#next !== undefined) this.#soon(0);
    });
  }

  /** Of this store from now on, and no more of the one before; `look`: at a service, which has no feed of its own. */
  follow(store: Store, look: boolean): void {
    this.stop();
    this.#store = store;
    this.#stop = store.subscribe('**', (change) => {
      this.#told.add(change.key);
      this.#toldAll ||= change.type === 'clear' || change.type === 'deletePattern';
      this.#add([change]);
    });
    this.#onState('live');
    if (look) this.#soon(0);
  }

  stop(): void {
    this.#stop?.();
    clearTimeout(this.#timer);
    clearTimeout(this.#next);
    this.#store = undefined;
    this.#timer = this.#next = undefined;
    this.#seen = undefined;
    this.#gathered = [];
    this.#forget();
  }

  #forget(): void {
    this.#told.clear();
    this.#toldAll = false;
  }

  #add(news: News[]): void {
    if (news.length === 0) return;
    this.#gathered.push(...news);
    this.#timer ??= setTimeout(() => {
      const gathered = this.#gathered;
      this.#gathered = [];
      this.#timer = undefined;
      this.#onNews(gathered);
    }, PAUSE);
  }

  #soon(ms: number): void {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => void this.#look(), ms);
  }

  async #look(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    // Nobody sees it: the next time anybody does is soon enough.
    if (!document.hidden) {
      try {
        const seen = await look(store);
        if (store !== this.#store) return;
        if (this.#seen !== undefined) this.#add(this.#compare(this.#seen, seen, store.namespace));
        this.#forget();
        this.#seen = seen;
        if (seen.last !== undefined) this.#beyond();
        this.#onState(seen.last === undefined ? 'live' : `the first ${WATCHED.toLocaleString('en')} keys`);
      } catch {
        if (store !== this.#store) return;
        this.#onState('no answer, trying again');
      }
    }
    this.#soon(EVERY);
  }

  #compare(before: Seen, now: Seen, namespace: string): News[] {
    const news: News[] = [];
    const add = (type: News['type'], key: string): void => {
      if (!this.#told.has(key) && !(this.#toldAll && type === 'delete')) news.push({ type, key, namespace, local: false });
    };
    for (const [key, { version }] of now.entries) {
      const old = before.entries.get(key);
      // Beyond what was seen before nothing is known.
      if (old === undefined ? before.last === undefined || key <= before.last : old.version !== version) add('set', key);
    }
    for (const [key, { expiresAt }] of before.entries) {
      if (now.entries.has(key) || (now.last !== undefined && key > now.last)) continue;
      add(expiresAt !== undefined && expiresAt.getTime() <= Date.now() ? 'expire' : 'delete', key);
    }
    return news;
  }
}

async function look(store: Store): Promise<Seen> {
  const entries: Seen['entries'] = new Map();
  let last: string | undefined;
  for await (const { key, version, expiresAt } of store.descriptions('**', { pageSize: WATCHED })) {
    if (entries.size === WATCHED) {
      last = [...entries.keys()].at(-1);
      break;
    }
    entries.set(key, { version, expiresAt });
  }
  return { entries, last };
}
