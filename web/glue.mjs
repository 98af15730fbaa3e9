// What wasm-bindgen made, as the package needs it.

/** Conditions that are settled here: esbuild drops what they guard. */
const SETTLED = {
  // A browser that can run the module has all of this.
  "typeof FinalizationRegistry === 'undefined'": 'false',
  "!('encodeInto' in cachedTextEncoder)": 'false',
  // `js/wasm.ts` gives a compiled module, by name. For no address there would be the glue's own, which no file has here.
  'Object.getPrototypeOf(module_or_path) === Object.prototype': 'true',
  'module_or_path === undefined': 'false',
  "typeof module_or_path === 'string'": 'false',
  "typeof Request === 'function' && module_or_path instanceof Request": 'false',
  "typeof URL === 'function' && module_or_path instanceof URL": 'false',
  "typeof Response === 'function' && module instanceof Response": 'false',
  'instance instanceof WebAssembly.Instance': 'true',
  // Nothing here is released by `using`, and no text goes where it cannot grow.
  'if (Symbol.dispose)': 'if (false)',
  'realloc === undefined': 'false',
};

/**
 * The glue of a module whose imports and exports got other names.
 * @param {string} glue
 * @param {{ imports: [module: string, name: string, now: string][], exports: [name: string, now: string][] }} names as wasm-opt
 *   prints them: all imports are of one module `a` now
 */
export function adapted(glue, { imports, exports }) {
  // The glue has an object for each module: `import0` with functions of its own, and the scripts that come with the crate.
  const objects = new Map([...glue.matchAll(/^ +"(.+)": (import\d+),$/gm)].map(([, module, object]) => [module, object]));
  const own = new Map();
  const others = [];
  for (const [module, name, now] of imports) {
    if (objects.get(module) === 'import0') own.set(name, now);
    else others.push(`${now}: ${objects.get(module)}.${name},`);
  }
  const exported = new Map(exports);
  let text = glue
    .replace(/\bwasm\.(\w+)/g, (_, name) => `wasm.${exported.get(name)}`)
    .replace(/^( +)(\w+)(?=: function\()/gm, (line, indent, name) => (own.has(name) ? indent + own.get(name) : line))
    .replace('const import0 = {', (line) => [line, ...others].join('\n'))
    .replace(/return \{\n +__proto__: null,\n( +".+": import\d+,\n)+ +\};/, 'return { a: import0 };');
  for (const [condition, outcome] of Object.entries(SETTLED)) text = text.replaceAll(condition, outcome);
  return text;
}
