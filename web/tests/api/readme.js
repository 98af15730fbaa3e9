// The reference README, section by section. `open` opens a store of a backend with fresh data: the same for one name.
export default ({ KVStore, migrateStore, equal, ok }) => ({
  async quick_start({ open }) {
    const store = await open();

    await store.set('app.name', 'MyApplication');
    await store.set('app.version', '1.0.0');
    await store.set('app.config.debug', true);

    const name = await store.get('app.name');
    const debug = await store.get('app.config.debug');
    equal([name, debug], ['MyApplication', true]);

    const appKeys = await store.keys('app.*');
    const allConfig = await store.getPattern('app.config.*');
    equal(appKeys, ['app.name', 'app.version']);
    equal(allConfig, new Map([['app.config.debug', true]]));

    await store.delete('app.config.debug');
    await store.set('app.temp.a', 1);
    equal(await store.deletePattern('app.temp.*'), 1);
    equal(await store.keys(), ['app.name', 'app.version']);
  },

  async hierarchical_keys({ open }) {
    const store = await open();
    await store.set('users.123.name', 'John Doe');
    await store.set('users.123.email', 'john@example.com');
    await store.set('users.123.settings.theme', 'dark');
    await store.set('users.123.settings.notifications', true);
    await store.set('users.124.name', 'Jane Roe');

    // One level; the README's "all user data" is `**` here.
    const fields = await store.getPattern('users.123.*');
    equal([...fields.keys()], ['users.123.email', 'users.123.name']);
    equal((await store.getPattern('users.123.**')).size, 4);
    const settings = await store.getPattern('users.123.settings.*');
    equal(settings.get('users.123.settings.theme'), 'dark');

    const levels = await store.children('users', { counts: true });
    equal(levels.map(({ segment, below }) => [segment, below]), [['123', 4], ['124', 1]]);

    equal(await store.deletePattern('users.123.**'), 4);
    equal(await store.keys('**'), ['users.124.name']);
  },

  async pattern_matching({ open }) {
    const store = await open();
    const keys = [
      'app.config.debug', 'app.error', 'app.name', 'db.config.host', 'deep.app.config.x', 'env.dev.config',
      'env.prod.config', 'env.test.config', 'error', 'log.0\\.txt', 'log.0.txt', 'log.9.txt', 'log.a.txt', 'logs.2024-01',
      'logs.2024-02', 'logs.2025-01', 'user.1.name', 'user.12.name', 'user.a.name', 'users.1.name', 'users.2.email',
      'users.2.name',
    ];
    await store.setMany(keys.map((key) => [key, 1]));
    for (const [pattern, expected] of [
      ['users.*.name', ['users.1.name', 'users.2.name']],
      ['*.config.*', ['app.config.debug', 'db.config.host']],
      ['**.config.**', ['app.config.debug', 'db.config.host', 'deep.app.config.x']],
      ['logs.2024-*', ['logs.2024-01', 'logs.2024-02']],
      ['app.**', ['app.config.debug', 'app.error', 'app.name']],
      ['**.error', ['app.error', 'error']],
      ['user.?.name', ['user.1.name', 'user.a.name']],
      ['log.[0-9].txt', ['log.0.txt', 'log.9.txt']],
      ['env.{dev,prod}.config', ['env.dev.config', 'env.prod.config']],
    ]) {
      equal(await store.keys(pattern), expected, pattern);
      equal(await store.count(pattern), expected.length, pattern);
    }
    const walked = [];
    for await (const key of store.keys('**', { pageSize: 5 })) walked.push(key);
    equal(walked, await store.keys());
    equal(walked.length, keys.length);
  },

  async metadata_management({ open }) {
    const store = await open();
    const documentBytes = new Uint8Array([0x25, 0x50, 0x44, 0x46, 0x00, 0xff]);
    await store.set('document.report.pdf', documentBytes, {
      metadata: {
        content_type: 'application/pdf',
        author: 'John Doe',
        created: '2024-01-15',
        tags: ['quarterly', 'finance'],
        ttl: 86400, // expires in 24 hours
      },
    });

    const metadata = await store.getMetadata('document.report.pdf');
    equal(metadata.author, 'John Doe');
    equal(metadata.tags, ['quarterly', 'finance']);

    await store.setMetadata('document.report.pdf', { reviewed: true, reviewer: 'Jane Smith' });
    const { reviewer, author } = await store.getMetadata('document.report.pdf');
    equal([reviewer, author], ['Jane Smith', 'John Doe']);

    const { contentType, expiresAt, createdAt, size } = await store.describe('document.report.pdf');
    equal(contentType, 'application/pdf');
    equal(expiresAt.getTime() - createdAt.getTime(), 86_400_000);
    equal(size, 6);
    equal(await store.get('document.report.pdf'), documentBytes);
    const found = await store.entries('document.**', { metadata: { author: 'John Doe' } });
    equal(found.map(({ key }) => key), ['document.report.pdf']);
  },

  async ttl_and_expiration({ open, later }) {
    const store = await open();
    await store.set('session.abc123', { user: 1 }, { ttl: 3600 });
    await store.set('cache.results', [1, 2], { ttl: 300 });
    ok(await store.exists('session.abc123'));
    const left = await store.ttl('cache.results');
    ok(left > 290 && left <= 300, `${left}`);

    await later(301, async () => {
      ok(!(await store.exists('cache.results')));
      equal(await store.get('cache.results'), undefined);
      equal(await store.ttl('cache.results'), undefined);
      equal(await store.cleanupExpired(), 1);
      equal(await store.cleanupExpired(), 0);
    });

    ok(await store.persist('session.abc123'));
    equal(await store.ttl('session.abc123'), null);
    ok(await store.touch('session.abc123', 60));
    ok((await store.ttl('session.abc123')) <= 60);
    ok(!(await store.touch('nothing', 60)));
  },

  async automatic_cleanup({ open }) {
    const store = await open({ autoCleanup: true, cleanupInterval: 0.05 });
    await store.set('cache.results', 1, { ttlMs: 1 });
    // Once it has been removed, nothing is left for a cleanup by hand.
    for (let round = 0; ; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      if ((await store.namespaces()).length === 0) break;
      ok(round < 400, 'it was not removed in the background');
    }
  },

  async atomic_operations({ open }) {
    const store = await open();
    await store.set('version', '1.0.0');
    const success = await store.compareAndSwap('version', '1.0.0', '1.1.0');
    ok(success);
    ok(!(await store.compareAndSwap('version', '1.0.0', '2.0.0')));
    equal(await store.get('version'), '1.1.0');
    ok(await store.compareAndSwap('fresh', undefined, 'first'));

    equal(await store.increment('stats.page_views'), 1);
    equal(await store.increment('stats.page_views'), 2);
    equal(await store.increment('inventory.item_123', -1), -1);

    await store.append('logs.access', '\n2024-01-15 10:30 User login');
    await store.append('logs.access', '\n2024-01-15 10:31 User logout');
    equal(await store.get('logs.access'), '\n2024-01-15 10:30 User login\n2024-01-15 10:31 User logout');
    await store.set('notes', 'Call Jane');
    equal(await store.append('notes', ', Remember to update docs'), 34);
  },

  async batch_operations({ open }) {
    const store = await open();
    await store.setMany({
      'config.host': 'localhost',
      'config.port': 8080,
      'config.ssl': true,
      'config.timeout': 30,
    });
    const values = await store.getMany(['config.host', 'config.port', 'config.ssl', 'config.none']);
    equal(values, new Map([['config.host', 'localhost'], ['config.port', 8080], ['config.ssl', true]]));
    equal(await store.deleteMany(['config.host', 'config.port', 'temp.none']), 2);
  },

  async namespace_isolation({ open }) {
    const userStore = await open({ namespace: 'user_data' });
    const systemStore = await open({ namespace: 'system' });
    await userStore.set('settings', { theme: 'dark' });
    await systemStore.set('settings', { debug: true });
    equal(await userStore.get('settings'), { theme: 'dark' });
    equal(await systemStore.get('settings'), { debug: true });
    await userStore.clear();
    equal(await userStore.count(), 0);
    equal(await systemStore.get('settings'), { debug: true });
  },

  async custom_serialization({ open }) {
    class MyComplexClass {
      constructor(x, y) {
        this.x = x;
        this.y = y;
      }
    }
    class CustomStore extends KVStore {
      serialize(value) {
        if (value instanceof MyComplexClass) {
          return { type: 'custom:complex', data: new Uint8Array([value.x, value.y]) };
        }
        return super.serialize(value);
      }
      deserialize(stored) {
        if (stored.type === 'custom:complex') return new MyComplexClass(...stored.data);
        return super.deserialize(stored);
      }
    }
    const store = await open({}, CustomStore);
    ok(store instanceof CustomStore);
    await store.set('complex', new MyComplexClass(1, 2));
    equal(await store.get('complex'), new MyComplexClass(1, 2));
    await store.set('plain', 'text');
    equal(await store.get('plain'), 'text');
    ok(await store.compareAndSwap('complex', new MyComplexClass(1, 2), new MyComplexClass(3, 4)));
    equal((await store.entry('complex')).type, 'custom:complex');
  },

  async migration_between_backends({ open }) {
    const source = await open({ namespace: 'source' });
    const target = await KVStore.open({ backend: 'memory' });
    for (let at = 0; at < 250; at += 1) await source.set(`k.${at}`, { at }, at % 2 ? { ttl: 1000 + at } : {});
    await source.set('blob', new Blob(['hello'], { type: 'text/plain' }), { metadata: { by: 'me', ttl: 500 } });
    await source.setMetadata('k.0', { note: 'even' });
    // Metadata that say another expiry than there is.
    await source.set('hint.none', 1, { metadata: { ttl: 7 }, ttl: null });
    await source.set('hint.other', 1, { metadata: { ttl: 7 }, ttl: 1000 });
    const [steps, written] = [[], []];
    target.subscribe('**', ({ key }) => written.push(key));
    const done = await migrateStore(source, target, { batchSize: 100, onProgress: ({ copied }) => steps.push(copied) });
    equal(done, { copied: 253, expired: 0 });
    equal(steps, [100, 200, 253]);
    equal([written.length, new Set(written).size], [253, 253], 'each was written once');
    for (const entry of await source.descriptions()) {
      const { version, updatedAt, createdAt, ...rest } = await target.describe(entry.key);
      ok(version !== entry.version && updatedAt >= entry.updatedAt && createdAt >= entry.createdAt);
      const { version: _, updatedAt: __, createdAt: ___, ...expected } = entry;
      equal(rest, expected, entry.key);
    }
    equal(await (await target.get('blob')).text(), 'hello');
  },
});
