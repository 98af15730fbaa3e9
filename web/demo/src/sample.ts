// Something to look at in a store that is new: every type, metadata, expiry, a hierarchy.
import type { KvValue, SetOptions } from 'dataknobs-kv';
import { KVStore } from 'dataknobs-kv';
import type { Store } from './store.js';

type Sample = [key: string, value: KvValue, options?: Omit<SetOptions, 'signal'>];

/** Encodes as the package does, for a store that takes stored forms. */
const encode = (value: KvValue) => KVStore.prototype.serialize(value);

function samples(): Sample[] {
  const all: Sample[] = [
    ['app.config', { theme: 'system', page_size: 50, features: ['search', 'export'] }, { metadata: { owner: 'platform', reviewed: true } }],
    ['app.config.debug', false],
    ['app.config.max_upload_mb', 16],
    ['app.name', 'Aurora'],
    ['app.release.1\\.4\\.2', new Date('2026-09-14T08:30:00Z'), { metadata: { channel: 'stable' } }],
    ['app.release.1\\.5\\.0', new Date('2026-11-02T16:05:00Z'), { metadata: { channel: 'beta' } }],
    ['cache.render.home', '<main>Welcome back</main>', { ttl: 90, contentType: 'text/html' }],
    ['cache.render.pricing', '<main>Plans for every team</main>', { ttl: 900, contentType: 'text/html' }],
    ['counters.page_views', 18_204],
    ['counters.signups', 312],
    ['jobs.import.4711', { state: 'running', done: 0.42, worker: 'eu-3' }, { metadata: { priority: 'high' } }],
    ['jobs.import.4712', { state: 'queued' }],
    ['jobs.last_error', null],
    ['sessions.b7f2e1', { user: 'ada', agent: 'Firefox' }, { ttl: 1800, sliding: true }],
    ['sessions.c91a04', { user: 'grace', agent: 'Chromium' }, { ttl: 420, sliding: true }],
    ['users.ada.avatar', avatar(), { contentType: 'image/svg+xml', metadata: { width: 96, height: 96 } }],
    ['users.ada.bio', 'Writes programs for engines that are not built yet.\n\nLikes: looms, long walks, Bernoulli numbers.'],
    ['users.ada.name', 'Ada Lovelace', { metadata: { source: 'signup', verified: true } }],
    ['users.grace.name', 'Grace Hopper', { metadata: { source: 'import', verified: true } }],
    ['users.grace.quota', 0.75],
    ['users.katherine.name', 'Katherine Johnson', { metadata: { source: 'signup', verified: false } }],
  ];
  for (const day of [21, 22, 23, 24, 25, 26]) {
    all.push([`logs.2026-11-${day}`, [{ level: 'info', text: 'started' }, { level: 'warn', text: 'slow query', ms: 480 + day }], { metadata: { retention: '30d' } }]);
  }
  return all;
}

const avatar = (): Uint8Array =>
  new TextEncoder().encode(
    '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 96 96"><rect width="96" height="96" rx="18" fill="#dfe7ff"/>' +
      '<circle cx="48" cy="38" r="17" fill="#3457d5"/><path d="M16 90a32 32 0 0 1 64 0z" fill="#3457d5"/></svg>',
  );

/** Calls of one tick share a transaction. */
export async function addSamples(store: Store): Promise<number> {
  const all = samples();
  await Promise.all(all.map(async ([key, value, options]) => store.set(key, await encode(value), { ...options, ifAbsent: true })));
  return all.length;
}
