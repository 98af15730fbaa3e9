/** The WebAssembly module as text in JavaScript: `web/build.mjs` makes it. */
export default function bytes(): Uint8Array<ArrayBuffer>;
