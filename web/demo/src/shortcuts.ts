// Keys that work anywhere on the page. Letters come with Alt: alone they are the tree's, to jump to a name.
import { tell } from './dialog.js';
import { byId, h } from './dom.js';

interface Actions {
  find: () => void;
  tree: () => void;
  value: () => void;
  create: () => void;
  save: () => void;
}

const LIST: [keys: string, what: string][] = [
  ['↑ ↓', 'the key above or below'],
  ['→ ←', 'open a group or go into it; close it or go out of it'],
  ['Home End', 'the first and the last key'],
  ['a b c …', 'the next key that begins so'],
  ['*', 'open all groups beside this one'],
  ['Enter', 'show the entry'],
  ['Delete', 'delete the entry'],
  ['/', 'find by pattern'],
  ['Alt T', 'to the keys'],
  ['Alt V', 'to the value'],
  ['Alt N', 'new entry'],
  ['Ctrl S', 'save'],
  ['?', 'this list'],
];

export function wireShortcuts(actions: Actions): void {
  byId('help').addEventListener('click', help);
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || document.querySelector('dialog[open]') !== null) return;
    const run = chosen(event, actions);
    if (run === undefined) return;
    event.preventDefault();
    run();
  });
}

function chosen(event: KeyboardEvent, actions: Actions): (() => void) | undefined {
  const { key, code, altKey, ctrlKey, metaKey } = event;
  if ((ctrlKey || metaKey) && !altKey && key.toLowerCase() === 's') return actions.save;
  if (altKey && !ctrlKey && !metaKey) return { KeyT: actions.tree, KeyV: actions.value, KeyN: actions.create }[code];
  if (ctrlKey || metaKey || altKey || isTyping(event.target)) return undefined;
  return { '/': actions.find, '?': help }[key];
}

const isTyping = (target: EventTarget | null): boolean => target instanceof Element && target.closest('input, textarea, select') !== null;

function help(): void {
  const list = h('dl', { class: 'shortcuts' });
  for (const [keys, what] of LIST) list.append(h('div', {}, h('dt', {}, h('kbd', {}, keys)), h('dd', {}, what)));
  tell('Keyboard shortcuts', list);
}
