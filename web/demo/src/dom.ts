// Elements, made and found without a framework. Text goes in as text, never as HTML.

type Attribute = string | number | boolean | undefined | EventListener | ((event: never) => unknown);
export type Content = Node | string | undefined | false;

/** An element: `on…` attributes are listeners, `true` sets an attribute, `false` and `undefined` leave it out. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, Attribute> = {},
  ...content: Content[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  for (const part of content) if (part !== undefined && part !== false) element.append(part);
  return element;
}

/** The element of this id, which the page has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element as T;
}

let ids = 0;

/** An id of its own, for labels and descriptions. */
export const newId = (name: string): string => `${name}-${(ids += 1)}`;

/** A label with its control below; `hint` describes the control. */
export function field(label: string, control: HTMLElement, hint?: HTMLElement): HTMLElement {
  control.id ||= newId('control');
  if (hint !== undefined) {
    hint.id ||= newId('hint');
    control.setAttribute('aria-describedby', hint.id);
  }
  return h('div', { class: 'field' }, h('label', { for: control.id }, label), control, hint);
}

/** A choice among names. */
export function choice(options: readonly (readonly [value: string, label: string])[], chosen?: string): HTMLSelectElement {
  const select = h('select');
  for (const [value, label] of options) select.append(h('option', { value, selected: value === chosen }, label));
  return select;
}

/** A dot or a bar is where a long key may be broken: elsewhere it breaks only if it must. */
export function keyText(key: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  for (const part of key.split(/(?<=[./:_-])/)) fragment.append(part, h('wbr'));
  return fragment;
}
