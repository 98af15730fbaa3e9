// Several tabs: each sees what the others do, and none overwrites it without knowing.
import assert from 'node:assert/strict';
import { Explorer, fresh, probe, says, withPages } from './support.mjs';

export const tabs = ({ browser, url }) => ({
  two_tabs_see_each_others_changes: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const one = await Explorer.open(open, url, namespace);
      const two = await Explorer.open(open, url, namespace);
      await one.button('New entry').click();
      await one.dialog.getByLabel('Key', { exact: true }).fill('greeting');
      await one.dialog.getByLabel('Value', { exact: true }).fill('hello');
      await one.dialog.getByRole('button', { name: 'Create' }).click();
      await two.item('greeting').click();
      await two.shows('greeting');
      assert.equal(await two.value.inputValue(), 'hello');
      await says(two.log.locator('li').first(), /Set greetingelsewhere/);
      await says(one.log.locator('li').first(), /Set greetinghere/);

      // What is shown follows; where something changed is marked, and the other tab's marks differ from one's own.
      const marks = (explorer) =>
        explorer.page.evaluate(() => {
          globalThis.marks = new Set();
          new MutationObserver((all) => {
            for (const { target } of all) for (const name of target.classList) if (name.startsWith('changed-')) marks.add(name);
          }).observe(document.querySelector('[role="tree"]'), { subtree: true, attributeFilter: ['class'] });
        });
      await Promise.all([marks(one), marks(two)]);
      await two.value.fill('hello again');
      await two.page.keyboard.press('Control+s');
      await one.page.waitForFunction(() => document.querySelector('#entry textarea')?.value === 'hello again');
      await one.page.waitForFunction(() => marks.has('changed-elsewhere') && !marks.has('changed-here'));
      await two.page.waitForFunction(() => marks.has('changed-here') && !marks.has('changed-elsewhere'));

      await one.button('Delete').click();
      await two.entry.getByText('There is no such entry').waitFor();
      await two.page.getByText('Nothing here yet').waitFor();
      await says(two.log.locator('li').first(), /Deleted greetingelsewhere/);
    }),

  a_change_during_editing_is_shown_and_kept: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.set('note', 'first'));
      const explorer = await Explorer.open(open, url, namespace, 'note');
      await explorer.shows('note');
      await explorer.value.fill('mine');
      await look((store) => store.set('note', 'theirs'));
      await explorer.conflict.filter({ hasText: 'theirs' }).waitFor();
      assert.equal(await explorer.value.inputValue(), 'mine');
      await explorer.button('Take theirs').click();
      await explorer.conflict.waitFor({ state: 'hidden' });
      assert.equal(await explorer.value.inputValue(), 'theirs');

      await explorer.value.fill('mine after all');
      await look((store) => store.set('note', 'theirs again'));
      await explorer.conflict.filter({ hasText: 'theirs again' }).waitFor();
      await explorer.button('Go on with mine').click();
      await explorer.save.click();
      await says(explorer.toast.locator('span'), 'Saved');
      assert.equal(await look((store) => store.get('note')), 'mine after all');

      await explorer.value.fill('kept');
      await look((store) => store.delete('note'));
      await explorer.conflict.filter({ hasText: 'deleted' }).waitFor();
      await explorer.button('Go on with mine').click();
      await explorer.save.click();
      await explorer.page.waitForFunction(() => document.querySelector('#entry .dirty') === null);
      assert.equal(await look((store) => store.get('note')), 'kept');
    }),

  a_change_that_nobody_told_of_is_not_overwritten: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace, { silent: true });
      await look((store) => store.set('note', 'first'));
      const explorer = await Explorer.open(open, url, namespace, 'note');
      await explorer.shows('note');
      await look((store) => store.set('note', 'theirs'));
      await explorer.value.fill('mine');
      await explorer.save.click();
      await explorer.conflict.filter({ hasText: 'theirs' }).waitFor();
      assert.equal(await look((store) => store.get('note')), 'theirs');
      // Nor is what was deleted without looking at it, or what came to be where there was nothing.
      await explorer.button('Take theirs').click();
      await look((store) => store.set('note', 'newer'));
      await explorer.button('Delete').click();
      await explorer.toast.filter({ hasText: 'still there' }).waitFor();
      assert.equal(await look((store) => store.get('note')), 'newer');
    }),

  many_changes_at_once_are_one_line: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const explorer = await Explorer.open(open, url, namespace);
      const look = await probe(open, url, namespace);
      await look((store) => store.setMany(Array.from({ length: 3000 }, (_, at) => [`n.${at}`, at])));
      await says(explorer.log.locator('li').first(), /3,000 entries setelsewhere/);
      await explorer.item('n group').click();
      await explorer.tree.getByText('Show 200 more').click();
      await explorer.page.waitForFunction(() => document.querySelectorAll('[role="treeitem"]').length === 402);
      await look((store) => store.clear());
      await explorer.page.getByText('Nothing here yet').waitFor();
    }),
});
