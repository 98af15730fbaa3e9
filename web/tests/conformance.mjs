// The suite over IndexedDB in a window, a dedicated worker and a shared worker, case by case; lines as libtest prints them.
import { join } from 'node:path';
import { launch } from './support/browser.mjs';
import { serve } from './support/server.mjs';

const here = import.meta.dirname;
const kinds = ['window', 'worker', 'shared-worker'];
/** No case takes so long unless it hangs. */
const DEADLINE = 120_000;

const only = process.argv[2];
const server = await serve({
  '/pages/': join(here, 'pages'),
  '/conformance/': process.env.KV_WEB_CONFORMANCE ?? join(here, '..', 'dist-conformance'),
});
const browser = await launch();

async function open() {
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

async function suite(kind) {
  const name = `indexeddb-${kind}`;
  const lines = [];
  let page = await open();
  const ask = (question) =>
    within(page.evaluate(([kind, question]) => globalThis.ask(kind, question), [kind, { database: name, ...question }]));
  const { cases, failed: broken } = await ask({ ask: 'cases' });
  if (broken) throw new Error(`${name}: ${broken}`);
  const wanted = cases.map(([path, reason, clauses], index) => ({ path, reason, clauses, index }));
  const chosen = only === undefined ? wanted : wanted.filter(({ path }) => path.includes(only));
  lines.push(`${name}: ${chosen.filter(({ reason }) => !reason).length} cases of ${chosen.length}`);
  const counts = { passed: 0, failed: 0, ignored: 0 };
  const failures = [];
  const began = performance.now();
  for (const { path, reason, clauses, index } of chosen) {
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
      page = await open();
    }
  }
  await page.close();
  const seconds = ((performance.now() - began) / 1000).toFixed(2);
  lines.push(...failures);
  lines.push(
    `test result: ${counts.failed ? 'FAILED' : 'ok'}. ${counts.passed} passed; ${counts.failed} failed; ` +
      `${counts.ignored} ignored; 0 measured; 0 filtered out; finished in ${seconds}s\n`,
  );
  return { lines, failed: counts.failed };
}

let failed = 0;
try {
  const wanted = process.env.KV_TEST_KINDS?.split(',') ?? kinds;
  for (const result of await Promise.all(wanted.map(suite))) {
    console.log(result.lines.join('\n'));
    failed += result.failed;
  }
} finally {
  await browser.close();
  await server.close();
}
process.exitCode = failed ? 1 : 0;
