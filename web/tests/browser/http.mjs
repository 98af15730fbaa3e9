// A service that goes away and comes back, refuses, or does not answer: in Node and in a page.
import assert from 'node:assert/strict';
import * as package_ from '../../dist/index.js';
import { loaded } from '../support/page.mjs';
import { proxy } from '../support/proxy.mjs';
import { service } from '../support/service.mjs';

export function http({ browser, url: origin }) {
  /** Both kinds of places: `run(step)`, where a step is a function that sees the package and what earlier steps left. */
  const places = {
    async node(run) {
      const world = { ...package_ };
      await run((step, argument) => step(world, argument));
      await world.store?.close();
    },
    async window(run) {
      const page = await loaded(browser.context, origin);
      try {
        await run((step, argument) => page.evaluate(`(${step})(globalThis, ${JSON.stringify(argument)})`));
      } finally {
        await page.close();
      }
    },
  };
  const tests = {};
  const everywhere = (name, test) => {
    for (const [place, run] of Object.entries(places)) {
      tests[`${place}::${name}`] = () => run((step) => test(step, place));
    }
  };
  const open = async (world, options) => {
    world.told = (call) => call.then((value) => value ?? null, (error) => `${error.name} ${error.code}`);
    world.store = await world.KVStore.open({ backend: 'http', ...options });
  };

  everywhere('a_service_that_was_killed_is_unavailable_until_it_is_back', async (step, place) => {
    const first = await service({ origin });
    await step(open, { url: first.url });
    await step((world) => world.store.set('k', 1));
    await first.kill();
    const gone = await step(async ({ store, told }) => [
      await told(store.get('k')), await told(store.set('k', 2)), await told(store.increment('n')), await told(store.keys().all()),
    ]);
    assert.deepEqual(gone, Array(4).fill('KvError unavailable'), place);
    const second = await service({ origin, listen: new URL(first.url).host });
    const back = await step(async ({ store, told }) => [await told(store.get('k')), (await store.set('k', 2)).written, await store.get('k')]);
    assert.deepEqual(back, [null, true, 2]);
    await second.stop();
  });

  everywhere('a_write_to_a_service_that_was_never_there_is_unavailable', async (step) => {
    const once = await service({ origin });
    await once.kill();
    await step(open, { url: once.url });
    assert.equal(await step(({ store, told }) => told(store.set('k', 2))), 'KvError unavailable');
  });

  everywhere('an_answer_that_is_lost_leaves_the_outcome_unknown', async (step) => {
    const real = await service({ origin });
    const between = await proxy(real.url);
    await step(open, { url: between.url });
    await step((world) => world.store.set('k', 1));
    between.state.cut = true;
    assert.equal(await step(({ store, told }) => told(store.set('k', 2))), 'KvError outcome-unknown');
    assert.equal(await step(({ store, told }) => told(store.get('k'))), 'KvError unavailable');
    between.state.cut = false;
    assert.equal(await step(({ store }) => store.get('k')), 2, 'it was applied');
    await between.close();
    await real.stop();
  });

  everywhere('no_call_waits_beyond_its_deadline', async (step) => {
    const real = await service({ origin });
    const between = await proxy(real.url);
    await step(open, { url: between.url, timeout: 0.5 });
    await step((world) => world.store.set('k', 1));
    between.state.mute = true;
    assert.equal(await step(({ store, told }) => told(store.get('k'))), 'KvError unavailable');
    between.state.mute = false;
    await step((world) => world.store.set('k', 1));
    between.state.mute = true;
    assert.equal(await step(({ store, told }) => told(store.set('k', 2))), 'KvError outcome-unknown');
    assert.equal(await step(({ store, told }) => told(store.set('k', 3))), 'KvError unavailable', 'it was not sent');
    await between.close();
    await real.stop();
  });

  everywhere('a_token_opens_and_no_other_does', async (step) => {
    const guarded = await service({ origin, token: 'right' });
    await step(open, { url: guarded.url, token: 'right' });
    assert.deepEqual(await step(async ({ store }) => [(await store.set('k', 1)).written, await store.get('k')]), [true, 1]);
    for (const token of ['wrong', undefined]) {
      await step(open, { url: guarded.url, ...(token === undefined ? {} : { token }) });
      const refused = await step(async ({ store, told }) => [await told(store.get('k')), await told(store.set('k', 2))]);
      assert.deepEqual(refused, Array(2).fill('KvError access-denied'));
    }
    await guarded.stop();
  });

  everywhere('a_default_ttl_of_the_namespace_gives_way_to_never', async (step) => {
    const real = await service({ origin, defaultTtl: { team: 60 } });
    for (const cache of ['none', 'memory']) {
      await step(open, { url: real.url, namespace: 'team', cache });
      const ttls = await step(async ({ KVStore, migrateStore, store }) => {
        await store.clear();
        const never = { ttl: null };
        const source = await KVStore.open({ backend: 'memory' });
        await source.set('copied', 1, { metadata: { ttl: 5 }, ...never });
        await migrateStore(source, store);
        await store.set('default', 1);
        await store.set('set', 1, never);
        await store.setMany({ many: 1 }, never);
        await store.increment('incremented', 1, never);
        await store.append('appended', 'a', never);
        await store.compareAndSwap('swapped', undefined, 1, never);
        await store.transact([], [{ set: 'transacted', value: 1, ...never }]);
        await store.set('touched', 1);
        await store.touch('touched', null);
        return Promise.all((await store.keys()).map(async (key) => [key, (await store.ttl(key)) === null]));
      });
      assert.deepEqual(ttls, [
        ['appended', true], ['copied', true], ['default', false], ['incremented', true], ['many', true], ['set', true],
        ['swapped', true], ['touched', true], ['transacted', true],
      ]);
    }
    await real.stop();
  });

  tests['window::a_page_that_is_not_allowed_is_refused'] = () =>
    places.window(async (step) => {
      const strict = await service();
      await step(open, { url: strict.url });
      const refused = await step(async ({ store, told }) => [await told(store.get('k')), await told(store.set('k', 2))]);
      assert.deepEqual(refused, Array(2).fill('KvError unavailable'));
      await strict.stop();
    });

  tests['worker::a_store_and_its_cache'] = () =>
    places.window(async (step) => {
      const real = await service({ origin });
      const answer = await step((_, url) => {
        const worker = new Worker('/pages/http-worker.js', { type: 'module' });
        const answer = new Promise((resolve) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => resolve(message);
        });
        worker.postMessage(url);
        return answer;
      }, real.url);
      assert.deepEqual(answer, [{ a: 1 }, 1, ['k', 'n']]);
      await real.stop();
    });

  tests['node::addresses_and_tokens_that_are_none'] = async () => {
    const { KVStore } = package_;
    const code = (options) => KVStore.open({ backend: 'http', ...options }).then(() => 'opened', (error) => `${error.name} ${error.code}`);
    const url = 'http://127.0.0.1:1';
    for (const options of [
      {}, { url: 5 }, { url: 'kv' }, { url: '/relative' }, { url: 'ftp://host' }, { url: 'http://user:secret@host' },
      { url: 'http://host/?q' }, { url: 'http://host/#f' }, { url, token: '' }, { url, token: 'a b' }, { url, token: 'é' },
      { url, token: 5 }, { url, name: 'x' }, { url, durability: 'strict' }, { url, timeout: 0 },
    ]) {
      assert.equal(await code(options), 'KvError invalid-argument', JSON.stringify(options));
    }
    await assert.rejects(KVStore.open({ url }), { code: 'invalid-argument' });
    assert.equal(await code({ url: new URL(url) }), 'opened');
  };

  tests['window::changes_are_told_to_other_tabs'] = () =>
    places.window((here) =>
      places.window(async (there) => {
        const real = await service({ origin });
        for (const step of [here, there]) await step(open, { url: real.url });
        await there((world) => {
          world.seen = [];
          world.store.subscribe('app.**', ({ type, key, local }) => world.seen.push([type, key, local]));
          world.end = new Promise((resolve) => world.store.subscribe('end', resolve));
        });
        await here(async ({ store }) => {
          await store.setMany({ 'app.a': 1, else: 2, 'app.b': 2 });
          await store.transact([], [{ set: 'app.c', value: 1 }, { delete: 'app.a' }]);
          await store.set('app.c', 1, { ifAbsent: true });
          await store.compareAndSwap('app.c', 1, 2);
          await store.deleteMany(['app.c', 'app.none']);
          await store.deletePattern('app.b');
          await store.deletePattern('app.*');
          await store.set('app.d', 1);
          await store.deletePattern('app.*');
          await store.clear();
          await store.set('end', 1);
        });
        await there(({ end }) => end.then(() => null));
        assert.deepEqual(await there(({ seen }) => seen), [
          ['set', 'app.a', false], ['set', 'app.b', false], ['set', 'app.c', false], ['delete', 'app.a', false],
          ['set', 'app.c', false], ['delete', 'app.c', false], ['delete', 'app.b', false], ['set', 'app.d', false],
          ['deletePattern', 'app.*', false], ['clear', '', false],
        ]);
        await real.stop();
      }),
    );

  return tests;
}
