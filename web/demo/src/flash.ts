// Where something changed: which levels of the tree, and a moment of colour.
import { KVStore } from 'dataknobs-kv';

/** Beyond so many keys at once all that is loaded is looked at, rather than each key. */
const MANY = 1000;

/** Those of the loaded levels in which one of the keys stands. */
export class Levels<T> {
  readonly loaded: Map<string | undefined, T>;

  constructor(keys: Iterable<string>, all: ReadonlyMap<string | undefined, T>) {
    this.loaded = new Map();
    let seen = 0;
    for (const key of keys) {
      if ((seen += 1) > MANY) {
        this.loaded = new Map(all);
        return;
      }
      const segments = KVStore.segments(key);
      for (let length = 0; length < segments.length; length += 1) {
        const above = length === 0 ? undefined : KVStore.key(...segments.slice(0, length));
        const level = all.get(above);
        if (level === undefined) break;
        this.loaded.set(above, level);
      }
    }
  }
}

/** Marks for a moment what changed: here, or elsewhere. */
export function flash(element: HTMLElement, local: boolean): void {
  const name = local ? 'changed-here' : 'changed-elsewhere';
  element.classList.remove('changed-here', 'changed-elsewhere');
  // Read so that the animation begins anew.
  void element.offsetWidth;
  element.classList.add(name);
  element.addEventListener('animationend', () => element.classList.remove(name), { once: true });
}
