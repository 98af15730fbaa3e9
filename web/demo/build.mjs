// Builds the explorer into dist/, of the package as it was built: `cargo xtask web` does both.
//
//   index.html, icon.svg, explorer.css, explorer.js, dataknobs_kv.wasm, dataknobs_kv_http.wasm
import { copyFile, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';

const here = import.meta.dirname;
const dist = join(here, 'dist');
const package_ = join(here, '../dist');

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.json'], { cwd: here, stdio: 'inherit' });

const shared = { bundle: true, minify: true, legalComments: 'none', logLevel: 'error', target: ['chrome125', 'firefox128', 'safari17.5'] };
await build({
  ...shared,
  entryPoints: [join(here, 'src/main.ts')],
  outfile: join(dist, 'explorer.js'),
  format: 'esm',
  plugins: [
    {
      name: 'module-beside-the-page',
      setup(build) {
        // The copy of the WebAssembly module as text is for bundlers that lose the file: here it always lies beside the page.
        build.onResolve({ filter: /^\.\/(.*-)?inline\.js$/ }, () => ({ path: 'inline', namespace: 'none' }));
        build.onLoad({ filter: /.*/, namespace: 'none' }, () => ({
          contents: "export default () => { throw new Error('dataknobs_kv.wasm does not lie beside the page'); };",
        }));
      },
    },
  ],
});
await build({ ...shared, entryPoints: [join(here, 'style/explorer.css')], outfile: join(dist, 'explorer.css') });
for (const name of ['index.html', 'icon.svg']) await copyFile(join(here, name), join(dist, name));
for (const name of ['dataknobs_kv.wasm', 'dataknobs_kv_http.wasm']) await copyFile(join(package_, name), join(dist, name));

let [raw, brotli] = [0, 0];
for (const name of ['index.html', 'icon.svg', 'explorer.css', 'explorer.js']) {
  raw += (await stat(join(dist, name))).size;
  brotli += brotliCompressSync(await readFile(join(dist, name))).length;
}
console.log(`explorer           ${String(raw).padStart(8)} bytes, brotli ${String(brotli).padStart(7)}, beside the module`);
