// What changed lately, here and elsewhere.
import type { App } from './app.js';
import { byId, h, keyText } from './dom.js';
import type { News } from './feed.js';
import { showClock } from './time.js';
import { count } from './value.js';

const KEPT = 100;
/** More changes than this at once are one line. */
const EACH = 8;

const WORDS = { set: 'Set', delete: 'Deleted', clear: 'Cleared', deletePattern: 'Deleted all of', expire: 'Expired' } as const;

export class Activity {
  readonly #app: App;
  readonly #log = byId('log');
  readonly #quiet = byId('quiet');

  constructor(app: App) {
    this.#app = app;
  }

  reset(): void {
    this.#log.replaceChildren();
    this.#quiet.hidden = false;
  }

  add(changes: readonly News[]): void {
    if (changes.length === 0) return;
    this.#quiet.hidden = true;
    if (changes.length > EACH) this.#sum(changes);
    else for (const change of changes) this.#one(change);
    while (this.#log.children.length > KEPT) this.#log.lastElementChild?.remove();
  }

  #one({ type, key, local }: News): void {
    const name =
      type === 'set'
        ? h('button', { type: 'button', class: 'link', onclick: () => this.#app.show(key) }, keyText(key))
        : h('span', { class: 'name' }, type === 'clear' ? 'the namespace' : keyText(key));
    this.#line(type, local, h('span', {}, h('span', { class: 'verb' }, WORDS[type]), ' ', name));
  }

  #sum(changes: readonly News[]): void {
    for (const local of [true, false]) {
      const part = changes.filter((change) => change.local === local);
      if (part.length === 0) continue;
      const deleted = part.filter(({ type }) => type !== 'set').length;
      const set = part.length - deleted;
      const words = [set > 0 ? `${count(set, 'entry', 'entries')} set` : '', deleted > 0 ? `${count(deleted, 'entry', 'entries')} gone` : ''];
      this.#line(set > 0 ? 'set' : 'delete', local, h('span', {}, words.filter((word) => word !== '').join(', ')));
    }
  }

  #line(type: News['type'], local: boolean, what: HTMLElement): void {
    const now = new Date();
    this.#log.prepend(
      h(
        'li',
        { class: `change ${type} ${local ? 'here' : 'elsewhere'}` },
        what,
        h('span', { class: 'muted' }, local ? 'here' : 'elsewhere', ' · ', h('time', { datetime: now.toISOString() }, showClock(now))),
      ),
    );
  }
}
