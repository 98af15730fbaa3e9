// A browser with a profile of its own on disk: in memory IndexedDB would keep nothing, and strict writes would cost nothing.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const QUIET = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Tabs in the background are tabs like others.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/** The browser to test in: `KV_TEST_CHROMIUM` names its program. */
export const program = process.env.KV_TEST_CHROMIUM ?? '/usr/bin/chromium';

export async function launch({ profile, args = [] } = {}) {
  const own = profile === undefined;
  const folder = profile ?? (await mkdtemp(join(tmpdir(), 'kv-chromium-')));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: program,
    headless: true,
    chromiumSandbox: process.getuid?.() !== 0,
    args: [...QUIET, ...args],
  });
  return {
    context,
    folder,
    async close() {
      await context.close();
      if (own) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
