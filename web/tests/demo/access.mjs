// Without a mouse, and for those who do not see the page: the keyboard, roles and names, contrast.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Explorer, fresh, probe, says, withPages } from './support.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong, in few words. */
export async function violations(page) {
  // Evaluated by the browser's debugger, which the page's policy does not bind.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary})`).join('; ')}`);
}

/** In light and in dark, once the marks of what changed are gone. */
async function bothWays(page, what) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.waitForFunction(() => document.getAnimations().length === 0);
    assert.deepEqual(await violations(page), [], `${what}, ${colorScheme}`);
  }
}

export const access = ({ browser, url }) => ({
  the_tree_is_walked_by_keys_alone: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.setMany({ 'app.a': 1, 'app.b.c': 2, 'app.b.d': 3, 'apple': 4, 'zoo': 5 }));
      const explorer = await Explorer.open(open, url, namespace);
      const { keyboard } = explorer.page;
      const at = async (name) => says(explorer.page.locator('.row:focus .name').first(), name);
      await explorer.page.locator('#pattern').focus();
      // One tab stop for the whole tree.
      await keyboard.press('Tab');
      await at('app');
      await keyboard.press('ArrowRight');
      await explorer.item('a').waitFor();
      await keyboard.press('ArrowRight');
      await at('a');
      await keyboard.press('ArrowDown');
      await at('b');
      await keyboard.press('ArrowRight');
      await explorer.item('c').waitFor();
      await keyboard.press('ArrowDown');
      await at('c');
      await keyboard.press('ArrowLeft');
      await at('b');
      await keyboard.press('ArrowLeft');
      assert.equal(await explorer.item('c').isVisible(), false);
      await keyboard.press('End');
      await at('zoo');
      await keyboard.press('ArrowDown');
      await at('zoo');
      await keyboard.press('Home');
      await at('app');
      await keyboard.type('appl');
      await at('apple');
      await keyboard.press('ArrowUp');
      await at('b');
      await keyboard.press('*');
      await explorer.item('d').waitFor();
      await keyboard.press('End');
      await keyboard.press('Enter');
      await explorer.shows('zoo');
      assert.equal(await explorer.item('zoo').getAttribute('aria-selected'), 'true');
      await at('zoo');

      // A value is edited and saved, an entry made and deleted, that undone.
      await keyboard.press('Alt+v');
      await keyboard.press('Control+a');
      await keyboard.type('6');
      await keyboard.press('Control+s');
      await says(explorer.toast.locator('span'), 'Saved');
      assert.equal(await look((store) => store.get('zoo')), 6);
      await keyboard.press('Alt+n');
      await keyboard.type('zulu');
      await keyboard.press('Enter');
      await explorer.item('zulu').waitFor();
      await keyboard.press('Alt+t');
      await keyboard.press('End');
      await at('zulu');
      await keyboard.press('Delete');
      await explorer.item('zulu').waitFor({ state: 'detached' });
      // The focus stays in the tree, at the neighbour.
      await at('zoo');
      assert.equal(await look((store) => store.exists('zulu')), false);
      await explorer.toast.getByRole('button', { name: 'Undo' }).focus();
      await keyboard.press('Enter');
      await explorer.shows('zulu');

      await explorer.page.locator('body').press('?');
      await explorer.dialog.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor();
      await keyboard.press('Escape');
      await explorer.dialog.waitFor({ state: 'detached' });
      await keyboard.press('/');
      await keyboard.type('app.**');
      await says(explorer.found, '3 keys');
      await keyboard.press('ArrowDown');
      await keyboard.press('ArrowDown');
      await keyboard.press('Enter');
      await explorer.shows('app.b.c');
    }),

  focus_survives_what_others_do: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.setMany({ b: 1, d: 2, f: 3 }));
      const explorer = await Explorer.open(open, url, namespace);
      await explorer.item('d').focus();
      await look((store) => store.setMany({ a: 1, c: 2, e: 3 }));
      await explorer.item('e').waitFor();
      assert.equal(await explorer.focused(), 'd');
      await look((store) => store.delete('d'));
      await explorer.item('d').waitFor({ state: 'detached' });
      assert.equal(await explorer.focused(), 'e');
    }),

  axe_finds_nothing_in_an_entry: () =>
    withPages(browser, async (open) => {
      const explorer = await Explorer.open(open, url, fresh());
      await bothWays(explorer.page, 'empty');
      await explorer.button('Add sample data').click();
      await explorer.item('users group').click();
      await explorer.item('ada group').click();
      await explorer.item('avatar').click();
      await explorer.shows('users.ada.avatar');
      await bothWays(explorer.page, 'an entry');
    }),

  axe_finds_nothing_in_a_conflict: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.set('session', { user: 'ada' }, { ttl: 600 }));
      const explorer = await Explorer.open(open, url, namespace, 'session');
      await explorer.shows('session');
      await explorer.value.fill('{"user":');
      await look((store) => store.set('session', 'theirs'));
      await explorer.conflict.waitFor();
      await bothWays(explorer.page, 'a conflict');
    }),

  axe_finds_nothing_in_what_matches_and_in_questions: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.setMany({ 'users.a': 1, 'users.b': 2 }));
      const explorer = await Explorer.open(open, url, namespace);
      const { page } = explorer;
      await explorer.pattern.fill('users.**');
      await says(explorer.found, '2 keys');
      await bothWays(page, 'a pattern');
      await explorer.button('Delete all that match…').click();
      await explorer.dialog.waitFor();
      await bothWays(page, 'a question');
      await page.keyboard.press('Escape');
      await explorer.button('New entry').click();
      await bothWays(page, 'a new entry');
    }),

  axe_finds_nothing_on_a_phone: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.set('users.ada', 'x', { ttl: 600, metadata: { a: 1 } }));
      const explorer = await Explorer.open(open, url, namespace);
      const { page } = explorer;
      await page.setViewportSize({ width: 390, height: 800 });
      await bothWays(page, 'keys');
      await page.goto(`${url}/#${namespace}/users.ada`);
      await explorer.shows('users.ada');
      await bothWays(page, 'an entry');
    }),

  a_phone_shows_the_keys_or_the_entry: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      const long = `long.${'segment-without-an-end-'.repeat(12)}.${'x'.repeat(150)}`;
      await look((store, long) => store.set(long, 'y'.repeat(5000)), long);
      const explorer = await Explorer.open(open, url, namespace);
      const { page } = explorer;
      await page.setViewportSize({ width: 360, height: 740 });
      await page.goto(`${url}/#${namespace}/${long}`);
      await explorer.shows(long);
      assert.equal(await explorer.tree.isVisible(), false);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
      assert.equal(await page.evaluate(() => document.querySelector('.entry-content').scrollWidth > document.querySelector('.entry-content').clientWidth), false);
      await explorer.button('‹ Keys').click();
      await explorer.tree.waitFor();
      assert.equal(await explorer.entry.isVisible(), false);
      assert.equal(await page.evaluate(() => document.querySelector('#browse').scrollWidth > document.querySelector('#browse').clientWidth), false);
    }),
});
