// The entry that is shown: what it is, and its editing, which never overwrites what others wrote meanwhile.
import type { Description, Metadata, StoredValue } from 'dataknobs-kv';
import { type App, messageOf } from './app.js';
import { Conflict } from './conflict.js';
import { askCopy, askRename } from './create.js';
import { confirm } from './dialog.js';
import { byId, field, h, keyText, newId } from './dom.js';
import { ValueEditor } from './editor.js';
import { ExpiryView } from './expiry.js';
import { showInstant } from './time.js';
import { type Held, kindName, size } from './value.js';

interface Edited {
  value: StoredValue;
  metadata: Metadata;
  contentType: string | undefined;
}

export class EntryPanel {
  readonly #app: App;
  readonly #panel = byId('entry');
  readonly #title = h('h2', { class: 'key', tabindex: -1 });
  readonly #facts = h('dl', { class: 'facts' });
  readonly #editor = new ValueEditor(() => this.#edited());
  readonly #metadata = h('textarea', { class: 'mono', rows: 3, spellcheck: 'false' });
  readonly #metadataHint = h('p', { class: 'hint', 'aria-live': 'polite' });
  readonly #contentType = h('input', { type: 'text', autocomplete: 'off', placeholder: 'such as image/png' });
  readonly #conflict: Conflict;
  readonly #expiry: ExpiryView;
  readonly #save = h('button', { class: 'primary', disabled: true }, 'Save');
  readonly #discard = h('button', { type: 'button', disabled: true, onclick: () => void this.#reload() }, 'Discard');
  readonly #steps: HTMLElement;
  readonly #content: HTMLElement;
  #key: string | undefined;
  /** What the edits are made to; undefined where the entry was deleted meanwhile. */
  #base: Held | undefined;
  #dirty = false;

  constructor(app: App) {
    this.#app = app;
    const button = (text: string, run: () => unknown, about = ''): HTMLButtonElement =>
      h('button', { type: 'button', class: `small ${about}`, onclick: () => void run() }, text);
    const step = (delta: number, text: string, label: string): HTMLButtonElement =>
      h('button', { type: 'button', class: 'small', 'aria-label': label, onclick: () => void this.#increment(delta) }, text);
    this.#steps = h('div', { class: 'steps', role: 'group', 'aria-label': 'In one step' }, step(-1, '−1', 'Decrement'), step(1, '+1', 'Increment'));
    this.#conflict = new Conflict({ take: () => void this.#reload(), keep: (theirs) => this.#keep(theirs) });
    this.#expiry = new ExpiryView({
      touch: ({ ttl, sliding }) => void this.#change((key) => app.store.touch(key, { ttl, sliding })),
      persist: () => void this.#change((key) => app.store.persist(key)),
      expired: () => void this.check(),
    });
    const form = h(
      'form',
      { class: 'edit' },
      this.#editor.element,
      this.#steps,
      field('Content type', this.#contentType),
      field('Metadata', this.#metadata, this.#metadataHint),
      h('div', { class: 'buttons save-bar' }, this.#discard, this.#save),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.save();
    });
    for (const control of [this.#metadata, this.#contentType]) control.addEventListener('input', () => this.#edited());
    this.#content = h(
      'div',
      { class: 'entry-content scroll' },
      h(
        'div',
        { class: 'entry-head' },
        button('‹ Keys', () => this.#app.leave(), 'back quiet'),
        this.#title,
        h(
          'div',
          { class: 'entry-actions' },
          button('Rename…', () => this.#rename()),
          button('Copy…', () => this.#copy()),
          button('Delete', () => this.#key !== undefined && app.remove(this.#key, this.#base?.version), 'danger'),
        ),
      ),
      this.#conflict.element,
      this.#facts,
      form,
      this.#expiry.element,
    );
    // A page that is left does not lose edits without a word.
    addEventListener('beforeunload', (event) => {
      if (this.#dirty) event.preventDefault();
    });
    this.#blank();
  }

  get key(): string | undefined {
    return this.#key;
  }

  /** Whether another entry may be shown: edits are given up only on purpose. */
  async mayLeave(): Promise<boolean> {
    if (!this.#dirty) return true;
    const text = `What you changed in ${this.#key ?? ''} is not saved.`;
    const left = await confirm({ title: 'Discard your changes?', text, yes: 'Discard' });
    if (left) this.#setDirty(false);
    return left;
  }

  /** Whether there is such an entry. */
  async show(key: string | undefined): Promise<boolean> {
    this.#key = key;
    this.#setDirty(false);
    if (key === undefined) this.#blank();
    return key !== undefined && this.#reload();
  }

  focus(): void {
    (this.#key === undefined ? this.#panel : this.#title).focus();
  }

  focusValue(): void {
    if (this.#key !== undefined) this.#editor.focus();
  }

  /** Somebody changed it, or it may have expired: what is shown follows, and what is being edited does not. */
  async check(): Promise<void> {
    const key = this.#key;
    if (key === undefined) return;
    const now = await this.#app.attempt(async () => [await this.#app.store.describe(key)] as const);
    if (now === undefined || key !== this.#key) return;
    const [there] = now;
    if (there !== undefined && there.version === this.#base?.version) this.#expiry.show(there);
    else if (!this.#dirty) await this.#reload();
    else if (there !== undefined || this.#base !== undefined) {
      const theirs = await this.#app.attempt(async () => [await this.#app.store.entry<StoredValue>(key)] as const);
      if (theirs !== undefined && key === this.#key && this.#dirty) this.#conflict.show(theirs[0]);
    }
  }

  /** Writes what was edited, if nobody else wrote since. */
  async save(): Promise<void> {
    const [key, base] = [this.#key, this.#base];
    const edited = key !== undefined && this.#dirty ? this.#read() : undefined;
    if (key === undefined || edited === undefined) return;
    const { value, metadata, contentType } = edited;
    const guard = base === undefined ? { ifAbsent: true } : { ifVersion: base.version, keepTtl: true };
    const result = await this.#app.attempt(() =>
      this.#app.store.set(key, { type: value.type, data: value.data }, { metadata, contentType, ...guard }),
    );
    if (result === undefined || key !== this.#key) return;
    if (!result.written) return this.#conflict.show(result.current as Held | undefined);
    this.#setDirty(false);
    await this.#reload();
    this.#app.say('Saved');
  }

  async #reload(): Promise<boolean> {
    const key = this.#key;
    if (key === undefined) return false;
    const found = await this.#app.attempt(async () => [await this.#app.store.entry<StoredValue>(key)] as const);
    if (found === undefined || key !== this.#key) return false;
    const [entry] = found;
    this.#setDirty(false);
    if (entry === undefined) {
      this.#missing(key);
      return false;
    }
    this.#fill(entry);
    return true;
  }

  #fill(entry: Held): void {
    this.#base = entry;
    this.#conflict.hide();
    if (this.#title.title !== entry.key) this.#title.replaceChildren(keyText(entry.key));
    this.#title.title = entry.key;
    this.#editor.name = entry.key;
    this.#editor.show(entry.value);
    this.#contentType.value = entry.contentType ?? '';
    const metadata = Object.keys(entry.metadata).length === 0 ? '' : JSON.stringify(entry.metadata, undefined, 2);
    this.#metadata.value = metadata;
    this.#metadata.rows = Math.min(12, Math.max(2, metadata.split('\n').length));
    this.#metadataHint.textContent = 'A JSON object, or nothing.';
    this.#metadataHint.classList.remove('wrong');
    this.#steps.hidden = entry.type !== 'integer' && entry.type !== 'number';
    this.#describe(entry);
    this.#expiry.show(entry);
    if (!this.#content.isConnected) this.#panel.replaceChildren(this.#content);
  }

  #describe({ type, size: bytes, createdAt, updatedAt, version }: Description): void {
    const time = (date: Date): HTMLElement => h('time', { datetime: date.toISOString(), title: date.toISOString() }, showInstant(date));
    const fact = (name: string, what: Node | string): HTMLElement => h('div', {}, h('dt', {}, name), h('dd', {}, what));
    this.#facts.replaceChildren(
      fact('Type', kindName(type)),
      fact('Size', size(bytes)),
      fact('Created', time(createdAt)),
      fact('Updated', time(updatedAt)),
      fact('Expires', this.#expiry.brief),
      fact('Version', h('code', { title: version }, version.length > 12 ? `${version.slice(0, 12)}…` : version)),
    );
  }

  #blank(): void {
    this.#stop();
    const keys: [string, string][] = [['↑ ↓ ← →', 'walk through the keys'], ['Enter', 'open an entry'], ['/', 'find by pattern'], ['?', 'all shortcuts']];
    const list = h('dl', { class: 'shortcuts' });
    for (const [key, what] of keys) list.append(h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)));
    this.#panel.replaceChildren(h('div', { class: 'empty tall' }, h('p', { class: 'empty-title' }, 'No entry is open'), h('p', {}, 'Choose a key to see what it holds.'), list));
  }

  #missing(key: string): void {
    this.#stop();
    const back = h('button', { type: 'button', onclick: () => this.#app.leave() }, 'Back to the keys');
    this.#title.title = '';
    this.#panel.replaceChildren(
      h('div', { class: 'empty tall' }, h('p', { class: 'empty-title', id: newId('gone') }, keyText(key)), h('p', {}, 'There is no such entry: it was deleted, or has expired.'), back),
    );
  }

  #stop(): void {
    this.#base = undefined;
    this.#conflict.hide();
    this.#expiry.show(undefined);
  }

  #edited(): void {
    this.#setDirty(true);
    const { contentType } = this.#editor.given;
    if (contentType !== undefined && this.#contentType.value === '') this.#contentType.value = contentType;
    this.#readMetadata();
  }

  #setDirty(dirty: boolean): void {
    this.#dirty = dirty;
    this.#save.disabled = !dirty;
    this.#discard.disabled = !dirty;
    this.#expiry.enabled = !dirty;
    for (const button of this.#steps.querySelectorAll('button')) button.disabled = dirty;
    this.#content.classList.toggle('dirty', dirty);
  }

  /** What was edited; undefined, with the focus where it is wrong. */
  #read(): Edited | undefined {
    if (!this.#editor.check()) {
      this.#editor.focus();
      return undefined;
    }
    const metadata = this.#readMetadata();
    if (metadata === undefined) {
      this.#metadata.focus();
      return undefined;
    }
    return { value: this.#editor.read(), metadata, contentType: this.#contentType.value.trim() || undefined };
  }

  #readMetadata(): Metadata | undefined {
    const text = this.#metadata.value.trim();
    let metadata: unknown = {};
    let problem = '';
    try {
      if (text !== '') metadata = JSON.parse(text);
      if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) problem = 'Metadata is a JSON object, such as {"owner": "me"}.';
    } catch (error) {
      problem = `This is not JSON yet: ${messageOf(error)}`;
    }
    this.#metadataHint.textContent = problem === '' ? 'A JSON object, or nothing.' : problem;
    this.#metadataHint.classList.toggle('wrong', problem !== '');
    this.#metadata.toggleAttribute('aria-invalid', false);
    if (problem !== '') this.#metadata.setAttribute('aria-invalid', 'true');
    return problem === '' ? (metadata as Metadata) : undefined;
  }

  /** The edits stay, and are made to what is there now: saving replaces that, and nothing newer. */
  #keep(theirs: Held | undefined): void {
    this.#base = theirs;
    if (theirs !== undefined) this.#describe(theirs);
    this.#conflict.hide();
    this.#save.focus();
  }

  /** A change of one step, which needs no version. */
  async #change(run: (key: string) => Promise<unknown>): Promise<void> {
    const key = this.#key;
    if (key === undefined) return;
    const done = await this.#app.attempt(() => run(key));
    if (done !== undefined) await this.check();
  }

  #increment(delta: number): Promise<void> {
    return this.#change((key) => this.#app.store.increment(key, delta));
  }

  async #rename(): Promise<void> {
    if (this.#base === undefined || !(await this.mayLeave())) return;
    const key = await askRename(this.#app.store, this.#base);
    if (key !== undefined) this.#app.show(key);
  }

  async #copy(): Promise<void> {
    if (this.#base === undefined || !(await this.mayLeave())) return;
    const key = await askCopy(this.#app.store, this.#base);
    if (key !== undefined) this.#app.show(key);
  }
}
