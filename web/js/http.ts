// The client of a service: a file of its own in the package, loaded when a store of this kind is opened.
import { openHttp as open } from '#wasm-http';
import { Handle } from './handle.js';

export { default as init, joinKey, matching, setErrorFactory, splitKey } from '#wasm-http';
export { Told } from './told.js';

export const openHttp = (...how: Parameters<typeof open>): Handle => new Handle(open(...how));
