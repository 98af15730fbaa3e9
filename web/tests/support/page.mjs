// Pages with the package in them.
import { join } from 'node:path';

const web = join(import.meta.dirname, '../..');

/** What pages are served from; each test says what `/` is. */
export const FOLDERS = {
  '/pages/': join(web, 'tests/pages'),
  '/dist/': join(web, 'dist'),
  '/api/': join(web, 'tests/api'),
  '/support/': join(web, 'tests/support'),
};

/** A page of `pages/index.html`: it has the package and the API's scenarios. In either browser. */
export async function loaded(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => globalThis.KVStore !== undefined);
  return page;
}
