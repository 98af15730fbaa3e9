// The client of a service: a file of its own in the package, loaded when a store of this kind is opened.
export { default as init, Matcher, joinKey, openHttp, setErrorFactory, splitKey } from '#wasm-http';
export { Told } from './told.js';
