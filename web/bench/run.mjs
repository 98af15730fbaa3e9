// `cargo xtask bench web [NAME]`: one page load, rivals in turn; a table in Markdown.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { launch } from '../tests/support/browser.mjs';
import { serve } from '../tests/support/server.mjs';

const here = import.meta.dirname;
const folder = await mkdtemp(join(tmpdir(), 'kv-bench-'));
await build({
  entryPoints: [join(here, 'page.js')],
  outdir: folder,
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  external: ['./inline.js'],
  logLevel: 'error',
});
await copyFile(join(here, 'index.html'), join(folder, 'index.html'));
await copyFile(join(here, '../dist/dataknobs_kv.wasm'), join(folder, 'dataknobs_kv.wasm'));

const server = await serve({ '/': folder });
const browser = await launch();
try {
  const load = async () => {
    const page = await browser.context.newPage();
    page.on('console', (message) => console.error(message.text()));
    page.on('pageerror', (error) => console.error(String(error)));
    await page.goto(server.url);
    await page.waitForFunction(() => globalThis.ready);
    return page;
  };
  const firsts = [];
  for (let at = 0; at < 7; at += 1) {
    const fresh = await load();
    firsts.push(await fresh.evaluate(() => globalThis.first()));
    await fresh.close();
  }
  firsts.sort((a, b) => a - b);
  const page = await load();
  const rows = await page.evaluate((only) => globalThis.measure(only), process.argv[2]);
  console.log(`Chromium ${browser.context.browser()?.version() ?? ''}; medians in ms, and how long we take of what the other takes.\n`);
  console.log('| work | ours | against | theirs | ratio | must | aim |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const [what, times, limits] of rows) {
    for (const [rival, [must, aim]] of Object.entries(limits)) {
      const ratio = times.ours / times[rival];
      const told = ratio <= aim ? 'aim met' : ratio <= must ? 'met' : 'missed';
      console.log(
        `| ${what} | ${times.ours.toFixed(1)} | ${rival} | ${times[rival].toFixed(1)} | ${ratio.toFixed(2)} (${told}) | ${must} | ${aim} |`,
      );
    }
  }
  console.log(`\nFrom the first \`open\` of a page to its first \`get\`: ${firsts[firsts.length >> 1].toFixed(0)} ms (must: 60).`);
} finally {
  await browser.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
}
