// The hierarchy of keys, loaded level by level: the WAI-ARIA tree pattern, with one tab stop.
import { type Child, KVStore } from 'dataknobs-kv';
import type { App } from './app.js';
import { byId, h, keyText, newId } from './dom.js';
import { Levels, flash } from './flash.js';

/** So many of a level are shown at first, and more at each wish. */
const STEP = 200;

interface Level {
  list: HTMLUListElement;
  depth: number;
  nodes: Map<string, Node>;
  wanted: number;
  /** The newest load: only that one counts, and who waits for an older one waits for it. */
  loading: Promise<void> | undefined;
}

interface Node {
  key: string;
  name: string;
  /** In the list; the row and the level below are in it. */
  place: HTMLLIElement;
  /** What has the focus, and a name. */
  item: HTMLElement;
  kind: HTMLElement;
  hasChildren: boolean;
  level: Level | undefined;
}

export class Tree {
  readonly #app: App;
  readonly #root = byId<HTMLUListElement>('tree');
  /** Loaded levels, by the key above them; `undefined` is the top. */
  readonly #levels = new Map<string | undefined, Level>();
  readonly #nodes = new WeakMap<Element, Node>();
  #selected: string | undefined;
  #typed = '';
  #typedAt = 0;

  constructor(app: App) {
    this.#app = app;
    this.#root.addEventListener('keydown', (event) => this.#keydown(event));
    this.#root.addEventListener('click', (event) => this.#click(event));
  }

  /** Another store, or all anew: whether there is anything. */
  async reset(): Promise<boolean> {
    this.#levels.clear();
    this.#root.replaceChildren();
    const top = this.#level(undefined, this.#root, 1);
    await this.#load(undefined, top);
    return top.nodes.size > 0;
  }

  get empty(): boolean {
    return (this.#levels.get(undefined)?.nodes.size ?? 0) === 0;
  }

  focus(): void {
    this.#root.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  }

  /** Loads again the levels in which these keys stand, and shows where something happened. */
  async changed(keys: ReadonlyMap<string, boolean>): Promise<void> {
    const touched = new Levels(keys.keys(), this.#levels);
    await Promise.all([...touched.loaded].map(([key, level]) => this.#load(key, level)));
    for (const [key, local] of keys) {
      const node = this.#nearest(key);
      if (node !== undefined) flash(node.item, local);
    }
  }

  /** Loads again all that is loaded: something was removed, and nobody says what. */
  async refresh(): Promise<void> {
    await Promise.all([...this.#levels].map(([key, level]) => this.#load(key, level)));
  }

  /** Marks the entry that is shown, and opens the way to it. */
  async select(key: string | undefined): Promise<void> {
    this.#selected = key;
    if (key !== undefined) {
      const segments = KVStore.segments(key);
      for (let length = 1; length <= segments.length; length += 1) {
        const node = await this.#look(KVStore.key(...segments.slice(0, length)));
        if (node === undefined) break;
        if (length < segments.length) await this.#expand(node);
      }
    }
    if (this.#selected !== key) return;
    for (const item of this.#root.querySelectorAll('[aria-selected="true"]')) item.setAttribute('aria-selected', 'false');
    const node = key === undefined ? undefined : this.#find(key);
    if (node === undefined) return;
    node.item.setAttribute('aria-selected', 'true');
    node.item.scrollIntoView({ block: 'nearest' });
    if (!this.#root.contains(document.activeElement)) this.#rove(node.item);
  }

  #level(key: string | undefined, list: HTMLUListElement, depth: number): Level {
    const level: Level = { list, depth, nodes: new Map(), wanted: STEP, loading: undefined };
    this.#levels.set(key, level);
    return level;
  }

  #load(key: string | undefined, level: Level): Promise<void> {
    const loading: Promise<void> = this.#list(key, level).then(([children, more]) => {
      if (level.loading !== loading) return level.loading;
      if (children !== undefined && this.#levels.get(key) === level) this.#render(level, children, more);
      return undefined;
    });
    level.loading = loading;
    return loading;
  }

  /** As many as are wanted, and whether there are more; none after an error. */
  async #list(key: string | undefined, level: Level): Promise<[children: Child[] | undefined, more: boolean]> {
    const children: Child[] = [];
    let more = false;
    const done = await this.#app.attempt(async () => {
      for await (const child of this.#app.store.children(key)) {
        more = children.length === level.wanted;
        if (more) break;
        children.push(child);
      }
      return true;
    });
    return [done ? children : undefined, more];
  }

  /** Nodes that stay keep their element, and with it what is open below them, and the focus. */
  #render(level: Level, children: Child[], more: boolean): void {
    const focused = this.#root.contains(document.activeElement) ? this.#focused() : undefined;
    const before = this.#visible();
    const at = focused === undefined ? -1 : before.indexOf(focused);
    const old = level.nodes;
    level.nodes = new Map();
    const places: HTMLElement[] = [];
    for (const child of children) {
      const node = old.get(child.key) ?? this.#node(child, level.depth);
      this.#update(node, child);
      level.nodes.set(child.key, node);
      places.push(node.place);
    }
    for (const [key, node] of old) if (!level.nodes.has(key)) this.#forget(node);
    if (more) {
      const item = h('div', { role: 'treeitem', class: 'row more-row', tabindex: -1, 'aria-level': level.depth }, `Show ${STEP} more`);
      item.style.setProperty('--depth', String(level.depth));
      places.push(h('li', { role: 'none' }, item));
    }
    // Elements are moved only where the order differs: a focused element that is moved loses its focus.
    places.forEach((place, index) => {
      if (level.list.children[index] !== place) level.list.insertBefore(place, level.list.children[index] ?? null);
    });
    while (level.list.children.length > places.length) level.list.lastElementChild?.remove();
    if (focused !== undefined && !focused.isConnected) {
      const visible = this.#visible();
      visible[Math.min(at, visible.length - 1)]?.focus();
    }
    const stop = this.#root.querySelector('[tabindex="0"]');
    if (stop === null) this.#root.querySelector('[role="treeitem"]')?.setAttribute('tabindex', '0');
  }

  #node(child: Child, depth: number): Node {
    const kind = h('span', { class: 'hidden' });
    const item = h(
      'div',
      { role: 'treeitem', class: 'row', tabindex: -1, 'aria-level': depth, title: child.key },
      h('span', { class: 'twisty', 'aria-hidden': 'true' }),
      h('span', { class: 'name' }, keyText(child.segment)),
      kind,
    );
    item.style.setProperty('--depth', String(depth));
    const place = h('li', { role: 'none' }, item);
    const node: Node = { key: child.key, name: child.segment, place, item, kind, hasChildren: false, level: undefined };
    this.#nodes.set(item, node);
    return node;
  }

  #update(node: Node, child: Child): void {
    node.hasChildren = child.hasChildren;
    node.kind.textContent = child.isEntry ? '' : ' group';
    node.item.setAttribute('aria-selected', String(node.key === this.#selected));
    node.item.classList.toggle('is-entry', child.isEntry);
    if (!child.hasChildren) {
      this.#forget(node);
      node.item.removeAttribute('aria-expanded');
    } else if (!node.item.hasAttribute('aria-expanded')) {
      node.item.setAttribute('aria-expanded', 'false');
    }
  }

  /** Lets go of what is below. */
  #forget(node: Node): void {
    const { level } = node;
    if (level === undefined) return;
    for (const child of level.nodes.values()) this.#forget(child);
    this.#levels.delete(node.key);
    level.list.remove();
    node.item.removeAttribute('aria-owns');
    node.level = undefined;
  }

  async #expand(node: Node): Promise<void> {
    if (!node.hasChildren || node.item.getAttribute('aria-expanded') === 'true') return;
    node.item.setAttribute('aria-expanded', 'true');
    if (node.level !== undefined) {
      node.level.list.hidden = false;
      return;
    }
    const list = h('ul', { role: 'group', id: newId('level') });
    const depth = Number(node.item.getAttribute('aria-level')) + 1;
    node.level = this.#level(node.key, list, depth);
    await this.#load(node.key, node.level);
    if (node.level === undefined) return;
    node.place.append(list);
    node.item.setAttribute('aria-owns', list.id);
  }

  #collapse(node: Node): void {
    if (node.item.getAttribute('aria-expanded') !== 'true') return;
    node.item.setAttribute('aria-expanded', 'false');
    if (node.level !== undefined) node.level.list.hidden = true;
    if (node.level?.list.contains(document.activeElement) === true) this.#focus(node.item);
  }

  #find(key: string): Node | undefined {
    const segments = KVStore.segments(key);
    return this.#levels.get(segments.length === 1 ? undefined : KVStore.key(...segments.slice(0, -1)))?.nodes.get(key);
  }

  /** The node of a key, also where it came to be a moment ago. */
  async #look(key: string): Promise<Node | undefined> {
    const segments = KVStore.segments(key);
    const above = segments.length === 1 ? undefined : KVStore.key(...segments.slice(0, -1));
    const level = this.#levels.get(above);
    if (level === undefined) return undefined;
    if (!level.nodes.has(key)) await this.#load(above, level);
    return level.nodes.get(key);
  }

  /** The node of a key, or the lowest one above it that can be seen. */
  #nearest(key: string): Node | undefined {
    const segments = KVStore.segments(key);
    let found: Node | undefined;
    for (let length = 1; length <= segments.length; length += 1) {
      const node = this.#find(KVStore.key(...segments.slice(0, length)));
      if (node === undefined) break;
      found = node;
      if (node.item.getAttribute('aria-expanded') !== 'true') break;
    }
    return found;
  }

  #visible(): HTMLElement[] {
    const all = [...this.#root.querySelectorAll<HTMLElement>('[role="treeitem"]')];
    return all.filter((item) => item.parentElement?.closest('[hidden]') === null);
  }

  #focused(): HTMLElement | undefined {
    return document.activeElement?.closest<HTMLElement>('[role="treeitem"]') ?? undefined;
  }

  /** The item of the level above. */
  #above(item: HTMLElement): HTMLElement | undefined {
    const list = item.closest('ul');
    return list === null || list === this.#root ? undefined : (list.previousElementSibling as HTMLElement);
  }

  /** The one tab stop. */
  #rove(item: HTMLElement): void {
    for (const stop of this.#root.querySelectorAll('[tabindex="0"]')) stop.setAttribute('tabindex', '-1');
    item.setAttribute('tabindex', '0');
  }

  #focus(item: HTMLElement | undefined): void {
    if (item === undefined) return;
    this.#rove(item);
    item.focus();
  }

  #click(event: Event): void {
    const target = event.target as Element;
    const item = target.closest<HTMLElement>('[role="treeitem"]');
    if (item === null) return;
    this.#focus(item);
    const node = this.#nodes.get(item);
    if (node === undefined) void this.#showMore(item);
    else if (target.closest('.twisty') !== null) this.#toggle(node);
    else this.#activate(node);
  }

  #toggle(node: Node): void {
    if (node.item.getAttribute('aria-expanded') === 'true') this.#collapse(node);
    else void this.#expand(node);
  }

  /** Shows the entry; what is none is opened or closed. */
  #activate(node: Node): void {
    if (node.item.classList.contains('is-entry')) this.#app.show(node.key);
    else this.#toggle(node);
  }

  async #showMore(item: HTMLElement): Promise<void> {
    const above = this.#above(item);
    const key = above === undefined ? undefined : this.#nodes.get(above)?.key;
    const level = this.#levels.get(key);
    if (level === undefined) return;
    const place = level.list.children.length - 1;
    level.wanted += STEP;
    await this.#load(key, level);
    this.#focus(level.list.children[place]?.firstElementChild as HTMLElement | undefined);
  }

  #keydown(event: KeyboardEvent): void {
    const item = this.#focused();
    if (item === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    if (!this.#key(event.key, item, this.#nodes.get(item))) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Whether the key means something here. */
  #key(key: string, item: HTMLElement, node: Node | undefined): boolean {
    const visible = this.#visible();
    const at = visible.indexOf(item);
    switch (key) {
      case 'ArrowDown':
        this.#focus(visible[at + 1]);
        return true;
      case 'ArrowUp':
        this.#focus(visible[at - 1]);
        return true;
      case 'Home':
        this.#focus(visible[0]);
        return true;
      case 'End':
        this.#focus(visible.at(-1));
        return true;
      case 'ArrowRight':
        if (node?.item.getAttribute('aria-expanded') === 'false') void this.#expand(node);
        else if (node?.item.getAttribute('aria-expanded') === 'true') this.#focus(visible[at + 1]);
        return true;
      case 'ArrowLeft':
        if (node?.item.getAttribute('aria-expanded') === 'true') this.#collapse(node);
        else this.#focus(this.#above(item));
        return true;
      case 'Enter':
      case ' ':
        if (node === undefined) void this.#showMore(item);
        else this.#activate(node);
        return true;
      case 'Delete':
        if (node?.item.classList.contains('is-entry')) void this.#app.remove(node.key);
        return true;
      case '*':
        for (const { firstElementChild: sibling } of item.closest('ul')?.children ?? []) {
          const one = sibling === null ? undefined : this.#nodes.get(sibling);
          if (one !== undefined) void this.#expand(one);
        }
        return true;
      default:
        // `/` and `?` are the page's.
        return key.length === 1 && /[\p{L}\p{N}_.-]/u.test(key) && this.#typeahead(key, visible, at);
    }
  }

  /** To the next name that begins with what is typed. */
  #typeahead(key: string, visible: HTMLElement[], at: number): boolean {
    const now = performance.now();
    this.#typed = now - this.#typedAt > 800 ? key : this.#typed + key;
    this.#typedAt = now;
    const typed = this.#typed.toLowerCase();
    const from = typed.length === 1 ? at + 1 : at;
    const order = [...visible.slice(from), ...visible.slice(0, from)];
    this.#focus(order.find((item) => this.#nodes.get(item)?.name.toLowerCase().startsWith(typed)));
    return true;
  }
}
