import type { Handle } from './handle.js';

/** What every backend answers. */
export type Backend = Pick<Handle, keyof Handle>;

/** A backend on top of another one; as it stands it adds nothing. */
export class Layer implements Backend {
  protected readonly below: Backend;

  constructor(below: Backend) {
    this.below = below;
  }

  get(...call: Parameters<Backend['get']>) {
    return this.below.get(...call);
  }
  entry(...call: Parameters<Backend['entry']>) {
    return this.below.entry(...call);
  }
  getMany(...call: Parameters<Backend['getMany']>) {
    return this.below.getMany(...call);
  }
  set(...call: Parameters<Backend['set']>) {
    return this.below.set(...call);
  }
  setMany(...call: Parameters<Backend['setMany']>) {
    return this.below.setMany(...call);
  }
  delete(...call: Parameters<Backend['delete']>) {
    return this.below.delete(...call);
  }
  deleteMany(...call: Parameters<Backend['deleteMany']>) {
    return this.below.deleteMany(...call);
  }
  compareAndSwap(...call: Parameters<Backend['compareAndSwap']>) {
    return this.below.compareAndSwap(...call);
  }
  increment(...call: Parameters<Backend['increment']>) {
    return this.below.increment(...call);
  }
  append(...call: Parameters<Backend['append']>) {
    return this.below.append(...call);
  }
  setMetadata(...call: Parameters<Backend['setMetadata']>) {
    return this.below.setMetadata(...call);
  }
  setExpiry(...call: Parameters<Backend['setExpiry']>) {
    return this.below.setExpiry(...call);
  }
  transact(...call: Parameters<Backend['transact']>) {
    return this.below.transact(...call);
  }
  keys(...call: Parameters<Backend['keys']>) {
    return this.below.keys(...call);
  }
  entries(...call: Parameters<Backend['entries']>) {
    return this.below.entries(...call);
  }
  count(...call: Parameters<Backend['count']>) {
    return this.below.count(...call);
  }
  deletePattern(...call: Parameters<Backend['deletePattern']>) {
    return this.below.deletePattern(...call);
  }
  children(...call: Parameters<Backend['children']>) {
    return this.below.children(...call);
  }
  cleanupExpired(...call: Parameters<Backend['cleanupExpired']>) {
    return this.below.cleanupExpired(...call);
  }
  clear(...call: Parameters<Backend['clear']>) {
    return this.below.clear(...call);
  }
  namespaces(...call: Parameters<Backend['namespaces']>) {
    return this.below.namespaces(...call);
  }
  capabilities() {
    return this.below.capabilities();
  }
  close() {
    this.below.close();
  }
}
