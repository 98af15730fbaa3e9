// What `docs/layers.md` promises of the cache, over a service whose requests are counted.
import assert from 'node:assert/strict';
import * as package_ from '../../dist/index.js';
import { proxy } from '../support/proxy.mjs';
import { service } from '../support/service.mjs';

const { KVStore } = package_;

export function cache() {
  const tests = {};
  const test = (name, run, options = {}) => {
    tests[name] = async () => {
      const real = await service();
      const between = await proxy(real.url);
      const store = await KVStore.open({ backend: 'http', url: between.url, cache: 'memory', ...options });
      // At another address, and so nobody tells the cache of what it writes: like another machine.
      const other = await KVStore.open({ backend: 'http', url: real.url });
      /** How many requests that took. */
      const asked = async (call) => {
        const before = between.state.requests.length;
        await call();
        return between.state.requests.length - before;
      };
      /** Some time later, by the clock that nobody sets, or by the one that expiry goes by. */
      const { now } = performance;
      const later = (seconds) => {
        performance.now = () => now.call(performance) + seconds * 1000;
      };
      const date = Date.now;
      const expired = (seconds) => {
        Date.now = () => date() + seconds * 1000;
        real.ahead(seconds);
      };
      try {
        await run({ store, other, asked, between, later, expired });
      } finally {
        delete performance.now;
        Date.now = date;
        await store.close();
        await other.close();
        await between.close();
        await real.stop();
      }
    };
  };

  test('reads_are_answered_from_it_absence_too', async ({ store, other, asked }) => {
    await other.setMany({ a: 1, b: 'two' }, { metadata: { by: 'me' }, ttl: 1000 });
    assert.equal(await asked(() => store.get('a')), 1);
    assert.equal(
      await asked(async () => {
        assert.equal(await store.get('a'), 1);
        assert.deepEqual((await store.entry('a')).metadata, { by: 'me' });
        assert.deepEqual((await store.describe('a')).metadata, { by: 'me' });
        assert.ok((await store.ttl('a')) > 900);
        assert.ok(await store.exists('a'));
        assert.deepEqual(await store.getMany(['a']), new Map([['a', 1]]));
      }),
      0,
    );
    assert.equal(await asked(() => store.get('none')), 1);
    assert.equal(await asked(async () => assert.equal(await store.get('none'), undefined)), 0);
    assert.equal(await asked(() => store.getMany(['a', 'none', 'b'])), 1, 'only for what is not known');
    assert.equal(await asked(() => store.getMany(['a', 'none', 'b'])), 0);
    assert.equal(await asked(async () => assert.equal(await store.get('b'), 'two')), 0);
    // Without the value is not enough for one who wants it.
    await other.set('c', 3);
    await store.describe('c');
    assert.equal(await asked(async () => assert.equal(await store.get('c'), 3)), 1);
    assert.equal(await asked(() => store.describe('c')), 0);
  });

  test('what_lists_goes_past_it', async ({ store, other }) => {
    await store.set('a', 1);
    await store.get('a');
    await other.set('a', 2);
    assert.equal(await store.get('a'), 1, 'it does keep answers');
    assert.deepEqual(await store.getPattern('*'), new Map([['a', 2]]));
    assert.equal(await store.count(), 1);
  });

  test('callers_that_miss_together_ask_once', async ({ store, other, asked }) => {
    await other.set('a', 1);
    const together = () => Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 ? store.get('a') : store.getMany(['a', 'b']))));
    assert.ok((await asked(together)) <= 2);
    const controller = new AbortController();
    assert.equal(
      await asked(async () => {
        const gives = store.get('c', { signal: controller.signal });
        const waits = store.get('c');
        controller.abort();
        await assert.rejects(gives, { code: 'aborted' });
        assert.equal(await waits, undefined);
      }),
      1,
      'one that gives up holds nobody up',
    );
  });

  test('own_writes_are_seen_at_once', async ({ store }) => {
    const sees = async (write, expected) => {
      await store.get('k');
      await write();
      assert.deepEqual(await store.get('k'), expected, String(write));
    };
    await sees(() => store.set('k', 1), 1);
    await sees(() => store.set('k', 0, { ifAbsent: true }), 1);
    await sees(() => store.increment('k'), 2);
    await sees(() => store.compareAndSwap('k', 2, 'a'), 'a');
    await sees(() => store.append('k', 'b'), 'ab');
    await sees(() => store.setMany({ k: 3, l: 1 }), 3);
    await sees(() => store.transact([], [{ set: 'k', value: 4 }, { delete: 'l' }]), 4);
    await sees(() => store.delete('k'), undefined);
    await sees(() => store.set('k', 5), 5);
    await sees(() => store.deleteMany(['k']), undefined);
    await sees(() => store.set('k', 6), 6);
    await sees(() => store.deletePattern('*'), undefined);
    await sees(() => store.set('k', 7), 7);
    await sees(() => store.clear(), undefined);
    await store.set('k', 8);
    await store.describe('k');
    await store.setMetadata('k', { a: 1 });
    assert.deepEqual(await store.getMetadata('k'), { a: 1 });
    await store.touch('k', 100);
    assert.ok((await store.ttl('k')) > 90);
    await store.persist('k');
    assert.equal(await store.ttl('k'), null);
  });

  test('also_while_a_read_of_the_old_state_is_under_way', async ({ store, other, between }) => {
    await other.set('k', 'old');
    // The service has answered: no question comes before the write.
    await store.set('first', 1);
    let release;
    between.state.hold = new Promise((resolve) => (release = resolve));
    const before = Promise.all([store.get('k'), store.getMany(['x', 'k'])]);
    while (between.state.held < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    between.state.hold = undefined;
    await store.set('k', 'new');
    assert.equal(await store.get('k'), 'new', 'it does not wait for the older read');
    release();
    assert.deepEqual(await before, ['old', new Map([['k', 'old']])]);
    assert.equal(await store.get('k'), 'new', 'nor is the old one kept');
  });

  test('also_after_a_write_whose_outcome_is_unknown', async ({ store, between }) => {
    await store.set('k', 1);
    await store.get('k');
    between.state.cut = true;
    await assert.rejects(store.set('k', 2), { code: 'outcome-unknown' });
    between.state.cut = false;
    assert.equal(await store.get('k'), 2);
  });

  test('writes_of_others_are_seen_after_the_ttl', async ({ store, other, later }) => {
    await other.set('k', 1);
    await store.get('k');
    await other.set('k', 2);
    later(29);
    assert.equal(await store.get('k'), 1);
    later(31);
    assert.equal(await store.get('k'), 2);
    assert.equal((await store.capabilities()).staleReadsMs, 30_000);
    assert.equal((await other.capabilities()).staleReadsMs, undefined);
  }, { cacheTtl: 30 });

  test('the_age_counts_from_the_beginning_of_the_read', async ({ store, other, later, between }) => {
    await other.set('k', 1);
    let release;
    between.state.hold = new Promise((resolve) => (release = resolve));
    const slow = store.get('k');
    while (between.state.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    later(31);
    release();
    await slow;
    between.state.hold = undefined;
    await other.set('k', 2);
    assert.equal(await store.get('k'), 2);
  }, { cacheTtl: 30 });

  test('what_other_tabs_write_is_seen_when_they_have_told', async ({ store, between }) => {
    const tab = await KVStore.open({ backend: 'http', url: between.url });
    await tab.set('k', 1);
    await tab.set('l', 1);
    const told = (key) => new Promise((resolve) => store.subscribe(key, resolve));
    for (const write of [() => tab.set('k', 2), () => tab.delete('k'), () => tab.deletePattern('**')]) {
      await Promise.all([store.get('k'), store.get('l')]);
      const heard = told('k');
      await write();
      await heard;
      assert.deepEqual([await store.get('k'), await store.get('l')], [await tab.get('k'), await tab.get('l')], String(write));
    }
    await tab.close();
  });

  test('expiry_is_honoured', async ({ store, other, asked, expired }) => {
    await other.setMany({ a: 1, b: 1 }, { ttl: 60 });
    await store.getMany(['a', 'b']);
    await other.touch('b', 600);
    expired(61);
    assert.equal(await asked(async () => assert.equal(await store.get('a'), undefined)), 1, 'somebody may have renewed it');
    assert.equal(await store.get('b'), 1, 'as here');
    // Each read moves it: none is spared.
    await store.set('sliding', 1, { ttl: 60, sliding: true });
    assert.equal(await asked(async () => { await store.get('sliding'); await store.get('sliding'); }), 2);
  });

  test('conditions_are_decided_by_the_backend', async ({ store, other }) => {
    const { version } = await store.set('k', 1);
    assert.equal(await store.get('k'), 1);
    await other.set('k', 2);
    assert.equal(await store.compareAndSwap('k', 1, 3), false);
    assert.equal(await store.get('k'), 2, 'a lost race clears the key');
    await store.get('gone');
    await other.set('gone', 1);
    assert.equal((await store.set('gone', 2, { ifAbsent: true })).written, false);
    await store.get('k');
    await other.set('k', 4);
    assert.equal((await store.transact([{ key: 'k', ifVersion: version }], [{ set: 'x', value: 1 }])).committed, false);
    assert.equal(await store.get('k'), 4);
    await other.set('n', 5);
    await store.get('n');
    await other.set('n', 6);
    assert.equal(await store.increment('n'), 7);
  });

  test('it_keeps_as_much_as_it_may', async ({ store, asked }) => {
    await store.setMany({ a: 1, b: 2, c: 3 });
    for (const key of ['a', 'b', 'c']) await store.get(key);
    assert.equal(await asked(() => store.get('c')), 0);
    assert.equal(await asked(() => store.get('b')), 0);
    assert.equal(await asked(() => store.get('a')), 1, 'the one that was used longest ago has gone');
    // An entry of more than 64 KiB counts twice, one of more than the cache holds is not kept.
    await store.set('large', new Uint8Array(100_000));
    await store.get('large');
    assert.equal(await asked(() => store.get('large')), 0);
    assert.equal(await asked(() => store.get('a')), 1);
    await store.set('huge', new Uint8Array(200_000));
    await store.get('huge');
    assert.equal(await asked(() => store.get('huge')), 1);
  }, { cacheSize: 2 });

  test('what_a_caller_changes_is_his_own', async ({ store }) => {
    await store.setMany({ bytes: new Uint8Array([1, 2, 3]), json: { a: [1] } });
    (await store.get('bytes'))[0] = 9;
    (await store.get('bytes'))[1] = 9;
    (await store.get('json')).a.push(2);
    assert.deepEqual(await store.get('bytes'), new Uint8Array([1, 2, 3]));
    assert.deepEqual(await store.get('json'), { a: [1] });
  });

  test('an_error_is_not_kept', async ({ store, between }) => {
    await store.set('k', 1);
    between.state.cut = true;
    await assert.rejects(store.get('k'), { code: 'unavailable' });
    await assert.rejects(store.getMany(['k', 'l']), { code: 'unavailable' });
    between.state.cut = false;
    assert.equal(await store.get('k'), 1);
    await assert.rejects(store.getMany(['k', 'bad.']), { code: 'invalid-argument' });
    assert.equal(await store.get('k'), 1);
  });

  tests['options_that_are_wrong'] = async () => {
    for (const options of [
      { cache: 'redis' }, { cacheTtl: 5 }, { cacheSize: 5 }, { cache: 'none', cacheTtl: 5 }, { cache: 'memory', cacheTtl: 0 },
      { cache: 'memory', cacheTtl: 86_401 }, { cache: 'memory', cacheTtl: '5' }, { cache: 'memory', cacheSize: 0 },
      { cache: 'memory', cacheSize: 1.5 }, { cache: 'memory', cacheSize: 100_000_001 },
    ]) {
      await assert.rejects(KVStore.open({ backend: 'memory', ...options }), { code: 'invalid-argument' }, JSON.stringify(options));
    }
    const store = await KVStore.open({ backend: 'memory', cache: 'memory', cacheTtl: 0.5, cacheSize: 1 });
    await store.set('k', 1);
    assert.equal(await store.get('k'), 1);
    await store.close();
  };

  return tests;
}
