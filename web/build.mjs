// Makes the package of what wasm-bindgen made: `cargo xtask web` calls it with the folder of the glue.
//
//   dist/index.js           the API and the glue, one file
//   dist/inline.js          the WebAssembly module as text, for where the file cannot be found
//   dist/dataknobs_kv.wasm  the same as a file, optimised
//   dist/*.d.ts             types
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = import.meta.dirname;
const [glue, kept] = process.argv.slice(2);
const dist = join(here, 'dist');
const built = join(here, 'build');

const bin = (name, program) =>
  join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), program);
const node = (script, ...args) => execFileSync(process.execPath, [script, ...args], { cwd: here, stdio: 'inherit' });

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
await mkdir(built, { recursive: true });

const wasm = join(dist, 'dataknobs_kv.wasm');
await copyFile(join(glue, 'dataknobs_kv.d.ts'), join(built, 'dataknobs_kv.d.ts'));
// Optimised once: it takes longer than all the rest.
const source = join(glue, 'dataknobs_kv_bg.wasm');
const digest = createHash('sha256').update(await readFile(source)).digest('hex');
const optimised = join(built, `${digest}.wasm`);
if (!(await stat(optimised).catch(() => undefined))) {
  for (const old of await readdir(built)) if (old.endsWith('.wasm')) await rm(join(built, old));
  // The features are those that the module was compiled with; `--all-features` breaks it.
  execFileSync(process.execPath, [bin('binaryen', 'bin/wasm-opt'), source, '-Oz', '-o', `${optimised}.part`], {
    stdio: 'inherit',
  });
  await rename(`${optimised}.part`, optimised);
}
await copyFile(optimised, wasm);
const bytes = await readFile(wasm);

// Six bits a character. Not decoded by `fetch` of a data URL, which many policies forbid, but by `atob`, whose string has a
// character for each byte.
await writeFile(
  join(dist, 'inline.js'),
  `const text = "${bytes.toString('base64')}";\n` +
    'export default function bytes() {\n' +
    '  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));\n' +
    '}\n',
);

await build({
  entryPoints: [join(here, 'js/index.ts')],
  outfile: join(dist, 'index.js'),
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minifySyntax: true,
  minifyWhitespace: true,
  minifyIdentifiers: !kept,
  legalComments: 'none',
  // The glue names one module several times.
  logOverride: { 'duplicate-object-key': 'silent' },
  sourcemap: 'linked',
  alias: { '#wasm': join(glue, 'dataknobs_kv.js') },
  external: ['#inline'],
  plugins: [
    {
      name: 'inline',
      setup(build) {
        build.onResolve({ filter: /^#inline$/ }, () => ({ path: './inline.js', external: true }));
        // The glue would look for its own file, which is another one here.
        build.onLoad({ filter: /dataknobs_kv\.js$/ }, async ({ path }) => ({
          contents: (await readFile(path, 'utf8')).replace(
            /new URL\('dataknobs_kv_bg\.wasm', import\.meta\.url\)/,
            'undefined',
          ),
        }));
      },
    },
  ],
});

node(bin('typescript', 'bin/tsc'), '-p', 'tsconfig.json');
// What the public types do not lead to, only the bundle needs.
const reached = new Set();
async function reach(name) {
  if (reached.has(name)) return;
  reached.add(name);
  const text = await readFile(join(dist, name), 'utf8');
  for (const [, other] of text.matchAll(/from '\.\/([\w-]+)\.js'|import\("\.\/([\w-]+)\.js"\)/g)) await reach(`${other}.d.ts`);
}
await reach('index.d.ts');
for (const name of await readdir(dist)) if (name.endsWith('.d.ts') && !reached.has(name)) await rm(join(dist, name));

const glueBytes = await readFile(join(dist, 'index.js'));
const size = (buffer) => ({ raw: buffer.length, gzip: gzipSync(buffer, { level: 9 }).length, brotli: brotliCompressSync(buffer).length });
for (const [name, buffer] of Object.entries({ 'dataknobs_kv.wasm': bytes, 'index.js': glueBytes })) {
  const { raw, gzip, brotli } = size(buffer);
  console.log(`${name.padEnd(18)} ${String(raw).padStart(8)} bytes, gzip ${String(gzip).padStart(7)}, brotli ${String(brotli).padStart(7)}`);
}
