// Entries: made, edited, renamed, deleted; and when they expire.
import assert from 'node:assert/strict';
import { Explorer, fresh, probe, says, withPages } from './support.mjs';

export const entries = ({ browser, url }) => ({
  an_entry_is_created_and_edited: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const explorer = await Explorer.open(open, url, namespace);
      await explorer.page.getByText('Nothing here yet').waitFor();
      await explorer.button('New entry').click();
      const { dialog } = explorer;
      await dialog.getByLabel('Key', { exact: true }).fill('app.config');
      await dialog.getByLabel('Type', { exact: true }).selectOption('JSON');
      await dialog.getByLabel('Value', { exact: true }).fill('{"a":');
      await dialog.getByRole('button', { name: 'Create' }).click();
      await dialog.getByRole('alert').filter({ hasText: 'not JSON yet' }).waitFor();
      await dialog.getByLabel('Value', { exact: true }).fill('{"a":1}');
      await dialog.getByLabel('Time to live').fill('5');
      await dialog.getByRole('button', { name: 'Create' }).click();
      await explorer.shows('app.config');
      await explorer.item('config').waitFor();
      await says(explorer.entry.getByRole('timer'), /^Expires in (5 min|4 min 59 s)$/);
      const look = await probe(open, url, namespace);
      assert.deepEqual(await look((store) => store.get('app.config')), { a: 1 });

      // Value, metadata and content type at once; the expiry stays.
      const metadata = explorer.entry.getByLabel('Metadata');
      await explorer.value.fill('{"a":2');
      await metadata.fill('[]');
      await explorer.save.click();
      assert.equal(await explorer.value.getAttribute('aria-invalid'), 'true');
      assert.equal(await metadata.getAttribute('aria-invalid'), 'true');
      assert.deepEqual(await look((store) => store.get('app.config')), { a: 1 });
      await explorer.value.fill('{"a":2}');
      await metadata.fill('{"owner":"me"}');
      await explorer.entry.getByLabel('Content type').fill('application/x+json');
      await explorer.save.click();
      await says(explorer.toast.locator('span'), 'Saved');
      const entry = await look(async (store) => {
        const { value, metadata, contentType, expiresAt } = await store.entry('app.config');
        return { value, metadata, contentType, expires: expiresAt !== undefined };
      });
      assert.deepEqual(entry, { value: { a: 2 }, metadata: { owner: 'me' }, contentType: 'application/x+json', expires: true });

      // A second one of the same name is refused.
      await explorer.button('New entry').click();
      await dialog.getByLabel('Key', { exact: true }).fill('app.config');
      await dialog.getByRole('button', { name: 'Create' }).click();
      await dialog.getByRole('alert').filter({ hasText: 'already' }).waitFor();
      await explorer.page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
    }),

  every_type_is_kept: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look(async (store) => {
        await store.set('v', 'before');
        await store.set('json', { n: 1 });
        await store.set('file', new Blob(['abc'], { type: 'text/csv' }));
      });
      const explorer = await Explorer.open(open, url, namespace, 'v');
      await explorer.shows('v');
      const type = explorer.entry.getByLabel('Type', { exact: true });
      for (const [name, typed, type_, shown] of [
        ['Integer', '9007199254740993', 'bigint', '9007199254740993'],
        ['Number', '2.5', 'number', '2.5'],
        ['Bytes', '4f 4B00', 'Uint8Array', '79,75,0'],
        ['Date', '2030-01-31T12:00:00Z', 'Date', '2030-01-31T12:00:00.000Z'],
        ['Text', 'two\nlines', 'string', 'two\nlines'],
        ['JSON', '[1.50]', 'Array', '1.5'],
        ['Null', undefined, 'null', 'null'],
        ['Boolean', undefined, 'boolean', 'true'],
      ]) {
        await type.selectOption(name);
        if (typed !== undefined) await explorer.value.fill(typed);
        await explorer.save.click();
        await explorer.entry.locator('dd').first().filter({ hasText: name }).waitFor();
        const found = await look(async (store) => {
          const value = await store.get('v');
          const type = value === null ? 'null' : typeof value === 'object' ? value.constructor.name : typeof value;
          return [type, value instanceof Date ? value.toISOString() : String(value)];
        });
        assert.deepEqual(found, [type_, shown], name);
      }
      // Wrong ones are told of, and not saved.
      for (const [name, typed] of [['Integer', '1.5'], ['Integer', '9223372036854775808'], ['Number', 'x'], ['Bytes', '4'], ['Date', 'soon']]) {
        await type.selectOption(name);
        await explorer.value.fill(typed);
        await explorer.save.click();
        assert.equal(await explorer.value.getAttribute('aria-invalid'), 'true', `${name} ${typed}`);
      }
      assert.equal(await look((store) => store.get('v')), true);
      await explorer.button('Discard').click();
      // What only its metadata were edited of keeps its bytes, whatever type it is.
      for (const key of ['json', 'file']) {
        const before = await look(async (store, key) => (await store.describe(key)).size, key);
        await explorer.item(key).click();
        await explorer.shows(key);
        await explorer.entry.getByLabel('Metadata').fill('{"seen":true}');
        await explorer.save.click();
        await says(explorer.toast.locator('span'), 'Saved');
        const after = await look(async (store, key) => {
          const { type, contentType, size, metadata } = await store.describe(key);
          return { type, contentType, size, metadata };
        }, key);
        const [type, contentType] = key === 'json' ? ['json', undefined] : ['custom:blob', 'text/csv'];
        assert.deepEqual(JSON.parse(JSON.stringify(after)), JSON.parse(JSON.stringify({ type, contentType, size: before, metadata: { seen: true } })));
        await explorer.toast.getByRole('button', { name: 'Dismiss' }).click();
      }
    }),

  the_countdown_runs_and_can_be_changed: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.set('session.1', 'x', { ttl: 3600 }));
      const explorer = await Explorer.open(open, url, namespace);
      await explorer.page.clock.install();
      await explorer.page.reload();
      await explorer.page.locator('body[data-ready]').waitFor();
      await explorer.item('session group').click();
      await explorer.item('1').click();
      const timer = explorer.entry.getByRole('timer');
      await says(timer, /^Expires in 59 min \d+ s$/);
      await explorer.entry.getByLabel('Time to live').fill('2');
      await explorer.entry.getByRole('button', { name: 'Set', exact: true }).click();
      await says(timer, /^Expires in (2 min|1 min 59 s)$/);
      await explorer.page.clock.fastForward(60_000);
      await says(timer, /^Expires in 5\d s$/);
      await explorer.button('Never expire').click();
      await says(timer, 'Never expires');
      assert.equal(await look((store) => store.ttl('session.1')), null);
      await explorer.entry.getByLabel('Time to live').fill('2');
      await explorer.entry.getByLabel('anew with each read').check();
      await explorer.entry.getByRole('button', { name: 'Set', exact: true }).click();
      await explorer.entry.getByText('2 min after the last read').waitFor();
      await explorer.page.clock.fastForward(121_000);
      await explorer.entry.getByText('There is no such entry').waitFor();
      await explorer.item('session group').waitFor({ state: 'detached' });
    }),

  counters_are_counted_in_one_step: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace, { silent: true });
      await look((store) => store.set('n', 40));
      const explorer = await Explorer.open(open, url, namespace, 'n');
      await explorer.shows('n');
      // What others add meanwhile is not lost.
      await look((store) => store.increment('n'));
      await explorer.button('Increment').click();
      await explorer.page.waitForFunction(() => [...document.querySelectorAll('#entry input')].some(({ value }) => value === '42'));
      await explorer.button('Decrement').click();
      await explorer.page.waitForFunction(() => [...document.querySelectorAll('#entry input')].some(({ value }) => value === '41'));
      assert.equal(await look((store) => store.get('n')), 41);
    }),

  an_entry_is_renamed_copied_and_deleted: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look(async (store) => {
        await store.set('a.one', 'text', { ttl: null, metadata: { ttl: 5, x: 1 }, contentType: 'text/x' });
        await store.set('a.two', 2);
        globalThis.seen = [];
        store.subscribe('b.*', ({ type, key }) => seen.push(`${type} ${key}`));
      });
      const explorer = await Explorer.open(open, url, namespace, 'a.one');
      await explorer.shows('a.one');
      await explorer.button('Rename…').click();
      const name = explorer.dialog.getByLabel('New key');
      await name.fill('a.two');
      await explorer.dialog.getByRole('button', { name: 'Rename' }).click();
      await explorer.dialog.getByRole('alert').filter({ hasText: 'already' }).waitFor();
      await name.fill('b.three');
      await explorer.dialog.getByRole('button', { name: 'Rename' }).click();
      await explorer.shows('b.three');
      await explorer.item('one').waitFor({ state: 'detached' });
      await explorer.button('Copy…').click();
      await explorer.dialog.getByLabel('Key of the copy').fill('b.four');
      await explorer.dialog.getByRole('button', { name: 'Copy' }).click();
      await explorer.shows('b.four');
      const describe = async (store, key) => {
        const { value, metadata, contentType, expiresAt } = await store.entry(key);
        return [value, metadata, contentType, expiresAt === undefined];
      };
      for (const key of ['b.three', 'b.four']) assert.deepEqual(await look(describe, key), ['text', { ttl: 5, x: 1 }, 'text/x', true]);
      await explorer.button('Delete').click();
      await explorer.item('four').waitFor({ state: 'detached' });
      assert.deepEqual(await look((store) => store.keys()), ['a.two', 'b.three']);
      await explorer.toast.getByRole('button', { name: 'Undo' }).click();
      await explorer.shows('b.four');
      assert.deepEqual(await look(describe, 'b.four'), ['text', { ttl: 5, x: 1 }, 'text/x', true]);
      // Each in one step.
      const told = await look(async () => {
        while (seen.length < 4) await new Promise((resolve) => setTimeout(resolve, 20));
        return seen;
      });
      assert.deepEqual(told, ['set b.three', 'set b.four', 'delete b.four', 'set b.four']);
    }),

  edits_are_given_up_on_purpose_only: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.setMany({ a: 'one', b: 'two' }));
      const explorer = await Explorer.open(open, url, namespace, 'a');
      await explorer.shows('a');
      await explorer.value.fill('mine');
      await explorer.item('b').click();
      await explorer.dialog.getByRole('button', { name: 'Cancel' }).click();
      await explorer.shows('a');
      assert.equal(await explorer.value.inputValue(), 'mine');
      await explorer.item('b').click();
      await explorer.dialog.getByRole('button', { name: 'Discard' }).click();
      await explorer.shows('b');
      assert.equal(await look((store) => store.get('a')), 'one');
    }),
});
