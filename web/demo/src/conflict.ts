// Somebody else wrote while this entry was being edited: what is there now, and what to do.
import { h } from './dom.js';
import { showInstant } from './time.js';
import { type Held, glance } from './value.js';

interface Actions {
  take: () => void;
  keep: (theirs: Held | undefined) => void;
}

export class Conflict {
  readonly element = h('div', { class: 'conflict', role: 'alert', hidden: true });
  readonly #actions: Actions;

  constructor(actions: Actions) {
    this.#actions = actions;
  }

  show(theirs: Held | undefined): void {
    const { take, keep } = this.#actions;
    const what =
      theirs === undefined
        ? h('p', {}, 'It was deleted meanwhile.')
        : h('div', {}, h('p', {}, `Since ${showInstant(theirs.updatedAt)} it is:`), h('pre', {}, glance(theirs.value, 400)));
    this.element.replaceChildren(
      h('p', { class: 'conflict-title' }, 'Changed elsewhere while you were editing'),
      what,
      h(
        'div',
        { class: 'buttons' },
        h('button', { type: 'button', class: 'small', onclick: take }, theirs === undefined ? 'Discard mine' : 'Take theirs'),
        h('button', { type: 'button', class: 'small', onclick: () => keep(theirs) }, 'Go on with mine'),
      ),
    );
    this.element.hidden = false;
  }

  hide(): void {
    this.element.hidden = true;
    this.element.replaceChildren();
  }
}
