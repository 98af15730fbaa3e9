// The explorer in a page, as people use it; and the store behind it, looked at past the page.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { FOLDERS } from '../support/page.mjs';
import { serve } from '../support/server.mjs';

/** What the service sends with the page, word for word. */
export const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The explorer's files, and the package for looking at the store. */
export const serveExplorer = () =>
  serve(
    { ...FOLDERS, '/': join(import.meta.dirname, '../../demo/dist') },
    { 'content-security-policy': POLICY },
  );

/** A namespace of its own for each test. */
export const fresh = () => `test-${crypto.randomUUID().slice(0, 8)}`;

/** Runs with pages that are closed afterwards; whatever they complain of fails the test. */
export async function withPages(browser, run) {
  const pages = [];
  const complaints = [];
  const open = async (url) => {
    const page = await browser.context.newPage();
    pages.push(page);
    page.setDefaultTimeout(40_000);
    page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
    page.on('console', (message) => {
      // The browser asks for an icon of pages that name none.
      if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) complaints.push(message.text());
    });
    await page.goto(url);
    return page;
  };
  try {
    await run(open, complaints);
  } finally {
    await Promise.all(pages.map((page) => page.close({ runBeforeUnload: false })));
  }
  assert.deepEqual(complaints, []);
}

/** The explorer on a namespace, and its parts by what they are to people. */
export class Explorer {
  constructor(page) {
    this.page = page;
    this.tree = page.getByRole('tree');
    this.entry = page.locator('#entry');
    this.log = page.getByRole('log');
    this.value = this.entry.getByLabel('Value', { exact: true });
    this.save = this.entry.getByRole('button', { name: 'Save', exact: true });
    this.pattern = page.getByLabel('Pattern', { exact: true });
    this.found = page.locator('#found');
    this.dialog = page.getByRole('dialog');
    this.toast = page.locator('.toast');
    this.conflict = this.entry.getByRole('alert').filter({ hasText: 'Changed elsewhere' });
  }

  static async open(open, url, namespace, key) {
    const page = await open(`${url}/#${encodeURIComponent(namespace)}${key === undefined ? '' : `/${encodeURIComponent(key)}`}`);
    const explorer = new Explorer(page);
    await page.locator('body[data-ready]').waitFor();
    return explorer;
  }

  item(name) {
    return this.tree.getByRole('treeitem', { name, exact: true });
  }

  option(key) {
    return this.page.getByRole('option').filter({ hasText: key });
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  /** Until it shows this entry. */
  shows(key) {
    return this.entry.getByRole('heading', { level: 2, name: key, exact: true }).waitFor();
  }

  /** Where the focus is, as a screen reader tells it. */
  focused() {
    return this.page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent);
  }
}

/** Waits until the text of what is found is this. */
export async function says(locator, expected) {
  const deadline = Date.now() + 40_000;
  for (;;) {
    const text = (await locator.textContent())?.trim();
    if (expected instanceof RegExp ? expected.test(text) : text === expected) return text;
    if (Date.now() > deadline) assert.fail(`expected ${expected}, got ${JSON.stringify(text)}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

/** A tab that uses the package itself, without the explorer. `run` gets the store and the argument. */
export async function probe(open, url, namespace, { silent = false } = {}) {
  const page = await open(`${url}/pages/index.html`);
  await page.waitForFunction(() => globalThis.KVStore !== undefined);
  await page.evaluate(
    async ({ namespace, silent }) => {
      // As if the message to other tabs were late.
      if (silent) BroadcastChannel.prototype.postMessage = () => {};
      globalThis.store = await KVStore.open({ namespace });
    },
    { namespace, silent },
  );
  return (run, argument) => page.evaluate(`(${run})(store, ${JSON.stringify(argument)})`);
}
