// A service of the real program, on a free port, with a clock that can be moved. `KV_TEST_COMMAND` names the program.
import { spawn } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const program = process.env.KV_TEST_COMMAND;
// Scenarios replace it.
const now = Date.now.bind(Date);

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/**
 * Starts one.
 * @param {{ token?: string, origin?: string, store?: string, defaultTtl?: Record<string, number>, listen?: string }} options
 */
export async function service({ token, origin, store = 'memory:', defaultTtl = {}, listen = '127.0.0.1:0' } = {}) {
  if (program === undefined) throw new Error('KV_TEST_COMMAND names no program: cargo xtask web test');
  const folder = await mkdtemp(join(tmpdir(), 'kv-service-'));
  const clock = join(folder, 'clock');
  let shift = 0;
  const tick = () => {
    // Whole at every look.
    writeFileSync(`${clock}.next`, String(now() + shift));
    renameSync(`${clock}.next`, clock);
  };
  tick();
  const ticking = setInterval(tick, 10);
  const config = join(folder, 'store.json');
  writeFileSync(config, JSON.stringify({ url: store, default_ttl: defaultTtl }));
  const arguments_ = ['--config', config, 'serve', '--listen', listen, '--no-auto-cleanup'];
  if (origin !== undefined) arguments_.push('--allow-origin', origin);
  const child = spawn(program, arguments_, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DATAKNOBS_KV_CLOCK_FILE: clock, ...(token === undefined ? {} : { DATAKNOBS_KV_TOKEN: token }) },
  });
  running.add(child);
  let said = '';
  child.stderr.on('data', (data) => (said += data));
  const ended = new Promise((resolve) => child.once('close', resolve)).then(() => running.delete(child));
  const url = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', (line) => resolve(line.slice(line.indexOf('http://'))));
    void ended.then(() => reject(new Error(`the service ended: ${said}`)));
  });
  const stop = async (signal) => {
    child.kill(signal);
    await ended;
    clearInterval(ticking);
    await rm(folder, { recursive: true, force: true });
  };
  return {
    url,
    /** Its clock, so many seconds ahead. */
    ahead(seconds) {
      shift = seconds * 1000;
      tick();
    },
    /** As a crash does. */
    kill: () => stop('SIGKILL'),
    stop: () => stop('SIGTERM'),
  };
}
