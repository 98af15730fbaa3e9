// All tests of the package: `cargo xtask web test [NAME]` builds what they need and calls this.
import * as package_ from '../dist/index.js';
import { scenarios } from './api/all.js';
import { conformance } from './conformance.mjs';
import { cache } from './browser/cache.mjs';
import { http } from './browser/http.mjs';
import { demo } from './demo/all.mjs';
import { overService } from './demo/service.mjs';
import { serveExplorer } from './demo/support.mjs';
import { several } from './browser/several.mjs';
import { shipped } from './browser/shipped.mjs';
import { launch } from './support/browser.mjs';
import * as firefox from './support/firefox.mjs';
import { FOLDERS, loaded } from './support/page.mjs';
import { choose, finish, suite } from './support/report.mjs';
import { serve } from './support/server.mjs';
import { service } from './support/service.mjs';

choose(process.argv[2]);

/** The API's scenarios in a window or in a worker of a page. */
async function scenariosIn(page, place, backend) {
  const names = await page.evaluate(() => globalThis.names);
  const run = async (name) => {
    const failed = await page.evaluate((question) => globalThis.runScenario(...question), [place, name, backend]);
    if (failed) throw new Error(failed);
  };
  return Object.fromEntries(names.map((name) => [name, () => run(name)]));
}

async function inFirefox(server) {
  if (!firefox.program) {
    return suite('firefox', { all_of_it: process.env.KV_TEST_NO_FIREFOX ?? 'KV_TEST_FIREFOX names none' });
  }
  const browser = await firefox.launch();
  try {
    const page = await loaded(browser.context, server.url);
    for (const place of ['window', 'worker']) {
      await suite(`api-indexeddb-firefox-${place}`, await scenariosIn(page, place, 'indexeddb'));
    }
  } finally {
    await browser.close();
  }
}

await suite('api-node-memory', scenarios(package_, 'memory'));
await suite('api-memory-cached-node', scenarios(package_, 'memory', undefined, { cache: 'memory' }));
await suite('api-http-node', scenarios(package_, 'http', () => service()));
await suite('api-http-cached-node', scenarios(package_, 'http', () => service(), { cache: 'memory' }));
await suite('cache', cache());

// As strict as a site may be: no eval, WebAssembly only, nothing from elsewhere but what services of this machine answer.
const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' http://127.0.0.1:*; worker-src 'self'";
const server = await serve(
  { ...FOLDERS, '/': FOLDERS['/pages/'] },
  { 'content-security-policy': policy },
);
const browser = await launch();
try {
  const page = await loaded(browser.context, server.url);
  for (const place of ['window', 'worker']) {
    await suite(`api-indexeddb-${place}`, await scenariosIn(page, place, 'indexeddb'));
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
  await suite('api-http-window', await scenariosIn(page, 'window', 'http'));
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
  await inFirefox(server);
} finally {
  await browser.close();
  await server.close();
}
await conformance();
if (firefox.program) await conformance('-firefox', firefox.launch);
finish();
