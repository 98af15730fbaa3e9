// When an entry expires: a countdown, and how to change it.
import type { Description } from 'dataknobs-kv';
import { choice, h, newId } from './dom.js';
import { showInstant, showSpan } from './time.js';

const SECONDS = [['1', 'seconds'], ['60', 'minutes'], ['3600', 'hours'], ['86400', 'days']] as const;

export interface Span {
  ttl: number;
  sliding: boolean;
}

/** Fields for a span; `read` gives undefined where none was typed. */
export class SpanFields {
  readonly #amount = h('input', { type: 'number', min: 0, step: 'any', class: 'amount', 'aria-label': 'Time to live' });
  readonly #unit = choice(SECONDS, '60');
  readonly #sliding = h('input', { type: 'checkbox', id: newId('sliding') });
  readonly element = h(
    'div',
    { class: 'span-fields' },
    this.#amount,
    this.#unit,
    h('label', { for: this.#sliding.id, class: 'check' }, this.#sliding, 'anew with each read'),
  );

  constructor() {
    this.#unit.setAttribute('aria-label', 'Unit');
  }

  read(): Span | undefined {
    const amount = this.#amount.valueAsNumber;
    return Number.isNaN(amount) ? undefined : { ttl: amount * Number(this.#unit.value), sliding: this.#sliding.checked };
  }

  focus(): void {
    this.#amount.focus();
  }
}

export class ExpiryView {
  readonly #countdown = h('span', { role: 'timer', class: 'countdown' });
  readonly #until = h('span', { class: 'muted' });
  /** The same in few words, for a place of its own. */
  readonly brief = h('span', { class: 'brief' });
  readonly #rest = h('progress', { max: 1, 'aria-label': 'Time that is left' });
  readonly #persist: HTMLButtonElement;
  readonly #fieldset: HTMLFieldSetElement;
  readonly #onExpired: () => void;
  readonly element: HTMLElement;
  #shown: Description | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(actions: { touch: (span: Span) => void; persist: () => void; expired: () => void }) {
    this.#onExpired = actions.expired;
    const span = new SpanFields();
    this.#persist = h('button', { type: 'button', class: 'small', onclick: actions.persist }, 'Never expire');
    const form = h(
      'form',
      { class: 'touch' },
      span.element,
      h('button', { class: 'small' }, 'Set'),
      this.#persist,
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const wanted = span.read();
      if (wanted === undefined || wanted.ttl <= 0) span.focus();
      else actions.touch(wanted);
    });
    this.#fieldset = h('fieldset', { class: 'plain' }, h('legend', { class: 'hidden' }, 'Change the expiry'), form);
    this.element = h(
      'section',
      { class: 'expiry', 'aria-label': 'Expiry' },
      h('h3', {}, 'Expiry'),
      h('p', { class: 'left' }, this.#countdown, this.#until),
      this.#rest,
      this.#fieldset,
    );
  }

  /** Not while there are edits: each change makes another version, and theirs would be lost. */
  set enabled(on: boolean) {
    this.#fieldset.disabled = !on;
  }

  show(entry: Description | undefined): void {
    this.#shown = entry;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (entry === undefined) return;
    const { expiresAt } = entry;
    this.#persist.hidden = expiresAt === undefined;
    this.#rest.hidden = expiresAt === undefined;
    if (expiresAt === undefined) {
      this.#countdown.textContent = 'Never expires';
      this.brief.textContent = 'Never';
      this.#until.textContent = '';
      return;
    }
    this.#draw();
    // By the clock of this machine. The store's may be behind: then it is asked again each second.
    this.#timer = setInterval(() => {
      if (this.#draw() <= 0) this.#onExpired();
    }, 1000);
  }

  /** How much is left, in milliseconds. */
  #draw(): number {
    const { expiresAt, updatedAt, slidingMs } = this.#shown ?? {};
    if (expiresAt === undefined || updatedAt === undefined) return Infinity;
    const left = expiresAt.getTime() - Date.now();
    const whole = slidingMs ?? expiresAt.getTime() - updatedAt.getTime();
    this.#countdown.textContent = left > 0 ? `Expires in ${showSpan(left)}` : 'Expired';
    this.brief.textContent = left > 0 ? `in ${showSpan(left)}` : 'now';
    this.#until.textContent = slidingMs === undefined ? showInstant(expiresAt) : `${showSpan(slidingMs)} after the last read`;
    this.#rest.value = Math.min(1, Math.max(0, left / whole));
    return left;
  }
}
