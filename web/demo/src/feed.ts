// Changes, gathered for a moment so that many at once are drawn once.
import type { Change } from 'dataknobs-kv';
import type { Store } from './store.js';

const PAUSE = 60;

export class Feed {
  readonly #onChanges: (changes: Change[]) => void;
  #gathered: Change[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stop: (() => void) | undefined;

  constructor(onChanges: (changes: Change[]) => void) {
    this.#onChanges = onChanges;
  }

  /** Of this store from now on, and no more of the one before. */
  follow(store: Store): void {
    this.stop();
    this.#stop = store.subscribe('**', (change) => this.#add(change));
  }

  stop(): void {
    this.#stop?.();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#gathered = [];
  }

  #add(change: Change): void {
    this.#gathered.push(change);
    this.#timer ??= setTimeout(() => {
      const changes = this.#gathered;
      this.#gathered = [];
      this.#timer = undefined;
      this.#onChanges(changes);
    }, PAUSE);
  }
}
