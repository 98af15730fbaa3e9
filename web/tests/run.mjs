// All tests of the package: `cargo xtask web test [NAME]` builds what they need and calls this.
import { join } from 'node:path';
import * as package_ from '../dist/index.js';
import { scenarios } from './api/all.js';
import { conformance } from './conformance.mjs';
import { several } from './browser/several.mjs';
import { shipped } from './browser/shipped.mjs';
import { launch } from './support/browser.mjs';
import { choose, finish, suite } from './support/report.mjs';
import { serve } from './support/server.mjs';

const here = import.meta.dirname;
choose(process.argv[2]);

await suite('api-node-memory', scenarios(package_, 'memory'));

// As strict as a site may be: no eval, nothing from elsewhere, WebAssembly only.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'";
const server = await serve(
  { '/': join(here, 'pages'), '/pages/': join(here, 'pages'), '/dist/': join(here, '../dist'), '/api/': join(here, 'api'), '/support/': join(here, 'support') },
  { 'content-security-policy': policy },
);
const browser = await launch();
try {
  const page = await browser.context.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => globalThis.names !== undefined);
  const names = await page.evaluate(() => globalThis.names);
  for (const place of ['window', 'worker']) {
    const tests = {};
    for (const name of names) {
      tests[name] = async () => {
        const failed = await page.evaluate(([place, name]) => globalThis.runScenario(place, name), [place, name]);
        if (failed) throw new Error(failed);
      };
    }
    await suite(`api-indexeddb-${place}`, tests);
  }
  await page.close();
  await suite('browser', several({ browser, url: server.url }));
  await suite('package', shipped({ browser }));
} finally {
  await browser.close();
  await server.close();
}
await conformance();
finish();
