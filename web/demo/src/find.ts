// The pattern box: what matches, how many, page by page; and the deletion of all of it.
import { type Description, KvError } from 'dataknobs-kv';
import { type App, messageOf } from './app.js';
import { confirm } from './dialog.js';
import { byId, h, keyText } from './dom.js';
import { flash } from './flash.js';
import { count, kindName, size } from './value.js';

const PAGE = 100;
/** Typing is waited for, and so are more changes. */
const PAUSE = 150;

export class Find {
  readonly #app: App;
  readonly #onMode: (finding: boolean) => void;
  readonly #input = byId<HTMLInputElement>('pattern');
  readonly #found = byId('found');
  readonly #results = byId('results');
  readonly #more = byId('more');
  readonly #showMore = byId('show-more');
  readonly #options = new Map<string, HTMLElement>();
  #running = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wanted = PAGE;
  #selected: string | undefined;

  constructor(app: App, onMode: (finding: boolean) => void) {
    this.#app = app;
    this.#onMode = onMode;
    this.#input.addEventListener('input', () => {
      this.#wanted = PAGE;
      this.#soon();
    });
    byId('find').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#wanted = PAGE;
      void this.#run();
    });
    this.#input.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown' && !this.#results.hidden) this.#focus(this.#results.firstElementChild);
      else if (event.key === 'Escape' && this.pattern !== '') this.clear();
      else return;
      event.preventDefault();
    });
    this.#results.addEventListener('keydown', (event) => this.#keydown(event));
    this.#results.addEventListener('click', (event) => this.#open((event.target as Element).closest('[role="option"]')));
    this.#showMore.addEventListener('click', () => {
      const place = this.#results.children.length;
      this.#wanted += PAGE;
      void this.#run().then(() => this.#focus(this.#results.children[place] ?? null));
    });
    byId('delete-matching').addEventListener('click', () => void this.#deleteAll());
  }

  get pattern(): string {
    return this.#input.value.trim();
  }

  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  clear(): void {
    this.#input.value = '';
    void this.#run();
  }

  /** Another store: what matches there. */
  reset(): void {
    this.#wanted = PAGE;
    void this.#run();
  }

  changed(keys: ReadonlyMap<string, boolean>): void {
    if (this.pattern === '') return;
    this.#soon(() => {
      for (const [key, local] of keys) {
        const option = this.#options.get(key);
        if (option !== undefined) flash(option, local);
      }
    });
  }

  select(key: string | undefined): void {
    this.#selected = key;
    for (const [name, option] of this.#options) option.setAttribute('aria-selected', String(name === key));
  }

  #soon(after?: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run().then(after), PAUSE);
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#running.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    const pattern = this.pattern;
    this.#onMode(pattern !== '');
    this.#results.hidden = pattern === '';
    this.#more.hidden = true;
    this.#input.removeAttribute('aria-invalid');
    if (pattern === '') {
      this.#found.textContent = '';
      this.#results.replaceChildren();
      this.#options.clear();
      return;
    }
    try {
      const { store } = this.#app;
      const [total, first] = await Promise.all([
        store.count(pattern, { signal }),
        take(store.descriptions(pattern, { signal, pageSize: PAGE }), this.#wanted),
      ]);
      this.#render(first, total);
    } catch (error) {
      if (error instanceof KvError && error.code === 'aborted') return;
      this.#render([], 0);
      this.#found.textContent = messageOf(error);
      this.#input.setAttribute('aria-invalid', 'true');
    }
  }

  #render(found: Description[], total: number): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset['key'];
    const had = this.#results.contains(document.activeElement);
    this.#options.clear();
    for (const one of found) this.#options.set(one.key, this.#option(one));
    this.#results.replaceChildren(...this.#options.values());
    const stop = (had && focused !== undefined && this.#options.get(focused)) || this.#results.firstElementChild;
    stop?.setAttribute('tabindex', '0');
    if (had) (stop as HTMLElement | null)?.focus();
    const left = total - found.length;
    this.#found.textContent = total === 0 ? 'No key matches.' : left > 0 ? `${count(total, 'key')}, ${found.length} shown` : count(total, 'key');
    this.#more.hidden = total === 0;
    this.#showMore.hidden = left <= 0;
  }

  #option({ key, type, size: bytes, expiresAt }: Description): HTMLElement {
    const about = [kindName(type), size(bytes), expiresAt === undefined ? '' : 'expires'].filter((part) => part !== '');
    return h(
      'div',
      { role: 'option', class: 'result', tabindex: -1, 'data-key': key, 'aria-selected': String(key === this.#selected) },
      h('span', { class: 'name' }, keyText(key)),
      h('span', { class: 'muted' }, about.join(' · ')),
    );
  }

  #focus(option: Element | null): void {
    if (!(option instanceof HTMLElement)) return;
    for (const stop of this.#results.querySelectorAll('[tabindex="0"]')) stop.setAttribute('tabindex', '-1');
    option.setAttribute('tabindex', '0');
    option.focus();
  }

  #open(option: Element | null): void {
    const key = (option as HTMLElement | null)?.dataset['key'];
    if (key === undefined) return;
    this.#focus(option);
    this.#app.show(key);
  }

  #keydown(event: KeyboardEvent): void {
    const option = (event.target as Element).closest('[role="option"]');
    if (option === null || event.altKey || event.ctrlKey || event.metaKey) return;
    switch (event.key) {
      case 'ArrowDown':
        this.#focus(option.nextElementSibling);
        break;
      case 'ArrowUp':
        if (option.previousElementSibling === null) this.focus();
        else this.#focus(option.previousElementSibling);
        break;
      case 'Home':
        this.#focus(this.#results.firstElementChild);
        break;
      case 'End':
        this.#focus(this.#results.lastElementChild);
        break;
      case 'Enter':
      case ' ':
        this.#open(option);
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  /** The number is counted when it is asked, and told again when it is done: others may write meanwhile. */
  async #deleteAll(): Promise<void> {
    const { store } = this.#app;
    const pattern = this.pattern;
    const total = await this.#app.attempt(() => store.count(pattern));
    if (total === undefined) return;
    const sure = await confirm({
      title: `Delete ${count(total, 'entry', 'entries')}?`,
      text: `Everything that matches ${pattern} now is deleted. This cannot be undone; an export beforehand can be imported again.`,
      yes: `Delete ${total.toLocaleString('en')}`,
    });
    if (!sure) return;
    const deleted = await this.#app.attempt(() => store.deletePattern(pattern));
    if (deleted !== undefined) this.#app.say(`${count(deleted, 'entry', 'entries')} deleted`);
    this.focus();
  }
}

async function take<T>(listing: AsyncIterable<T>, most: number): Promise<T[]> {
  const items: T[] = [];
  for await (const item of listing) {
    items.push(item);
    if (items.length === most) break;
  }
  return items;
}
