// What was done, for a moment; with a way back while it is there.
import { byId, h } from './dom.js';

const SHOWN_MS = 5000;
/** Time to think better of it. */
const UNDO_MS = 15_000;

export function toast(text: string, undo?: () => Promise<unknown>): void {
  const toasts = byId('toasts');
  const close = (): void => element.remove();
  const element = h(
    'div',
    { class: 'toast' },
    h('span', {}, text),
    undo !== undefined &&
      h('button', { type: 'button', class: 'quiet', onclick: () => { close(); void undo(); } }, 'Undo'),
    h('button', { type: 'button', class: 'quiet', 'aria-label': 'Dismiss', onclick: close }, '×'),
  );
  // One offer at a time: the newest.
  toasts.replaceChildren(element);
  // Who is about to press a button has all the time there is.
  const shown = undo === undefined ? SHOWN_MS : UNDO_MS;
  let timer = setTimeout(close, shown);
  const hold = (): void => clearTimeout(timer);
  const go = (): void => void (timer = setTimeout(close, shown));
  for (const event of ['pointerenter', 'focusin']) element.addEventListener(event, hold);
  for (const event of ['pointerleave', 'focusout']) element.addEventListener(event, go);
}
