// The page: which parts there are, and what each tells the others.
import { Activity } from './activity.js';
import { setAgain } from './again.js';
import { type App, messageOf } from './app.js';
import { askCreate } from './create.js';
import { ask } from './dialog.js';
import { byId, field, h } from './dom.js';
import { EntryPanel } from './entry.js';
import { Feed, type News } from './feed.js';
import { Find } from './find.js';
import { addSamples } from './sample.js';
import { wireShortcuts } from './shortcuts.js';
import { type Backend, type Store, fromService, openStore } from './store.js';
import { toast } from './toast.js';
import { wireTransfer } from './transfer.js';
import { Tree } from './tree.js';
import { type Held, count } from './value.js';

interface Place {
  backend: Backend | undefined;
  namespace: string;
  key: string | undefined;
}

/** What the address says: `?store=browser`, and behind `#` the namespace and the key, so that a link leads to an entry. */
function place(): Place {
  const backend = new URLSearchParams(location.search).get('store') === 'browser' ? 'indexeddb' : undefined;
  const [namespace, key] = location.hash.slice(1).split('/', 2).map(decodeURIComponent);
  return { backend, namespace: namespace || 'default', key: key || undefined };
}

class Explorer implements App {
  #store: Store | undefined;
  #shown: Backend = 'indexeddb';
  #finding = false;
  readonly #tree = new Tree(this);
  readonly #entry = new EntryPanel(this);
  readonly #activity = new Activity(this);
  readonly #find = new Find(this, (finding) => {
    this.#finding = finding;
    this.#empty();
  });
  readonly #feed = new Feed(
    (news) => void this.#changed(news),
    (state) => void (byId('feed').textContent = state),
    () => void this.#entry.check(),
  );
  readonly #backend = byId<HTMLSelectElement>('backend');
  #service = false;
  readonly #namespace = byId<HTMLSelectElement>('namespace');

  get store(): Store {
    if (this.#store === undefined) throw new Error('No store is open.');
    return this.#store;
  }

  async start(): Promise<void> {
    byId('problem-close').addEventListener('click', () => void (byId('problem').hidden = true));
    byId('create').addEventListener('click', () => void this.#create());
    byId('sample').addEventListener('click', () => void this.#sample());
    this.#namespace.addEventListener('change', () => void this.#chooseNamespace());
    addEventListener('popstate', () => void this.#follow());
    wireTransfer(this, () => this.#find.pattern);
    wireShortcuts({
      find: () => this.#find.focus(),
      tree: () => this.#tree.focus(),
      value: () => this.#entry.focusValue(),
      create: () => void this.#create(),
      save: () => void this.#entry.save(),
    });
    this.#backend.addEventListener('change', () => void this.#chooseBackend());
    this.#service = await fromService();
    this.#backend.replaceChildren(
      ...(this.#service ? [h('option', { value: 'http' }, 'This service')] : []),
      h('option', { value: 'indexeddb' }, 'This browser'),
    );
    await this.#follow();
    document.body.dataset['ready'] = '';
  }

  show(key: string): void {
    void this.#go(key);
  }

  leave(): void {
    void this.#go(undefined).then(() => this.#tree.focus());
  }

  say(text: string, undo?: () => Promise<unknown>): void {
    toast(text, undo);
  }

  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      byId('problem').hidden = false;
      // After it can be seen: that is when it is told.
      byId('problem-text').textContent = messageOf(error);
      return undefined;
    }
  }

  async remove(key: string, version?: string): Promise<void> {
    const entry = await this.attempt(() => this.store.entry(key));
    if (entry === undefined) return;
    const deleted = await this.attempt(() => this.store.delete(key, { ifVersion: version ?? entry.version }));
    if (deleted === undefined) return;
    if (!deleted) {
      this.say(`${key} was changed meanwhile and is still there`);
      return this.#entry.check();
    }
    if (this.#entry.key === key) {
      await this.#entry.show(undefined);
      history.replaceState(null, '', `#${encodeURIComponent(this.store.namespace)}`);
      this.#view();
    }
    this.say(`${key} deleted`, () => this.#restore(entry as Held));
  }

  async #restore(entry: Held): Promise<void> {
    const outcome = await this.attempt(() => setAgain(this.store, entry, { ifAbsent: true }));
    if (outcome === 'written') this.show(entry.key);
    else if (outcome === 'there') this.say(`There is another entry ${entry.key} by now`);
    else if (outcome === 'expired') this.say(`${entry.key} would have expired by now`);
  }

  open(namespace: string): Promise<Store | undefined> {
    return openStore(this.#backend.value as Backend, namespace, askToken);
  }

  async #open(backend: Backend, namespace: string): Promise<void> {
    this.#backend.value = backend;
    const opened = await this.attempt(() => this.open(namespace));
    if (opened === undefined) {
      // Without the token the service stays shut, and the browser's own store is always there.
      if (backend === 'http' && byId('problem').hidden) await this.#switch('indexeddb', 'default');
      return;
    }
    this.#feed.stop();
    await this.#store?.close();
    this.#store = opened;
    this.#shown = backend;
    this.#feed.follow(opened, backend === 'http');
    this.#activity.reset();
    await this.#entry.show(undefined);
    await Promise.all([this.#tree.reset(), this.#names()]);
    this.#find.reset();
    this.#empty();
  }

  /** The namespaces to choose from: those that hold something, and the one that is shown. */
  async #names(): Promise<void> {
    const found = (await this.attempt(() => this.store.namespaces().all())) ?? [];
    const names = [...new Set(['default', this.store.namespace, ...found])].sort();
    this.#namespace.replaceChildren(
      ...names.map((name) => h('option', { value: `=${name}`, selected: name === this.store.namespace }, name)),
      h('option', { value: '+' }, 'Another…'),
    );
  }

  async #chooseNamespace(): Promise<void> {
    const { value } = this.#namespace;
    let name: string | undefined = value.slice(1);
    if (value === '+') {
      const input = h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false' });
      const hint = h('p', { class: 'hint' }, 'Namespaces do not see each other’s entries. One that is new comes to be with its first entry.');
      name = await ask({ title: 'Another namespace', content: [field('Name', input, hint)], yes: 'Open', done: () => input.value });
    }
    if (name === undefined || !(await this.#entry.mayLeave())) {
      this.#namespace.value = `=${this.store.namespace}`;
      return;
    }
    await this.#switch(this.#shown, name);
  }

  async #chooseBackend(): Promise<void> {
    if (await this.#entry.mayLeave()) await this.#switch(this.#backend.value as Backend, 'default');
    else this.#backend.value = this.#shown;
  }

  async #switch(backend: Backend, namespace: string): Promise<void> {
    const search = backend === 'indexeddb' && this.#service ? '?store=browser' : '';
    history.pushState(null, '', `${location.pathname}${search}#${encodeURIComponent(namespace)}`);
    byId('problem').hidden = true;
    await this.#open(backend, namespace);
    if (this.#store !== undefined) this.#view();
  }

  async #go(key: string | undefined): Promise<void> {
    if (key !== this.#entry.key && !(await this.#entry.mayLeave())) return;
    const { namespace } = this.store;
    const hash = `#${encodeURIComponent(namespace)}${key === undefined ? '' : `/${encodeURIComponent(key)}`}`;
    if (location.hash !== hash) history.pushState(null, '', hash);
    await this.#showKey(key);
  }

  /** Where the address leads: after its change, and at the start. */
  async #follow(): Promise<void> {
    const { backend = this.#service ? 'http' : 'indexeddb', namespace, key } = place();
    if (this.#store === undefined || backend !== this.#shown || namespace !== this.store.namespace) await this.#open(backend, namespace);
    if (this.#store === undefined) return;
    if (key !== this.#entry.key) await this.#showKey(key);
  }

  async #showKey(key: string | undefined): Promise<void> {
    byId('problem').hidden = true;
    const there = await this.#entry.show(key);
    this.#view();
    this.#find.select(key);
    await this.#tree.select(key);
    if (key !== undefined && !there) await this.#tree.changed(new Map([[key, true]]));
    // Where only one of both is seen the focus goes along.
    if (getComputedStyle(byId('keys')).display === 'none') this.#entry.focus();
  }

  #view(): void {
    document.body.dataset['view'] = this.#entry.key === undefined ? 'keys' : 'entry';
    document.title = `${this.#entry.key ?? this.store.namespace} · dataknobs-kv explorer`;
  }

  async #changed(news: News[]): Promise<void> {
    this.#activity.add(news);
    const all = news.some(({ type }) => type === 'clear' || type === 'deletePattern');
    const keys = new Map(news.filter(({ type }) => type !== 'clear' && type !== 'deletePattern').map(({ key, local }) => [key, local]));
    if (all) await this.#tree.refresh();
    await this.#tree.changed(keys);
    this.#find.changed(keys);
    this.#empty();
    const shown = this.#entry.key;
    if (shown !== undefined && (all || keys.has(shown))) await this.#entry.check();
  }

  #empty(): void {
    const nothing = this.#tree.empty && !this.#finding;
    byId('tree').hidden = this.#finding || nothing;
    byId('empty').hidden = !nothing;
  }

  async #create(): Promise<void> {
    if (!(await this.#entry.mayLeave())) return;
    const above = this.#entry.key?.includes('.') ? this.#entry.key.replace(/[^.]*$/, '') : '';
    const key = await askCreate(this.store, above);
    if (key !== undefined) await this.#go(key);
  }

  async #sample(): Promise<void> {
    const added = await this.attempt(() => addSamples(this.store));
    if (added !== undefined) this.say(`${count(added, 'entry', 'entries')} added`);
    this.#tree.focus();
  }
}

/** The token that a service wants: it stays in this tab. */
function askToken(wrong: boolean): Promise<string | undefined> {
  const input = h('input', { type: 'password', required: true, autocomplete: 'off' });
  const hint = h('p', { class: 'hint' }, wrong ? 'That token is not known to the service.' : 'It is kept until this tab is closed.');
  hint.classList.toggle('wrong', wrong);
  return ask({ title: 'This service asks for a token', content: [field('Token', input, hint)], yes: 'Open', done: () => input.value.trim() });
}

void new Explorer().start();
