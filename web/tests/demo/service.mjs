// The explorer that a real service hands out, on that service's store.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { service } from '../support/service.mjs';
import { Explorer, POLICY, fresh, says, withPages } from './support.mjs';

const run = promisify(execFile);

/** Runs with a service of its own. */
const withService = (browser, options, run) => async () => {
  const started = await service(options);
  try {
    await withPages(browser, (open, complaints) => run(open, started.url, complaints));
  } finally {
    await started.stop();
  }
};

/** The browser tells of each answer that is no success, and of requests without one: those that hold this text are meant. */
const expected = (complaints, text) => {
  const own = complaints.filter((complaint) => !complaint.includes(text));
  complaints.splice(0, complaints.length, ...own);
};

/** Another client of the service: the command. */
const other = (url, namespace) => (args, environment = {}) =>
  run(process.env.KV_TEST_COMMAND, ['--store', url, '--namespace', namespace, ...args], { env: { ...process.env, ...environment } });

export const overService = ({ browser }) => ({
  the_service_hands_out_the_page: withService(browser, {}, async (open, url) => {
    const answer = await fetch(`${url}/`, { headers: { accept: 'text/html' } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-security-policy'), POLICY);
    assert.equal((await fetch(`${url}/`, { headers: { accept: 'application/json' } })).status, 404);
    const namespace = fresh();
    const explorer = await Explorer.open(open, url, namespace);
    await says(explorer.page.getByLabel('Store').locator('option:checked'), 'This service');
    await explorer.button('New entry').click();
    await explorer.dialog.getByLabel('Key', { exact: true }).fill('app.name');
    await explorer.dialog.getByLabel('Value', { exact: true }).fill('Aurora');
    await explorer.dialog.getByRole('button', { name: 'Create' }).click();
    await explorer.shows('app.name');
    await explorer.item('name').waitFor();
    const { stdout } = await other(url, namespace)(['get', 'app.name']);
    assert.equal(stdout, 'Aurora');
    // One line for one change, though it is told of and then seen.
    await says(explorer.log.locator('li').first(), /Set app.namehere/);

    // The browser's own store is one choice away, and is another one.
    await explorer.page.getByLabel('Store').selectOption('This browser');
    await explorer.page.waitForURL(/store=browser/);
    await explorer.item('name').waitFor({ state: 'detached' });
    await explorer.page.goBack();
    await explorer.item('app group').waitFor();
    assert.equal(await explorer.log.locator('li').count(), 0);
  }),

  changes_by_others_are_seen: withService(browser, {}, async (open, url, complaints) => {
    const namespace = fresh();
    const command = other(url, namespace);
    await command(['set', 'note', 'first']);
    const explorer = await Explorer.open(open, url, namespace, 'note');
    await explorer.shows('note');
    await says(explorer.page.locator('#feed'), 'live');
    await command(['set', 'fresh', 'x']);
    await explorer.item('fresh').waitFor();
    await says(explorer.log.locator('li').first(), /Set freshelsewhere/);
    await command(['set', 'note', 'second']);
    await explorer.page.waitForFunction(() => document.querySelector('#entry textarea').value === 'second');
    await command(['delete', 'fresh']);
    await explorer.item('fresh').waitFor({ state: 'detached' });
    await says(explorer.log.locator('li').first(), /Deleted freshelsewhere/);

    await explorer.value.fill('mine');
    await command(['set', 'note', 'third']);
    await explorer.save.click();
    await explorer.conflict.filter({ hasText: 'third' }).waitFor();
    assert.equal((await command(['get', 'note'])).stdout, 'third');
    await explorer.button('Go on with mine').click();
    await explorer.save.click();
    await says(explorer.toast.locator('span'), 'Saved');
    assert.equal((await command(['get', 'note'])).stdout, 'mine');
    expected(complaints, '412');
  }),

  a_token_is_asked_for: withService(browser, { token: 'open-sesame' }, async (open, url, complaints) => {
    const namespace = fresh();
    const page = await open(`${url}/#${namespace}`);
    const explorer = new Explorer(page);
    const token = explorer.dialog.getByLabel('Token');
    await token.fill('wrong');
    await explorer.dialog.getByRole('button', { name: 'Open' }).click();
    await explorer.dialog.getByText('not known').waitFor();
    await token.fill('open-sesame');
    await explorer.dialog.getByRole('button', { name: 'Open' }).click();
    await page.getByText('Nothing here yet').waitFor();
    await explorer.button('Add sample data').click();
    await explorer.item('users group').waitFor();
    // Kept for the tab, and for no other one.
    await page.reload();
    await explorer.item('users group').waitFor();
    const elsewhere = new Explorer(await open(`${url}/#${namespace}`));
    await elsewhere.dialog.getByRole('button', { name: 'Cancel' }).click();
    await says(elsewhere.page.getByLabel('Store').locator('option:checked'), 'This browser');
    expected(complaints, '401');
  }),

  what_the_explorer_exports_the_command_imports: withService(browser, {}, async (open, url) => {
    const [from, to] = [fresh(), fresh()];
    const explorer = await Explorer.open(open, url, from);
    await explorer.button('Add sample data').click();
    await explorer.item('users group').waitFor();
    const [download] = await Promise.all([explorer.page.waitForEvent('download'), explorer.button('Export').click()]);
    const path = await download.path();
    await other(url, to)(['import', '--format', 'jsonl', path]);
    const lines = async (namespace) => {
      const { stdout } = await other(url, namespace)(['export', '--format', 'jsonl']);
      return stdout.trim().split('\n').map((line) => {
        const { version, created_at, updated_at, expires_at, sliding_ms, ...rest } = JSON.parse(line);
        return { ...rest, sliding_ms, expires_at: sliding_ms === undefined ? expires_at : undefined };
      });
    };
    const before = await lines(from);
    assert.ok(before.length > 20);
    assert.deepEqual(await lines(to), before);
    // And the other way.
    const file = (await readFile(path, 'utf8')).split('\n').slice(0, 3).join('\n');
    const target = await Explorer.open(open, url, fresh());
    await target.page.locator('#file').setInputFiles({ name: 'x.jsonl', mimeType: 'application/x-ndjson', buffer: Buffer.from(file) });
    await target.dialog.getByRole('button', { name: 'Import' }).click();
    await says(target.toast.locator('span'), '3 entries imported');
  }),

  a_service_that_is_gone_is_told_of: async () => {
    const started = await service();
    await withPages(browser, async (open, complaints) => {
      const explorer = await Explorer.open(open, started.url, fresh());
      await explorer.button('Add sample data').click();
      await explorer.item('users group').waitFor();
      await started.stop();
      await says(explorer.page.locator('#feed'), 'no answer, trying again');
      await explorer.item('users group').click();
      await explorer.page.getByRole('alert').filter({ hasText: /\w/ }).first().waitFor();
      expected(complaints, 'ERR_CONNECTION');
    });
  },
});
