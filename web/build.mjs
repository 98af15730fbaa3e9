// Makes the package of what wasm-bindgen made: `cargo xtask web` calls it with the folders of the two modules' glue.
//
//   dist/index.js                 the API, and the glue of IndexedDB and memory
//   dist/dataknobs_kv.wasm        their WebAssembly module, optimised
//   dist/inline.js                the same as text, for where the file cannot be found
//   dist/http.js, dataknobs_kv_http.wasm, http-inline.js
//                                 the client of a service likewise, loaded only where it is opened
//   dist/cache.js, memory.js      the cache, the backend in memory: each loaded only where it is asked for
//   dist/*.d.ts                   types
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';
import { adapted } from './glue.mjs';

const here = import.meta.dirname;
const [database, http, kept] = process.argv.slice(2);
const dist = join(here, 'dist');
const built = join(here, 'build');

const bin = (name, program) =>
  join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), program);
const node = (script, ...args) => execFileSync(process.execPath, [script, ...args], { cwd: here, stdio: 'inherit' });

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
await mkdir(built, { recursive: true });

/** A module and its text, in `dist`; the names that its imports and exports have now. */
async function module_(glue, name, inline) {
  await copyFile(join(glue, `${name}.d.ts`), join(built, `${name}.d.ts`));
  // Optimised once: it takes longer than all the rest.
  const source = join(glue, `${name}_bg.wasm`);
  const digest = createHash('sha256').update(await readFile(source)).update(await readFile(import.meta.filename)).digest('hex');
  const optimised = join(built, `${name}-${digest}.wasm`);
  if (!(await stat(optimised).catch(() => undefined))) {
    const old = new RegExp(`^${name}-[0-9a-f]{64}\\.wasm(\\.json)?$`);
    for (const file of await readdir(built)) if (old.test(file)) await rm(join(built, file));
    // The features are those that the module was compiled with; `--all-features` breaks it. What is called once is not put
    // in the place of its call unless it is small: half a percent more as it is, four less by brotli. Functions of like names
    // are alike, and compress better side by side.
    const small = [
      '-O2', '--shrink-level=2', '--one-caller-inline-max-function-size=20', '--always-inline-max-function-size=4',
      '--reorder-functions-by-name',
    ];
    // wasm-bindgen's names hold hashes, which do not compress: more than a kilobyte here, and as much in the glue.
    const bare = ['--minify-imports-and-exports-and-modules', '--strip-producers', '--strip-target-features'];
    const printed = execFileSync(
      process.execPath,
      [bin('binaryen', 'bin/wasm-opt'), source, ...small, ...bare, '-o', `${optimised}.part`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await writeFile(`${optimised}.json`, printed);
    await rename(`${optimised}.part`, optimised);
  }
  await copyFile(optimised, join(dist, `${name}.wasm`));
  const bytes = await readFile(optimised);
  // Six bits a character. Not decoded by `fetch` of a data URL, which many policies forbid, but by `atob`, whose string has a
  // character for each byte.
  await writeFile(
    join(dist, inline),
    `const text = "${bytes.toString('base64')}";\n` +
      'export default function bytes() {\n' +
      '  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));\n' +
      '}\n',
  );
  return JSON.parse(await readFile(`${optimised}.json`, 'utf8'));
}

const names = {
  dataknobs_kv: await module_(database, 'dataknobs_kv', 'inline.js'),
  dataknobs_kv_http: await module_(http, 'dataknobs_kv_http', 'http-inline.js'),
};

/** What is loaded by itself, and so stays a file of its own. */
const parts = { '#inline': './inline.js', '#http': './http.js', '#http-inline': './http-inline.js', '#cache': './cache.js', '#memory': './memory.js' };

async function bundle(entry, file, more = {}) {
  const { outputFiles } = await build({
    ...more,
    entryPoints: [join(here, 'js', entry)],
    outfile: join(dist, file),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minifySyntax: true,
    minifyWhitespace: true,
    minifyIdentifiers: !kept,
    legalComments: 'none',
    // The glue names one module several times.
    logOverride: { 'duplicate-object-key': 'silent' },
    sourcemap: 'external',
    write: false,
    alias: { '#wasm': join(database, 'dataknobs_kv.js'), '#wasm-http': join(http, 'dataknobs_kv_http.js') },
    plugins: [
      {
        name: 'parts',
        setup(build) {
          build.onResolve({ filter: /^#(inline|http|http-inline|cache|memory)$/ }, ({ path }) => ({ path: parts[path], external: true }));
          build.onLoad({ filter: /dataknobs_kv(_http)?\.js$/ }, async ({ path }) => ({
            contents: adapted(await readFile(path, 'utf8'), names[basename(path, '.js')]),
          }));
        },
      },
    ],
  });
  const text = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text;
  // What esbuild has made small gets smaller by three percent.
  const { code, map } = await minify(text('.js'), {
    module: true,
    ecma: 2020,
    compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true },
    mangle: !kept,
    sourceMap: { content: text('.map'), includeSources: true, filename: file, url: `${file}.map` },
  });
  await writeFile(join(dist, file), code);
  await writeFile(join(dist, `${file}.map`), map);
}

// Names that begin so are the glue's own; those that wasm-opt gives are shorter.
const mangleProps = /^_\w{2}/;
await bundle('index.ts', 'index.js', { mangleProps });
await bundle('indexed_db/memory.ts', 'memory.js');
await bundle('http.ts', 'http.js', { mangleProps, inject: [join(here, 'js/fetch.ts')] });
const { version, license } = JSON.parse(await readFile(join(here, '../node_modules/lru-cache/package.json'), 'utf8'));
await bundle('cache.ts', 'cache.js', {
  banner: { js: `/*! It holds lru-cache ${version}, ${license}: https://blueoakcouncil.org/license/1.0.0 */` },
});

const types = join(built, 'types');
await rm(types, { recursive: true, force: true });
node(bin('typescript', 'bin/tsc'), '-p', 'tsconfig.json', '--outDir', types);
// What the public types do not lead to, only the bundle needs.
const reached = new Set();
async function reach(name) {
  if (reached.has(name)) return;
  reached.add(name);
  await copyFile(join(types, name), join(dist, name));
  const text = await readFile(join(types, name), 'utf8');
  for (const [, other] of text.matchAll(/from '\.\/([\w-]+)\.js'|import\("\.\/([\w-]+)\.js"\)/g)) await reach(`${other}.d.ts`);
}
await reach('index.d.ts');

for (const name of ['dataknobs_kv.wasm', 'index.js', 'dataknobs_kv_http.wasm', 'http.js', 'cache.js']) {
  const bytes = await readFile(join(dist, name));
  const [gzip, brotli] = [gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length];
  console.log(
    `${name.padEnd(22)} ${String(bytes.length).padStart(8)} bytes, gzip ${String(gzip).padStart(7)}, brotli ${String(brotli).padStart(7)}`,
  );
}
