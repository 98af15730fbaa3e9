// The pattern box, import and export.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Explorer, fresh, probe, says, withPages } from './support.mjs';

export const finding = ({ browser, url }) => ({
  a_pattern_finds_counts_and_pages: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.setMany(Array.from({ length: 250 }, (_, at) => [`n.${String(at).padStart(3, '0')}.x`, at])));
      const explorer = await Explorer.open(open, url, namespace);
      const options = explorer.page.getByRole('option');
      await explorer.pattern.fill('n.*.x');
      await says(explorer.found, '250 keys, 100 shown');
      assert.equal(await explorer.page.locator('#results').getByRole('option').count(), 100);
      await explorer.button('Show more').click();
      await says(explorer.found, '250 keys, 200 shown');
      await says(explorer.page.locator(':focus .name'), 'n.100.x');
      await explorer.button('Show more').click();
      await says(explorer.found, '250 keys');
      assert.equal(await explorer.button('Show more').isVisible(), false);
      await look((store) => store.set('n.250.x', 'new'));
      await says(explorer.found, '251 keys');
      await options.filter({ hasText: 'n.250.x' }).click();
      await explorer.shows('n.250.x');
      await explorer.pattern.fill('n.[');
      await explorer.page.locator('#pattern[aria-invalid="true"]').waitFor();
      await says(explorer.found, /pattern/i);
      await explorer.pattern.fill('nothing.**');
      await says(explorer.found, 'No key matches.');
      await explorer.pattern.press('Escape');
      await explorer.item('n group').waitFor();
      assert.equal(await explorer.page.getByRole('listbox', { name: 'Keys that match' }).isVisible(), false);
    }),

  all_that_match_are_deleted_after_a_look_at_their_number: () =>
    withPages(browser, async (open) => {
      const namespace = fresh();
      const look = await probe(open, url, namespace);
      await look((store) => store.setMany({ 'tmp.a': 1, 'tmp.b': 2, kept: 3 }));
      const explorer = await Explorer.open(open, url, namespace);
      await explorer.pattern.fill('tmp.*');
      await says(explorer.found, '2 keys');
      await explorer.button('Delete all that match…').click();
      await explorer.dialog.getByRole('heading', { name: 'Delete 2 entries?' }).waitFor();
      await explorer.dialog.getByRole('button', { name: 'Cancel' }).click();
      assert.equal(await look((store) => store.count()), 3);
      await explorer.button('Delete all that match…').click();
      await explorer.dialog.getByRole('button', { name: 'Delete 2' }).click();
      await says(explorer.toast.locator('span'), '2 entries deleted');
      assert.deepEqual(await look((store) => store.keys()), ['kept']);
    }),

  what_is_exported_is_imported_as_it_was: () =>
    withPages(browser, async (open) => {
      const [from, to] = [fresh(), fresh()];
      const look = await probe(open, url, from);
      await look(async (store) => {
        await store.set('text', 'ünï "quoted"\n', { metadata: { a: [1] }, contentType: 'text/x', ttl: 3600 });
        await store.set('big', 9007199254740993n);
        await store.set('small', -5);
        await store.set('number', 1e21);
        await store.set('zero', -0);
        await store.set('yes', true);
        await store.set('null', null);
        await store.set('json', { 'value': '"value":[', n: 1.5 });
        await store.set('date', new Date('2030-01-31T12:00:00.123Z'));
        await store.set('bytes', new Uint8Array([0, 255, 128]));
        await store.set('blob', new Blob(['abc'], { type: 'text/csv' }));
        await store.set('sliding', 1, { ttl: 600, sliding: true });
        await store.set('hint', 'h');
        await store.setMetadata('hint', { ttl: 7 });
      });
      const explorer = await Explorer.open(open, url, from);
      const [download] = await Promise.all([explorer.page.waitForEvent('download'), explorer.button('Export').click()]);
      assert.equal(download.suggestedFilename(), `${from}.jsonl`);
      const path = await download.path();
      const text = await readFile(path, 'utf8');
      assert.equal(text.trim().split('\n').length, 13);
      assert.match(text, /"key":"big","version":"[^"]+","type":"integer","value":9007199254740993,/);

      const other = await Explorer.open(open, url, to);
      await other.page.locator('#file').setInputFiles({ name: 'all.jsonl', mimeType: 'application/x-ndjson', buffer: Buffer.from(text) });
      await other.dialog.getByRole('heading', { name: 'Import 13 entries?' }).waitFor();
      await other.dialog.getByRole('button', { name: 'Import' }).click();
      await says(other.toast.locator('span'), '13 entries imported');
      const all = async (store, namespace) => {
        const own = await KVStore.open({ namespace });
        const entries = [];
        for await (const { key, type, value, metadata, contentType, expiresAt, slidingMs, size } of own.entries()) {
          const shown = value instanceof Blob ? await value.text() : Object.is(value, -0) ? '-0' : value instanceof Date ? value.toISOString() : value;
          entries.push([key, type, typeof shown === 'object' ? JSON.stringify(shown) : String(shown), metadata, contentType, slidingMs ?? expiresAt?.getTime(), slidingMs, size]);
        }
        await own.close();
        return JSON.stringify(entries);
      };
      assert.equal(await look(all, to), await look(all, from));

      // Those that are there stay where that is asked for; a line that is wrong changes nothing.
      const file = (lines) => ({ name: 'some.jsonl', mimeType: 'application/x-ndjson', buffer: Buffer.from(lines.join('\n')) });
      const other_namespace = fresh();
      await other.page.locator('#file').setInputFiles(
        file(['{"key":"small","value":7}', '{"key":"new","value":"n"}', '{"key":"late","value":1,"expires_at":5}', '', `{"namespace":"${other_namespace}"}`, '{"key":"elsewhere","value":[ 1 ]}']),
      );
      await other.dialog.getByLabel('Keys that are there already').selectOption('stay as they are');
      await other.dialog.getByRole('button', { name: 'Import' }).click();
      await says(other.toast.locator('span'), '2 entries imported, 1 already there, 1 expired');
      const read = async (store, [namespace, key]) => (await KVStore.open({ namespace })).get(key);
      assert.equal(await look(read, [to, 'small']), -5);
      assert.equal(await look(read, [to, 'new']), 'n');
      assert.deepEqual(await look(read, [other_namespace, 'elsewhere']), [1]);
      for (const [bad, message] of [
        ['{"key":"x"}', /line 2: value: it is missing/],
        ['{"key":"x","value":1,"extra":1}', /line 2: there is no member "extra"/],
        ['{"key":"x","value":"!","type":"bytes"}', /line 2: value: bytes are given as base64/],
        ['{"key":"x","value":1.5,"type":"integer"}', /line 2: value: what is given is no integer/],
        ['{"key":', /line 2/],
      ]) {
        await other.page.locator('#file').setInputFiles(file(['{"key":"first","value":1}', bad]));
        await says(other.page.locator('#problem-text'), message);
      }
      assert.equal(await look(read, [to, 'first']), undefined);
    }),

  a_new_store_gets_sample_data_and_a_namespace_is_chosen: () =>
    withPages(browser, async (open) => {
      const [one, two] = [fresh(), fresh()];
      const look = await probe(open, url, two);
      await look((store) => store.set('there', 1));
      const explorer = await Explorer.open(open, url, one);
      await explorer.button('Add sample data').click();
      await explorer.item('users group').waitFor();
      await says(explorer.toast.locator('span'), /^\d+ entries added$/);
      const namespaces = explorer.page.getByLabel('Namespace');
      await namespaces.selectOption(two);
      await explorer.item('there').waitFor();
      await namespaces.selectOption('Another…');
      await explorer.dialog.getByLabel('Name').fill('never-seen');
      await explorer.dialog.getByRole('button', { name: 'Open' }).click();
      await explorer.page.getByText('Nothing here yet').waitFor();
      // The address leads back.
      await explorer.page.goBack();
      await explorer.item('there').waitFor();
      await explorer.page.goBack();
      await explorer.item('users group').waitFor();
    }),
});
