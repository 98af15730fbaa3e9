// A browser with a profile of its own on disk: in memory IndexedDB would keep nothing, and strict writes would cost nothing.
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
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

/** The processes that use this profile, and so are ours. */
async function processes(profile) {
  const found = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(`--user-data-dir=${profile}`)) found.push(Number(pid));
  }
  return found;
}

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
    /** At once, with all its processes, as when the machine runs out of memory. */
    async kill() {
      const pids = await processes(folder);
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended with its parent.
        }
      }
      await context.close().catch(() => {});
    },
    async close() {
      await context.close();
      if (own) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
