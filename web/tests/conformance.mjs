// The suite over IndexedDB in a window, a dedicated worker and a shared worker, and over memory in a window, case by case;
// lines as libtest prints them.
import { join } from 'node:path';
import { build } from 'esbuild';
import * as chromium from './support/browser.mjs';
import { chosen, result } from './support/report.mjs';
import { serve } from './support/server.mjs';

const here = import.meta.dirname;
const kinds = ['window', 'worker', 'shared-worker', 'memory'];

/** No case takes so long unless it hangs. */
const DEADLINE = 120_000;

async function open({ browser, server }) {
  const page = await browser.context.newPage();
  page.on('console', (message) => {
    if (process.env.KV_TEST_VERBOSE) console.error(message.text());
  });
  await page.goto(`${server.url}/pages/conformance.html`);
  await page.waitForFunction(() => globalThis.ask !== undefined);
  return page;
}

const within = (promise) => {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ failed: `still running after ${DEADLINE / 1000} s` }), DEADLINE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

async function suite(kind, place) {
  const memory = kind === 'memory';
  const name = memory ? `memory${place.suffix}` : `indexeddb${place.suffix}-${kind}`;
  const where = memory ? 'window' : kind;
  const lines = [];
  let page = await open(place);
  const ask = (question) =>
    within(page.evaluate(([kind, question]) => globalThis.ask(kind, question), [where, { database: name, ...question }]));
  const { cases, failed: broken } = await ask({ ask: 'cases' });
  if (broken) throw new Error(`${name}: ${broken}`);
  const wanted = cases.map(([path, reason, clauses], index) => ({ path, reason, clauses, index }));
  const some = wanted.filter(({ path }) => chosen(`${name}::${path}`));
  lines.push(`     Running tests/${name} (web/${name}-0)\n`);
  lines.push(`${name}: ${some.filter(({ reason }) => !reason).length} cases of ${some.length}`);
  const counts = { passed: 0, failed: 0, ignored: 0 };
  const failures = [];
  const began = performance.now();
  for (const { path, reason, clauses, index } of some) {
    if (reason) {
      counts.ignored += 1;
      lines.push(`test ${name}::${path} ... ignored (${reason})`);
      continue;
    }
    const start = performance.now();
    const { failed } = await ask({ ask: 'run', index }).catch((error) => ({ failed: String(error) }));
    if (process.env.KV_TEST_VERBOSE) console.error(`${name} ${path} ${Math.round(performance.now() - start)} ms`);
    counts[failed ? 'failed' : 'passed'] += 1;
    lines.push(`test ${name}::${path} ... ${failed ? 'FAILED' : 'ok'}`);
    if (failed) {
      failures.push(`---- ${name}::${path} ----\n${failed}\n(clauses ${clauses})\n`);
      // A panic leaves nothing that could go on.
      await page.close();
      page = await open(place);
    }
  }
  await page.close();
  const seconds = ((performance.now() - began) / 1000).toFixed(2);
  return { lines: [...lines, ...failures], counts, seconds };
}

/** Runs them all: each kind of place with a database of its own, at the same time. In Chromium, or where `launch` says. */
export async function conformance(suffix = '', launch = chromium.launch) {
  const folder = process.env.KV_WEB_CONFORMANCE;
  if (folder === undefined) throw new Error('KV_WEB_CONFORMANCE names no folder: cargo xtask web test');
  await build({
    entryPoints: [join(here, '../js/indexed_db/adapter.ts')],
    outfile: join(folder, 'adapter.js'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    alias: { '#memory': join(here, '../js/indexed_db/memory.ts') },
  });
  const server = await serve({ '/pages/': join(here, 'pages'), '/conformance/': folder });
  const browser = await launch();
  try {
    for (const { lines, counts, seconds } of await Promise.all(kinds.map((kind) => suite(kind, { suffix, browser, server })))) {
      if (counts.passed + counts.failed + counts.ignored === 0) continue;
      console.log(lines.join('\n'));
      result(counts, seconds);
    }
  } finally {
    await browser.close();
    await server.close();
  }
}
