// Everything that a page can pass: a KvError with a code or the documented conversion, and the store still works.
export default ({ KVStore, equal, ok, refused }) => ({
  async values_keep_their_type({ open }) {
    const store = await open();
    const values = {
      text: 'é𝄞\u0000\ue000', empty: '', integer: 42, negative: -1, largest: Number.MAX_SAFE_INTEGER, float: 0.1, tiny: 5e-324,
      huge: 1.7976931348623157e308, minusZero: -0, bigint: 2n ** 62n, smallest: -(2n ** 63n), yes: true, no: false,
      nothing: null, object: { a: [1, { b: null }], 'x.y': 'z' }, array: [], date: new Date(1_700_000_000_123),
      bytes: new Uint8Array([0, 255, 128]), noBytes: new Uint8Array(),
    };
    await store.setMany(values);
    for (const [key, value] of Object.entries(values)) {
      const read = await store.get(key);
      equal(read, value, key);
      ok(Object.is(read, value) || typeof value === 'object', key);
      ok(await store.compareAndSwap(key, value, value), `${key} equals itself`);
    }
    equal(await store.getMany(Object.keys(values)), new Map(Object.entries(values)));
    equal(await store.getPattern('*'), new Map(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))));
    // The documented conversions.
    await store.set('small', 5n);
    equal(await store.get('small'), 5);
    await store.set('buffer', new Uint8Array([1, 2]).buffer);
    equal(await store.get('buffer'), new Uint8Array([1, 2]));
    await store.set('view', new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
    equal(await store.get('view'), new Uint8Array([2, 3]));
    await store.set('holes', { a: undefined, at: new Date(0) });
    equal(await store.get('holes'), { at: '1970-01-01T00:00:00.000Z' });
    await store.set('blob', new Blob(['hi'], { type: 'text/x' }));
    const blob = await store.get('blob');
    equal([blob.type, await blob.text()], ['text/x', 'hi']);
  },

  async values_that_are_none({ open }) {
    const store = await open();
    const cyclic = {};
    cyclic.self = cyclic;
    const detached = new Uint8Array(8);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    for (const [what, value] of Object.entries({
      undefined, function: () => 1, symbol: Symbol('s'), nan: NaN, infinity: -Infinity, lone: '\ud800', loneInside: ['\udc00x'],
      cyclic, bigintInside: [1n], nanInside: { a: NaN }, mapInside: [new Map()], map: new Map(), set: new Set(), regexp: /x/,
      error: new Error('x'), promise: Promise.resolve(1), detached, detachedBuffer: detached.buffer,
      floats: new Float32Array(2), tooLarge: 2n ** 63n, badDate: new Date(NaN),
      throws: { toJSON() { throw new Error('mine'); } },
      tooDeep: Array.from({ length: 200 }).reduce((inner) => [inner], 1),
    })) {
      if (what === 'loneInside') {
        // JSON can say it.
        await store.set('k', value);
        equal(await store.get('k'), value);
        continue;
      }
      await refused('invalid-argument', () => store.set('k', value), what);
    }
    await store.set('k', 'still works');
    equal(await store.get('k'), 'still works');
  },

  async values_too_large({ open }) {
    const store = await open();
    const { maxValueBytes } = await store.capabilities();
    const error = await refused('too-large', () => store.set('k', new Uint8Array(maxValueBytes + 1)));
    equal([error.limit, error.actual], [maxValueBytes, maxValueBytes + 1]);
    await store.set('k', new Uint8Array(maxValueBytes));
    equal((await store.get('k')).length, maxValueBytes);
    await refused('too-large', () => store.append('k', new Uint8Array(1)));
    await refused('too-large', () => store.set('k', 1, { metadata: { a: 'x'.repeat(70_000) } }));
  },

  async keys_patterns_and_names({ open }) {
    const store = await open();
    for (const key of ['', '.', 'a.', '.a', 'a..b', 'a\\', 'a\u0007', '\ud800', 'k'.repeat(513), undefined, null, 7, {}, Symbol('x')]) {
      await refused('invalid-argument', () => store.set(key, 1), String(key));
      await refused('invalid-argument', () => store.get(key), String(key));
      await refused('invalid-argument', () => store.increment(key), String(key));
    }
    for (const pattern of ['', 'a[', '{a', '\ud800', 'a..b', 5, null]) {
      await refused('invalid-argument', async () => store.keys(pattern), String(pattern));
    }
    for (const namespace of ['', 'x'.repeat(65), 'a\u0000', '\ud800', 5]) {
      await refused('invalid-argument', () => open({ namespace }).then((other) => other.set('a', 1)), String(namespace));
    }
    equal(KVStore.key('a.b', 'c\\d'), 'a\\.b.c\\\\d');
    equal(KVStore.segments('a\\.b.c\\\\d'), ['a.b', 'c\\d']);
    await refused('invalid-argument', async () => KVStore.key('a', ''));
    await refused('invalid-argument', async () => KVStore.segments('a..b'));
  },

  async options_that_are_wrong({ open }) {
    const store = await open();
    await store.set('k', 1);
    for (const options of [
      { ttl: 0 }, { ttl: -1 }, { ttl: NaN }, { ttl: '60' }, { ttl: 1e300 }, { ttlMs: 0 }, { expiresAt: new Date(NaN) },
      { expiresAt: new Date(0) }, { ttl: 1, ttlMs: 1 }, { ttl: 1, keepTtl: true }, { sliding: true }, { ttl: null, sliding: true },
      { ttl: null, ttlMs: 1 }, { ttl: null, expiresAt: Date.now() + 1e6 }, { ttl: null, keepTtl: true }, { ttlMs: null }, { tll: 5 }, null, 5,
      { ifVersion: 'x', ifAbsent: true }, { ifVersion: '' }, { ifVersion: 5 }, { metadata: [] }, { metadata: 'x' },
      { metadata: { a: NaN } }, { contentType: 'a\nb' }, { contentType: '' },
    ]) {
      await refused('invalid-argument', () => store.set('k', 2, options), JSON.stringify(options));
    }
    for (const pageSize of [0, -1, 1.5, 10_001, NaN]) {
      await refused('invalid-argument', async () => store.keys('**', { pageSize }), `${pageSize}`);
      await refused('invalid-argument', async () => store.entries('**', { pageSize }), `${pageSize}`);
    }
    await refused('invalid-argument', () => store.touch('k', {}));
    await refused('invalid-argument', () => store.touch('k', { ttl: null, sliding: true }));
    await refused('invalid-argument', () => store.persist('k', { ttl: 60 }));
    await refused('invalid-argument', () => store.increment('k', NaN));
    await refused('invalid-argument', () => store.increment('k', '1'));
    await refused('invalid-argument', () => store.setMetadata('k', null));
    await refused('invalid-argument', () => store.setMany([['a', 1], ['a', 2]]));
    await refused('invalid-argument', () => KVStore.open({ backend: 'memory', colour: 'red' }));
    await refused('invalid-argument', () => KVStore.open({ backend: 'sqlite' }));
    await refused('invalid-argument', async () => new KVStore());
    await refused('invalid-argument', async () => store.subscribe('**'));
    await refused('type-mismatch', () => store.set('t', 'x').then(() => store.increment('t')));
    await refused('overflow', () => store.set('n', 2n ** 63n - 1n).then(() => store.increment('n')));
    equal(await store.get('k'), 1);
  },

  async items_fail_alone({ open }) {
    const store = await open();
    const error = await refused('invalid-argument', () => store.setMany({ good: 1, 'bad.': 2, alsoGood: 3 }));
    equal([...error.failures.keys()], ['bad.']);
    equal(await store.keys(), ['alsoGood', 'good']);
  },

  async signals({ open }) {
    const store = await open();
    await store.setMany(Array.from({ length: 50 }, (_, at) => [`k.${at}`, at]));
    const reason = new Error('enough');
    const error = await refused('aborted', () => store.set('k', 1, { signal: AbortSignal.abort(reason) }));
    ok(error.cause === reason);
    equal(await store.get('k'), undefined);
    const controller = new AbortController();
    const slow = store.get('k.1', { signal: controller.signal });
    controller.abort();
    await refused('aborted', () => slow);
    const walk = new AbortController();
    let seen = 0;
    await refused('aborted', async () => {
      for await (const _ of store.keys('**', { pageSize: 10, signal: walk.signal })) {
        seen += 1;
        if (seen === 15) walk.abort();
      }
    });
    equal(seen, 20);
    equal(await store.get('k.1'), 1);
  },

  async after_close({ open }) {
    const store = await open();
    await store.set('k', 1);
    await store.close();
    await store.close();
    for (const call of [() => store.get('k'), () => store.set('k', 2), async () => store.keys(), () => store.increment('k')]) {
      await refused('closed', call);
    }
    await refused('closed', async () => store.subscribe('**', () => {}));
    const other = await open();
    await other[Symbol.asyncDispose]();
    await refused('closed', () => other.get('k'));
  },
});
