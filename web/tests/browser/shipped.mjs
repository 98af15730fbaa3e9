// The tarball: what `npm pack` gives works where people install it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompressSync } from 'node:zlib';
import { serve } from '../support/server.mjs';
import { service } from '../support/service.mjs';

const root = join(import.meta.dirname, '../../..');
const run = promisify(execFile);
const bin = (name) => join(root, 'node_modules/.bin', name);

const PAGE = `<!doctype html><meta charset="utf-8"><title>fresh</title><script type="module" src="/main.js"></script>`;
const USE = `
const store = await KVStore.open({ name: 'fresh' });
await store.set('app.name', 'MyApplication');
globalThis.answer = [await store.get('app.name'), await store.keys('app.*'), await store.increment('n')];
`;
/** The same at the service that the page's address names. */
const USE_HTTP = USE.replace("{ name: 'fresh' }", "{ backend: 'http', url: new URLSearchParams(location.search).get('service') }");
const ANSWER = ['MyApplication', ['app.name'], 1];

export function shipped({ browser }) {
  const folders = [];
  process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));
  let made;
  /** A project of its own that has the package from its tarball, and nothing else of this one but the bundlers. */
  const project = async (files) => {
    made ??= (async () => {
      const folder = await mkdtemp(join(tmpdir(), 'kv-pack-'));
      folders.push(folder);
      const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder, '--workspace', 'web'], { cwd: root });
      const [{ filename }] = JSON.parse(stdout);
      return { folder, tarball: join(folder, filename) };
    })();
    const { tarball } = await made;
    const folder = await mkdtemp(join(tmpdir(), 'kv-project-'));
    folders.push(folder);
    const package_ = join(folder, 'node_modules/dataknobs-kv');
    await mkdir(package_, { recursive: true });
    // As npm does: the content of `package/` in the tarball.
    await run('tar', ['-xzf', tarball, '-C', package_, '--strip-components=1']);
    await writeFile(join(folder, 'package.json'), '{"name":"fresh","private":true,"type":"module"}');
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return folder;
  };

  /** What the page computes. */
  async function answer(url) {
    const page = await browser.context.newPage();
    try {
      const errors = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(url);
      await page.waitForFunction(() => globalThis.answer !== undefined, undefined, { timeout: 60_000 }).catch((error) => {
        throw new Error([error.message, ...errors].join('\n'));
      });
      return await page.evaluate(() => globalThis.answer);
    } finally {
      await page.close();
    }
  }

  async function served(folder) {
    const server = await serve({ '/': folder });
    try {
      return await answer(server.url);
    } finally {
      await server.close();
    }
  }

  async function servedBesideService(folder) {
    const server = await serve({ '/': folder });
    const started = await service({ origin: server.url });
    try {
      return await answer(`${server.url}?service=${started.url}`);
    } finally {
      await started.stop();
      await server.close();
    }
  }

  return {
    async the_tarball_holds_what_it_should() {
      const folder = await project({});
      const files = await readdir(join(folder, 'node_modules/dataknobs-kv'), { recursive: true });
      for (const file of ['README.md', 'LICENSE', 'package.json', 'dist/index.js', 'dist/index.d.ts', 'dist/dataknobs_kv.wasm', 'dist/inline.js', 'dist/http.js', 'dist/dataknobs_kv_http.wasm', 'dist/http-inline.js', 'dist/cache.js', 'dist/memory.js']) {
        assert.ok(files.includes(file), `${file} is not in ${files.join(', ')}`);
      }
      assert.ok(!files.some((file) => /src|tests|Cargo/.test(file)), files.join(', '));
      // Types of what is inside are not part of it.
      const types = files.filter((file) => file.endsWith('.d.ts')).map((file) => file.slice('dist/'.length, -'.d.ts'.length));
      assert.deepEqual(types.sort(), ['changes', 'error', 'index', 'listing', 'migrate', 'options', 'store', 'types', 'values']);
    },

    async a_page_loads_eighty_kilobytes() {
      const files = ['dataknobs_kv.wasm', 'index.js'].map((file) => readFile(join(root, 'web/dist', file)));
      const sizes = (await Promise.all(files)).map((bytes) => brotliCompressSync(bytes).length);
      assert.ok(sizes[0] + sizes[1] <= 80_000, `by brotli: module ${sizes[0]}, script ${sizes[1]} bytes`);
    },

    async types_are_strict() {
      const folder = await project({
        'main.ts': `
import { KVStore, KvError, type Entry, migrateStore } from 'dataknobs-kv';
class Points extends KVStore {
  override serialize(value: unknown) { return super.serialize(value); }
}
await using store = await Points.open({ backend: 'memory', namespace: 'a' });
const points: Points = store;
const written = await points.set('k', { a: [1, 'x', null] }, { ttl: 5, metadata: { by: 'me' } });
if (written.written) { const version: string = written.version; console.log(version); } else console.log(written.current?.version);
const value: number | undefined = await store.get<number>('k');
const entry: Entry<string> | undefined = await store.entry<string>('k');
const keys: string[] = await store.keys('a.**');
for await (const key of store.keys()) key.toUpperCase();
const map: Map<string, number> = await store.getPattern<number>('a.*');
for await (const [key, one] of store.getPattern<number>('a.*')) console.log(key.length + one);
await migrateStore(store, points, { onProgress: ({ copied }) => console.log(copied + 1) });
const stop: () => void = store.subscribe('**', ({ type, key }) => console.log(type === 'set' ? key : ''));
try { await store.increment('k', 2n); } catch (error) { if (error instanceof KvError && error.code === 'overflow') stop(); }
// @ts-expect-error: undefined is no value
await store.set('k', undefined);
// @ts-expect-error: no such option
await store.set('k', 1, { tll: 5 });
await KVStore.open({ backend: 'http', url: new URL('https://kv.example.org'), token: 'secret', timeout: 5 });
// @ts-expect-error: no such backend
await KVStore.open({ backend: 'sqlite' });
// @ts-expect-error: stores are opened
new KVStore();
console.log(value, entry, keys, map);
`,
      });
      const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,esnext.disposable,dom,dom.iterable,dom.asynciterable', '--types', ''];
      for (const resolution of [['--module', 'nodenext'], ['--module', 'esnext', '--moduleResolution', 'bundler']]) {
        await run(bin('tsc'), [...options, ...resolution, 'main.ts'], { cwd: folder }).catch((error) => {
          throw new Error(error.stdout);
        });
      }
    },

    async every_exported_name_is_documented() {
      await run(process.execPath, [join(root, 'web/reference.mjs'), '--check']).catch((error) => {
        throw new Error(error.stdout + error.stderr);
      });
    },

    async publint_finds_nothing() {
      const folder = await project({});
      await run(bin('publint'), ['--strict', join(folder, 'node_modules/dataknobs-kv')]).catch((error) => {
        throw new Error(error.stdout + error.stderr);
      });
    },

    async are_the_types_wrong() {
      const { tarball } = (await project({}), await made);
      await run(bin('attw'), [tarball, '--profile', 'esm-only', '--exclude-entrypoints', 'dataknobs_kv.wasm', '--no-emoji', '--format', 'ascii']).catch((error) => {
        throw new Error(error.stdout + error.stderr);
      });
    },

    async node_with_memory() {
      const folder = await project({
        'main.js': `import { KVStore } from 'dataknobs-kv';
await using_();
async function using_() {
  const store = await KVStore.open({ backend: 'memory', autoCleanup: true });
  await store.set('k', { a: 1 });
  console.log(JSON.stringify(await store.get('k')));
  const refused = await KVStore.open().catch((error) => error.code);
  console.log(refused);
}`,
      });
      // It ends by itself: neither the timer nor a channel keeps it running.
      const { stdout } = await run(process.execPath, ['main.js'], { cwd: folder, timeout: 30_000 });
      assert.equal(stdout, '{"a":1}\nunsupported\n');
    },

    async node_over_http() {
      const folder = await project({
        'main.js': `import { KVStore } from 'dataknobs-kv';
const store = await KVStore.open({ backend: 'http', url: process.argv[2], token: 'secret', autoCleanup: true });
store.subscribe('k', ({ type, key }) => console.log(type, key));
await store.set('k', { a: 1 });
console.log(JSON.stringify(await store.get('k')), await store.keys());`,
      });
      const started = await service({ token: 'secret' });
      const { stdout } = await run(process.execPath, ['main.js', started.url], { cwd: folder, timeout: 30_000 });
      assert.equal(stdout, `set k\n{"a":1} [ 'k' ]\n`);
      await started.stop();
    },

    async a_plain_page_with_a_module_script() {
      const folder = await project({
        'index.html': `<!doctype html><meta charset="utf-8"><script type="importmap">{"imports":{"dataknobs-kv":"/node_modules/dataknobs-kv/dist/index.js"}}</script><script type="module">import { KVStore } from 'dataknobs-kv';${USE}</script>`,
      });
      assert.deepEqual(await served(folder), ANSWER);
    },

    async a_module_worker() {
      const folder = await project({
        'index.html': PAGE,
        'main.js': `const worker = new Worker('/worker.js', { type: 'module' }); worker.onmessage = ({ data }) => { globalThis.answer = data; };`,
        'worker.js': `import { KVStore } from '/node_modules/dataknobs-kv/dist/index.js';${USE} postMessage(globalThis.answer);`,
      });
      assert.deepEqual(await served(folder), ANSWER);
    },

    async a_fresh_vite_project_built() {
      const folder = await project({ 'index.html': PAGE, 'main.js': `import { KVStore } from 'dataknobs-kv';${USE}` });
      await symlink(join(root, 'node_modules/vite'), join(folder, 'node_modules/vite'));
      await run(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--target', 'es2022'], { cwd: folder });
      assert.ok((await readdir(join(folder, 'dist/assets'))).some((file) => file.endsWith('.wasm')));
      assert.deepEqual(await served(join(folder, 'dist')), ANSWER);
    },

    async a_fresh_vite_project_built_for_a_service() {
      const folder = await project({ 'index.html': PAGE, 'main.js': `import { KVStore } from 'dataknobs-kv';${USE_HTTP}` });
      await symlink(join(root, 'node_modules/vite'), join(folder, 'node_modules/vite'));
      await run(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--target', 'es2022'], { cwd: folder });
      assert.deepEqual(await servedBesideService(join(folder, 'dist')), ANSWER);
    },

    async a_fresh_vite_project_in_development() {
      const folder = await project({ 'index.html': PAGE, 'main.js': `import { KVStore } from 'dataknobs-kv';${USE}` });
      await symlink(join(root, 'node_modules/vite'), join(folder, 'node_modules/vite'));
      const { createServer } = await import('vite');
      const vite = await createServer({ root: folder, logLevel: 'silent', server: { host: '127.0.0.1', port: 0 } });
      await vite.listen();
      try {
        const { port } = vite.httpServer.address();
        assert.deepEqual(await answer(`http://127.0.0.1:${port}`), ANSWER);
      } finally {
        await vite.close();
      }
    },

    async a_fresh_esbuild_bundle() {
      const folder = await project({ 'index.html': PAGE, 'entry.js': `import { KVStore } from 'dataknobs-kv';${USE}` });
      await run(bin('esbuild'), ['entry.js', '--bundle', '--format=esm', '--splitting', '--outdir=out'], { cwd: folder });
      // esbuild leaves the .wasm where it was: the copy inside the code is used.
      const out = await readFile(join(folder, 'out/entry.js'), 'utf8');
      await writeFile(join(folder, 'out/index.html'), PAGE.replace('/main.js', '/entry.js'));
      assert.ok(out.includes('import.meta.url'));
      assert.deepEqual(await served(join(folder, 'out')), ANSWER);
    },

    async a_fresh_esbuild_bundle_for_a_service() {
      const folder = await project({ 'entry.js': `import { KVStore } from 'dataknobs-kv';${USE_HTTP}` });
      await run(bin('esbuild'), ['entry.js', '--bundle', '--format=esm', '--outdir=out'], { cwd: folder });
      await writeFile(join(folder, 'out/index.html'), PAGE.replace('/main.js', '/entry.js'));
      assert.deepEqual(await servedBesideService(join(folder, 'out')), ANSWER);
    },
  };
}
