// Entries that come to be: a new one, a copy, the same under another name.
import { rename, setAgain } from './again.js';
import { ask } from './dialog.js';
import { field, h } from './dom.js';
import { ValueEditor } from './editor.js';
import { SpanFields } from './expiry.js';
import type { Store } from './store.js';
import type { Held } from './value.js';

const THERE = 'There is an entry of this name already.';

function keyField(value: string): HTMLInputElement {
  const input = h('input', { type: 'text', class: 'mono', required: true, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', value });
  // After the element is in the page, the caret stands at its end.
  queueMicrotask(() => input.setSelectionRange(value.length, value.length));
  return input;
}

const keyHint = (): HTMLElement => h('p', { class: 'hint' }, 'Segments are joined by dots, such as users.42.name.');

/** A new entry: its key. */
export function askCreate(store: Store, prefix = ''): Promise<string | undefined> {
  const input = keyField(prefix);
  const editor = new ValueEditor(() => {});
  editor.show({ type: 'text', data: '' });
  const span = new SpanFields();
  return ask({
    title: 'New entry',
    content: [
      field('Key', input, keyHint()),
      editor.element,
      h('fieldset', { class: 'plain' }, h('legend', {}, 'Expires after (empty: never)'), span.element),
    ],
    yes: 'Create',
    done: async () => {
      const wanted = span.read();
      const expiry = wanted === undefined ? { ttl: null } : { ttl: wanted.ttl, sliding: wanted.sliding };
      const value = editor.read();
      const { written } = await store.set(input.value, value, { ...expiry, contentType: value.contentType, ifAbsent: true });
      if (!written) throw new Error(THERE);
      return input.value;
    },
  });
}

export function askRename(store: Store, entry: Held): Promise<string | undefined> {
  const input = keyField(entry.key);
  return ask({
    title: 'Rename',
    content: [field('New key', input, keyHint())],
    yes: 'Rename',
    done: async () => {
      await rename(store, entry, input.value);
      return input.value;
    },
  });
}

export function askCopy(store: Store, entry: Held): Promise<string | undefined> {
  const input = keyField(`${entry.key}-copy`);
  return ask({
    title: 'Copy',
    content: [field('Key of the copy', input, keyHint())],
    yes: 'Copy',
    done: async () => {
      const outcome = await setAgain(store, { ...entry, key: input.value }, { ifAbsent: true });
      if (outcome === 'there') throw new Error(THERE);
      if (outcome === 'expired') throw new Error('The entry has expired meanwhile.');
      return input.value;
    },
  });
}
