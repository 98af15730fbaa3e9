// A value, shown and edited as what it is.
import type { StoredValue } from 'dataknobs-kv';
import { messageOf } from './app.js';
import { choice, field, h, newId } from './dom.js';
import { KINDS, bytesOf, fromText, initial, isBinary, kindName, size, toText } from './value.js';

/** More than this is neither shown nor edited as text, but as a file. */
const MOST = 128 << 10;

export class ValueEditor {
  readonly element: HTMLElement;
  readonly #onInput: () => void;
  readonly #type = choice(KINDS);
  readonly #place = h('div', { class: 'value-place' });
  readonly #problem = h('p', { class: 'hint', 'aria-live': 'polite', id: newId('value-hint') });
  readonly #format = h('button', { type: 'button', class: 'quiet small', onclick: () => this.#formatJson() }, 'Format');
  readonly #download = h('button', { type: 'button', class: 'quiet small', onclick: () => this.#save() }, 'Download');
  readonly #file = h('input', { type: 'file', hidden: true, 'aria-label': 'File that becomes the value' });
  #control: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement | undefined;
  /** What is shown, as long as nothing is typed; after a file was chosen, what is in it. */
  #stored: StoredValue = { type: 'text', data: '' };
  #typed = false;
  #preview: string | undefined;
  /** For downloads. */
  name = 'value';

  constructor(onInput: () => void) {
    this.#onInput = onInput;
    const choose = h('button', { type: 'button', class: 'quiet small', onclick: () => this.#file.click() }, 'From file…');
    this.#type.id = newId('type');
    this.element = h(
      'div',
      { class: 'value-editor' },
      h('div', { class: 'value-bar' }, h('label', { for: this.#type.id }, 'Type'), this.#type, this.#format, choose, this.#download, this.#file),
      this.#place,
      this.#problem,
    );
    this.#type.addEventListener('change', () => {
      this.show(convert(this.#current(), this.#type.value));
      this.#changed();
    });
    this.#file.addEventListener('change', () => void this.#choose());
  }

  show(stored: StoredValue): void {
    this.#stored = stored;
    this.#typed = false;
    const { type } = stored;
    for (const option of this.#type.querySelectorAll('[data-other]')) option.remove();
    if (!KINDS.some(([kind]) => kind === type)) this.#type.append(h('option', { value: type, 'data-other': true }, kindName(type)));
    this.#type.value = type;
    this.#format.hidden = type !== 'json';
    this.#say('');
    this.#render();
  }

  /** What was shown or chosen last, before any typing. */
  get given(): StoredValue {
    return this.#stored;
  }

  /** What is there now; an error says what is wrong with it. */
  read(): StoredValue {
    if (!this.#typed || this.#control === undefined) return this.#stored;
    return fromText(this.#type.value, this.#control.value);
  }

  /** Looks at what was typed, and says what is wrong: whether it can be saved. */
  check(): boolean {
    try {
      this.read();
      this.#say('');
      return true;
    } catch (error) {
      this.#say(messageOf(error), true);
      return false;
    }
  }

  focus(): void {
    (this.#control ?? this.#type).focus();
  }

  #current(): StoredValue {
    try {
      return this.read();
    } catch {
      return { type: 'text', data: this.#control?.value ?? '' };
    }
  }

  #render(): void {
    if (this.#preview !== undefined) URL.revokeObjectURL(this.#preview);
    this.#preview = undefined;
    const { type } = this.#stored;
    const bytes = typeof this.#stored.data === 'object' || typeof this.#stored.data === 'string' ? bytesOf(this.#stored) : undefined;
    const binary = isBinary(type);
    const large = (bytes?.length ?? 0) > (binary ? MOST / 16 : MOST);
    this.#control = this.#make(type, binary);
    this.#control.addEventListener('input', () => {
      this.#typed = true;
      this.#changed();
    });
    const shown = large && bytes !== undefined ? shorten(this.#stored, bytes) : type === 'json' ? pretty(this.#stored) : toText(this.#stored);
    this.#control.value = shown;
    if (this.#control instanceof HTMLTextAreaElement) {
      this.#control.readOnly = large || (binary && type !== 'bytes');
      this.#control.rows = Math.min(18, Math.max(binary ? 4 : 3, shown.split('\n').length + 1, Math.ceil(shown.length / 80)));
    }
    this.#control.setAttribute('aria-describedby', this.#problem.id);
    if (large) this.#say(`This is the beginning of ${size(bytes?.length ?? 0)}: download it, or replace it by a file.`);
    const label = type === 'null' ? h('p', { class: 'hint' }, 'Null has no content.') : field('Value', this.#control);
    this.#place.replaceChildren(label);
    const media = this.#stored.contentType ?? '';
    if (binary && bytes !== undefined && media.startsWith('image/')) {
      this.#preview = URL.createObjectURL(new Blob([bytes], { type: media }));
      this.#place.prepend(h('img', { class: 'preview', src: this.#preview, alt: `The value, shown as ${media}` }));
    }
  }

  #make(type: string, binary: boolean): HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement {
    switch (type) {
      case 'integer':
        return h('input', { type: 'text', inputmode: 'numeric', autocomplete: 'off', class: 'mono' });
      case 'number':
        return h('input', { type: 'text', inputmode: 'decimal', autocomplete: 'off', class: 'mono' });
      case 'custom:date':
        return h('input', { type: 'text', autocomplete: 'off', class: 'mono' });
      case 'boolean':
        return choice([['true', 'true'], ['false', 'false']]);
      default:
        return h('textarea', { spellcheck: 'false', class: `mono${binary ? ' hex' : ''}` });
    }
  }

  #changed(): void {
    this.check();
    this.#onInput();
  }

  #say(text: string, wrong = false): void {
    this.#problem.textContent = text;
    this.#problem.classList.toggle('wrong', wrong);
    if (wrong) this.#control?.setAttribute('aria-invalid', 'true');
    else this.#control?.removeAttribute('aria-invalid');
  }

  #formatJson(): void {
    if (this.#control === undefined || !this.check()) return;
    const text = this.#control.value;
    const formatted = format(text);
    if (formatted === undefined) return this.#say('Formatting would change numbers or escapes in it: left as it is.');
    if (formatted === text) return;
    this.#control.value = formatted;
    this.#typed = true;
    this.#changed();
  }

  #save(): void {
    const stored = this.#current();
    const url = URL.createObjectURL(new Blob([bytesOf(stored)], { type: stored.contentType ?? 'application/octet-stream' }));
    h('a', { href: url, download: this.name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  async #choose(): Promise<void> {
    const [file] = this.#file.files ?? [];
    this.#file.value = '';
    if (file === undefined) return;
    const data = new Uint8Array(await file.arrayBuffer());
    const { value: type } = this.#type;
    try {
      if (isBinary(type)) this.show({ type: type as StoredValue['type'], data, contentType: file.type || undefined });
      else this.show(fromText(type, new TextDecoder('utf-8', { fatal: true }).decode(data)));
      this.#onInput();
    } catch (error) {
      this.#say(error instanceof TypeError ? 'The file is not UTF-8 text: choose the type Bytes first.' : messageOf(error), true);
    }
  }
}

/** With line breaks and indents; undefined where that would change more, such as digits that a number does not hold. */
function format(json: string): string | undefined {
  const formatted = JSON.stringify(JSON.parse(json), undefined, 2);
  const bare = (text: string): string => text.replace(/"(?:[^"\\]|\\.)*"|\s+/g, (part) => (part.startsWith('"') ? part : ''));
  return bare(formatted) === bare(json) ? formatted : undefined;
}

/** Only shown so: as long as nobody types it stays as it is stored. */
const pretty = ({ data }: StoredValue): string => format(data as string) ?? (data as string);

function shorten(stored: StoredValue, bytes: Uint8Array): string {
  if (typeof stored.data === 'string') return stored.data.slice(0, MOST);
  return toText({ ...stored, data: bytes.slice(0, MOST / 16) });
}

/** The same in another type where that says something, else that type's first value. */
function convert(stored: StoredValue, type: string): StoredValue {
  try {
    if (type === 'bytes') return { type, data: bytesOf(stored) };
    const text = isBinary(stored.type)
      ? new TextDecoder('utf-8', { fatal: true }).decode(stored.data as Uint8Array)
      : toText(stored);
    return fromText(type, text);
  } catch {
    return fromText(type, initial(type));
  }
}
