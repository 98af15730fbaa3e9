// All tests of the package: `cargo xtask web test [NAME]` builds what they need and calls this.
import { join } from 'node:path';
import * as package_ from '../dist/index.js';
import { scenarios } from './api/all.js';
import { conformance } from './conformance.mjs';
import { http } from './browser/http.mjs';
import { demo } from './demo/all.mjs';
import { overService } from './demo/service.mjs';
import { serveExplorer } from './demo/support.mjs';
import { several } from './browser/several.mjs';
import { shipped } from './browser/shipped.mjs';
import { launch } from './support/browser.mjs';
import { choose, finish, suite } from './support/report.mjs';
import { serve } from './support/server.mjs';
import { service } from './support/service.mjs';

const here = import.meta.dirname;
choose(process.argv[2]);

await suite('api-node-memory', scenarios(package_, 'memory'));
await suite('api-http-node', scenarios(package_, 'http', () => service()));

// As strict as a site may be: no eval, WebAssembly only, nothing from elsewhere but what services of this machine answer.
const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' http://127.0.0.1:*; worker-src 'self'";
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
  const services = new Map();
  await page.exposeFunction('startService', async () => {
    const started = await service({ origin: server.url });
    const id = crypto.randomUUID();
    services.set(id, started);
    return { id, url: started.url };
  });
  await page.exposeFunction('moveClock', (id, seconds) => services.get(id).ahead(seconds));
  await page.exposeFunction('stopService', (id) => services.get(id).stop());
  const overHttp = {};
  for (const name of names) {
    overHttp[name] = async () => {
      const failed = await page.evaluate((name) => globalThis.runScenario('window', name, 'http'), name);
      if (failed) throw new Error(failed);
    };
  }
  await suite('api-http-window', overHttp);
  await page.close();
  await suite('http', http({ browser, url: server.url }));
  await suite('browser', several({ browser, url: server.url }));
  await suite('package', shipped({ browser }));
  const explorer = await serveExplorer();
  try {
    await suite('demo-indexeddb', demo({ browser, url: explorer.url }));
    await suite('demo-service', overService({ browser }));
  } finally {
    await explorer.close();
  }
} finally {
  await browser.close();
  await server.close();
}
await conformance();
finish();
