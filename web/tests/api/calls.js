// What the calls do beyond the README.
export default ({ KVStore, equal, ok, refused }) => ({
  async conditions({ open }) {
    const store = await open();
    const first = await store.set('k', 'a', { ifAbsent: true });
    ok(first.written);
    const lost = await store.set('k', 'b', { ifAbsent: true });
    equal([lost.written, lost.current.value, lost.current.version], [false, 'a', first.version]);
    const second = await store.set('k', 'b', { ifVersion: first.version });
    ok(second.written && second.version !== first.version);
    ok(!(await store.set('k', 'c', { ifVersion: first.version })).written);
    ok(!(await store.delete('k', { ifVersion: first.version })));
    ok(!(await store.setMetadata('k', { a: 1 }, { ifVersion: first.version })));
    ok(await store.setMetadata('k', { a: 1, b: 2 }, { ifVersion: second.version }));
    ok(await store.setMetadata('k', { b: null }));
    equal(await store.getMetadata('k'), { a: 1 });
    ok(await store.setMetadata('k', { c: 1 }, { replace: true }));
    equal(await store.getMetadata('k'), { c: 1 });
    ok(!(await store.setMetadata('nothing', { a: 1 })));
    equal(await store.getMetadata('nothing'), undefined);
    const { version } = await store.describe('k');
    ok(await store.delete('k', { ifVersion: version }));
    ok(!(await store.delete('k')));
    const gone = await store.set('k', 1, { ifVersion: version });
    equal(gone, { written: false, current: undefined });
  },

  async transactions({ open }) {
    const store = await open();
    await store.setMany({ 'account.a': 100, 'account.b': 0 });
    const [a, b] = await Promise.all([store.entry('account.a'), store.entry('account.b')]);
    const transfer = () =>
      store.transact(
        [{ key: 'account.a', ifVersion: a.version }, { key: 'transfer.1', ifAbsent: true }],
        [
          { set: 'account.a', value: a.value - 10 },
          { set: 'account.b', value: b.value + 10 },
          { set: 'transfer.1', value: { from: 'a' }, metadata: { kind: 'transfer' } },
          { delete: 'nothing' },
        ],
      );
    const done = await transfer();
    ok(done.committed);
    equal([...done.versions.keys()], ['account.a', 'account.b', 'transfer.1']);
    const again = await transfer();
    equal([again.committed, again.key], [false, 'account.a']);
    equal(await store.getPattern('account.*'), new Map([['account.a', 90], ['account.b', 10]]));
    await refused('invalid-argument', () => store.transact([], [{ set: 'x', value: 1 }, { delete: 'x' }]));
  },

  async expiry({ open, later }) {
    const store = await open();
    await store.set('sliding', 1, { ttl: 100, sliding: true });
    await store.set('kept', 1, { ttl: 100 });
    await store.set('kept', 2, { keepTtl: true });
    await store.set('cleared', 1, { ttl: 100 });
    await store.set('cleared', 2);
    await store.set('at', 1, { expiresAt: new Date(Date.now() + 150_000) });
    await store.increment('counter', 1, { ttlMs: 150_000 });
    equal(await store.ttl('cleared'), null);
    await later(60, () => store.get('sliding'));
    await later(120, async () => {
      equal(await store.keys(), ['at', 'cleared', 'counter', 'sliding']);
      equal(await store.count(), 4);
      equal((await store.entries()).length, 4);
      equal(await store.getMany(['kept', 'at']), new Map([['at', 1]]));
      ok((await store.set('kept', 3, { ifAbsent: true })).written);
    });
    await later(200, async () => {
      equal(await store.keys(), ['cleared', 'kept']);
      equal(await store.cleanupExpired(), 3);
    });
  },

  async a_ttl_of_null_is_never({ open }) {
    const store = await open();
    // Metadata that would say otherwise.
    const never = { ttl: null, metadata: { ttl: 5 } };
    const end = async (key) => [await store.ttl(key), (await store.describe(key)).expiresAt, await store.getMetadata(key)];
    const calls = {
      set: (key) => store.set(key, 1, never),
      overwrite: (key) => store.set(key, 0, { ttl: 60 }).then(() => store.set(key, 1, never)),
      setMany: (key) => store.setMany({ [key]: 1 }, never),
      compareAndSwap: (key) => store.compareAndSwap(key, undefined, 1, never),
      transact: (key) => store.transact([], [{ set: key, value: 1, ...never }]),
    };
    for (const [key, call] of Object.entries(calls)) {
      await call(key);
      equal(await end(key), [null, undefined, { ttl: 5 }], key);
      equal(await store.get(key), 1, key);
    }
    // What keeps an expiry ends it, and what changes it too.
    const changes = {
      increment: (key) => store.increment(key, 1, { ttl: null }),
      append: (key) => store.set(key, 'a', { ttl: 60, sliding: true }).then(() => store.append(key, 'b', { ttl: null })),
      touch: (key) => store.touch(key, null),
      touchWith: async (key) => store.touch(key, { ttl: null, ifVersion: (await store.describe(key)).version }),
      touchAsAnother: async (key) => store.touch(key, await store.ttl('set')),
    };
    for (const [key, change] of Object.entries(changes)) {
      await store.set(key, 1, { ttl: 60 });
      ok(await change(key), key);
      equal(await end(key), [null, undefined, {}], key);
      equal((await store.describe(key)).slidingMs, undefined, key);
    }
    equal(await store.increment('fresh', 1, { ttl: null }), 1);
    equal(await store.append('freshText', 'a', { ttl: null }), 1);
    equal([await store.ttl('fresh'), await store.ttl('freshText')], [null, null]);
    ok(!(await store.touch('nothing', null)));
    ok(!(await store.touch('set', { ttl: null, ifVersion: 'another' })));
  },

  async concurrent_calls_in_one_tick({ open, backend }) {
    const store = await open();
    // Each has its own outcome, also where they share a transaction.
    const calls = [
      () => store.set('a', 1),
      () => store.set('a', 2, { ifAbsent: true }),
      () => store.get('a'),
      () => store.set('bad.', 1),
      () => store.increment('a', 5),
      () => store.append('a', 'x'),
      () => store.delete('a'),
      () => store.get('a'),
      () => store.set('b', new Uint8Array(100_000)),
      () => store.get('b'),
    ];
    const results = [];
    for (const call of calls) {
      const result = Promise.allSettled([call()]);
      results.push(result);
      // Requests overtake each other; transactions do not.
      if (backend === 'http') await result;
    }
    (await Promise.all(results)).forEach(([result], at) => (results[at] = result));
    const told = results.map(({ status, value, reason }) => (status === 'fulfilled' ? value : reason.code));
    equal([told[0].written, told[1].written, told[1].current.value], [true, false, 1]);
    equal([told[2], told[3], told[4], told[5], told[6], told[7]], [1, 'invalid-argument', 6, 'type-mismatch', true, undefined]);
    ok(told[8].written && told[9].length === 100_000);
    const counts = await Promise.all(Array.from({ length: 200 }, () => store.increment('count')));
    equal(counts.sort((x, y) => x - y), Array.from({ length: 200 }, (_, at) => at + 1));
    const created = await Promise.all(Array.from({ length: 50 }, (_, at) => store.set('lock', at, { ifAbsent: true })));
    equal(created.filter(({ written }) => written).length, 1);
    await Promise.all(Array.from({ length: 300 }, (_, at) => store.set(`many.${at}`, at)));
    const read = await Promise.all(Array.from({ length: 300 }, (_, at) => store.get(`many.${at}`)));
    equal(read, Array.from({ length: 300 }, (_, at) => at));
  },

  async large_batches({ open }) {
    const store = await open();
    const items = Array.from({ length: 2500 }, (_, at) => [`k.${String(at).padStart(5, '0')}`, { at }]);
    equal((await store.setMany(items, { metadata: { batch: 1 } })).size, 2500);
    equal(await store.count('k.*'), 2500);
    equal((await store.getMany(items.map(([key]) => key))).size, 2500);
    equal((await store.keys()).length, 2500);
    equal((await store.entries('k.0*', { pageSize: 100 })).length, 2500);
    // Over what is there.
    await store.setMany(items.map(([key], at) => [key, at]));
    const values = await store.getPattern('**');
    equal([...values], items.map(([key], at) => [key, at]));
    const large = Array.from({ length: 40 }, (_, at) => [`large.${at}`, new Uint8Array(500_000).fill(at)]);
    await store.setMany(large);
    const back = await store.getMany(large.map(([key]) => key));
    for (const [key, value] of large) equal(back.get(key), value, key);
    equal((await store.entries('large.*')).length, 40);
    equal(await store.deletePattern('k.**'), 2500);
    equal(await store.deleteMany(large.map(([key]) => key)), 40);
    equal(await store.count(), 0);
  },

  async order_is_that_of_bytes({ open }) {
    const store = await open();
    const keys = ['\ue000', '\uffee', '𝄞', 'a', 'é', 'Z', 'a!', 'a.b', 'a-b', '\ud7ff', '\u{10ffff}'];
    await store.setMany(keys.map((key) => [key, 1]));
    const bytes = (text) => [...new TextEncoder().encode(text)];
    const compare = (a, b) => {
      const [x, y] = [bytes(a), bytes(b)];
      const at = x.findIndex((byte, index) => byte !== y[index]);
      return at === -1 ? x.length - y.length : x[at] - (y[at] ?? -1);
    };
    equal(await store.keys('**', { pageSize: 2 }), [...keys].sort(compare));
    equal(await store.keys('\ue000*'), ['\ue000']);
    equal(await store.keys('𝄞*'), ['𝄞']);
  },

  async namespaces_are_listed({ open }) {
    const names = ['a', 'a.b', 'b', 'é', '𝄞', '\ue000'];
    const stores = await Promise.all(names.map((namespace) => open({ namespace, shared: true })));
    await Promise.all(stores.map((store) => store.set('k', store.namespace)));
    if ((await stores[0].namespaces()).length === 1) return; // in memory each has its own
    equal(await stores[0].namespaces(), ['a', 'a.b', 'b', 'é', '\ue000', '𝄞']);
    await stores[0].clear();
    equal((await stores[1].namespaces()).length, 5);
    for (const store of stores.slice(1)) equal(await store.get('k'), store.namespace);
  },

  async subscriptions({ open }) {
    const store = await open();
    const seen = [];
    const stop = store.subscribe('app.**', ({ type, key, local }) => seen.push([type, key, local]));
    await store.set('app.a', 1);
    await store.set('other', 1);
    await store.increment('app.n');
    await store.setMany({ 'app.x': 1, y: 2 });
    await store.delete('app.a');
    await store.delete('app.a');
    await store.deletePattern('app.x');
    await store.set('app.n', 5, { ifAbsent: true });
    await store.clear();
    equal(seen, [
      ['set', 'app.a', true], ['set', 'app.n', true], ['set', 'app.x', true], ['delete', 'app.a', true],
      ['delete', 'app.x', true], ['clear', '', true],
    ]);
    stop();
    stop();
    await store.set('app.b', 1);
    equal(seen.length, 6);
  },
});
