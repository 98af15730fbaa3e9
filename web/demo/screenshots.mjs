// The pictures in docs/images, of sample data at a fixed time: `cargo xtask web screenshots`.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Explorer, probe, serveExplorer, withPages } from '../tests/demo/support.mjs';
import { launch } from '../tests/support/browser.mjs';

const images = join(import.meta.dirname, '../../docs/images');
const NOW = new Date('2026-11-26T10:24:00Z');

await mkdir(images, { recursive: true });
const browser = await launch({ args: ['--lang=en-US'] });
const server = await serveExplorer();
const picture = async (page, name) => {
  await page.locator('.toast').waitFor({ state: 'detached' });
  await page.mouse.move(0, 0);
  await page.waitForFunction(() => document.getAnimations().length === 0);
  await page.screenshot({ path: join(images, `explorer-${name}.png`) });
};

try {
  await withPages(browser, async (open) => {
    /** The explorer with sample data, in a window of this size. */
    const sample = async (namespace, viewport, colorScheme) => {
      const explorer = await Explorer.open(open, server.url, namespace);
      const { page } = explorer;
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.clock.install({ time: NOW });
      await page.reload();
      await page.locator('body[data-ready]').waitFor();
      await explorer.button('Add sample data').click();
      await explorer.item('users group').waitFor();
      await page.clock.fastForward(6000);
      return explorer;
    };
    const desk = { width: 1280, height: 800 };

    const light = await sample('studio', desk, 'light');
    const other = await probe(open, server.url, 'studio');
    for (const group of ['app group', 'users group', 'ada group']) await light.item(group).click();
    await light.item('config').click();
    await light.shows('app.config');
    await other((store) => store.increment('counters.page_views'));
    await light.log.getByText('counters.page_views').waitFor();
    await other((store) => store.set('users.grace.name', 'Grace Hopper', { metadata: { source: 'import', verified: true } }));
    await light.log.getByText('users.grace.name').waitFor();
    await other((store) => store.delete('jobs.last_error'));
    await light.log.getByText('jobs.last_error').waitFor();
    await picture(light.page, 'light');

    const dark = await sample('harbour', desk, 'dark');
    const theirs = await probe(open, server.url, 'harbour');
    for (const group of ['sessions group']) await dark.item(group).click();
    await dark.item('c91a04').click();
    await dark.shows('sessions.c91a04');
    await dark.value.fill('{\n  "user": "grace",\n  "agent": "Chromium",\n  "theme": "dark"\n}');
    await theirs((store) => store.set('sessions.c91a04', { user: 'grace', agent: 'Firefox' }, { ttl: 420, sliding: true }));
    await dark.conflict.waitFor();
    await picture(dark.page, 'dark');

    const phone = await sample('pocket', { width: 390, height: 780 }, 'light');
    for (const group of ['cache group', 'render group']) await phone.item(group).click();
    await phone.item('home').click();
    await phone.shows('cache.render.home');
    await picture(phone.page, 'phone');
    await phone.button('‹ Keys').click();
    await phone.pattern.fill('users.*.name');
    await phone.option('users.katherine.name').waitFor();
    await picture(phone.page, 'phone-keys');
  });
} finally {
  await browser.close();
  await server.close();
}
