import type { Changes } from './changes.js';
import { type Backend, Layer } from './layer.js';

/**
 * Tells of what was written through it, once that is acknowledged: for a backend that does not tell by itself.
 */
export class Told extends Layer {
  readonly #announce: Changes['announce'];

  constructor(below: Backend, announce: Changes['announce']) {
    super(below);
    this.#announce = announce;
  }

  /** A version is a string; a lost race is an array. */
  async #written(namespace: string, key: string, write: Promise<unknown>): Promise<unknown> {
    const result = await write;
    if (typeof result === 'string') this.#announce(namespace, key, '1');
    return result;
  }

  /** Whatever it answers: without an error it has written. */
  async #always(namespace: string, key: string, write: Promise<unknown>): Promise<unknown> {
    const result = await write;
    this.#announce(namespace, key, '1');
    return result;
  }

  #many(namespace: string, keys: string[], there: '0' | '1', good: (at: number) => boolean): void {
    const changed = keys.filter((_, at) => good(at));
    if (changed.length > 0) this.#announce(namespace, changed.join('\n'), there.repeat(changed.length));
  }

  override set(...call: Parameters<Backend['set']>) {
    return this.#written(call[0], call[1], super.set(...call));
  }

  override compareAndSwap(...call: Parameters<Backend['compareAndSwap']>) {
    return this.#written(call[0], call[1], super.compareAndSwap(...call));
  }

  override setMetadata(...call: Parameters<Backend['setMetadata']>) {
    return this.#written(call[0], call[1], super.setMetadata(...call));
  }

  override setExpiry(...call: Parameters<Backend['setExpiry']>) {
    return this.#written(call[0], call[1], super.setExpiry(...call));
  }

  override increment(...call: Parameters<Backend['increment']>) {
    return this.#always(call[0], call[1], super.increment(...call));
  }

  override append(...call: Parameters<Backend['append']>) {
    return this.#always(call[0], call[1], super.append(...call));
  }

  override async delete(...call: Parameters<Backend['delete']>) {
    const result: unknown = await super.delete(...call);
    if (result === true) this.#announce(call[0], call[1], '0');
    return result;
  }

  override async setMany(...call: Parameters<Backend['setMany']>) {
    const results: unknown[] = await super.setMany(...call);
    this.#many(call[0], call[1], '1', (at) => typeof results[at] === 'string');
    return results;
  }

  override async deleteMany(...call: Parameters<Backend['deleteMany']>) {
    const results: unknown[] = await super.deleteMany(...call);
    this.#many(call[0], call[1], '0', (at) => results[at] === true);
    return results;
  }

  override async transact(...call: Parameters<Backend['transact']>) {
    const versions = (await super.transact(...call)) as unknown[];
    if (versions.length > 0 && !Array.isArray(versions[0])) {
      const keys = call[2].map(([key]) => key as string);
      this.#announce(call[0], keys.join('\n'), versions.map((version) => (version === undefined ? '0' : '1')).join(''));
    }
    return versions;
  }

  override async deletePattern(...call: Parameters<Backend['deletePattern']>) {
    const [namespace, pattern] = call;
    const result: [number, string | undefined] = await super.deletePattern(...call);
    if (result[0] > 0) {
      // A pattern that is a key has removed just that.
      this.#announce(namespace, pattern, /[*?[\]{}\\]/.test(pattern) ? 'p' : '0');
    }
    return result;
  }

  override async clear(...call: Parameters<Backend['clear']>) {
    const more: boolean = await super.clear(...call);
    this.#announce(call[0], '', '0');
    return more;
  }
}
