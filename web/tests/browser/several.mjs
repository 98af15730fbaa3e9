// Several tabs, a browser that dies, a full disk, another version of the package: what no single page can show.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from '../support/browser.mjs';
import { loaded } from '../support/page.mjs';

const TABS = 4;

export function several({ browser, url }) {
  /** Pages with the package in them; they are closed when `run` is done. */
  async function tabs(count, run, context = browser.context) {
    const pages = await Promise.all(Array.from({ length: count }, () => loaded(context, url)));
    try {
      return await run(pages);
    } finally {
      await Promise.all(pages.map((page) => page.close()));
    }
  }
  const fresh = () => `test-${crypto.randomUUID()}`;
  const everywhere = (pages, run, argument) => Promise.all(pages.map((page, tab) => page.evaluate(run, { ...argument, tab })));

  return {
    async increments_from_several_tabs_lose_nothing() {
      await tabs(TABS, async (pages) => {
        const name = fresh();
        const seen = await everywhere(
          pages,
          async ({ name }) => {
            const store = await KVStore.open({ name });
            const answers = [];
            for (let round = 0; round < 25; round += 1) answers.push(await store.increment('hot'));
            answers.push(...(await Promise.all(Array.from({ length: 50 }, () => store.increment('hot')))));
            await store.close();
            return answers;
          },
          { name },
        );
        const all = seen.flat().sort((a, b) => a - b);
        assert.deepEqual(all, Array.from({ length: TABS * 75 }, (_, at) => at + 1));
      });
    },

    async swaps_from_several_tabs_have_one_winner_each() {
      await tabs(TABS, async (pages) => {
        const name = fresh();
        const wins = await everywhere(
          pages,
          async ({ name, tab }) => {
            const store = await KVStore.open({ name });
            let won = 0;
            for (let round = 0; round < 25; ) {
              const there = await store.get('turn');
              if ((there?.round ?? 0) > round) round = there.round;
              else if (await store.compareAndSwap('turn', there, { round: round + 1, tab })) won += 1;
            }
            return won;
          },
          { name },
        );
        assert.equal(wins.reduce((a, b) => a + b), 25);
        const created = await everywhere(
          pages,
          async ({ name, tab }) => {
            const store = await KVStore.open({ name });
            const results = await Promise.all(
              Array.from({ length: 20 }, (_, at) => store.set(`lock.${at}`, tab, { ifAbsent: true })),
            );
            return results.map(({ written }) => written);
          },
          { name },
        );
        for (let at = 0; at < 20; at += 1) assert.equal(created.filter((tab) => tab[at]).length, 1);
      });
    },

    async appends_from_several_tabs_lose_nothing() {
      await tabs(TABS, async (pages) => {
        const name = fresh();
        await everywhere(
          pages,
          async ({ name, tab }) => {
            const store = await KVStore.open({ name });
            for (let round = 0; round < 20; round += 1) {
              await Promise.all([store.append('log', `[${tab}:${round}]`), store.append('list', { tab, round })]);
            }
          },
          { name },
        );
        const [log, list] = await pages[0].evaluate(async (name) => {
          const store = await KVStore.open({ name });
          return [await store.get('log'), await store.get('list')];
        }, name);
        for (let tab = 0; tab < TABS; tab += 1) {
          const own = Array.from({ length: 20 }, (_, round) => round);
          assert.deepEqual([...log.matchAll(/\[(\d):(\d+)\]/g)].filter(([, of]) => +of === tab).map(([, , round]) => +round), own);
          assert.deepEqual(list.filter((one) => one.tab === tab).map(({ round }) => round), own);
        }
      });
    },

    async changes_are_told_to_other_tabs() {
      await tabs(2, async ([here, there]) => {
        const name = fresh();
        await there.evaluate(async (name) => {
          globalThis.seen = [];
          const store = await KVStore.open({ name });
          store.subscribe('app.**', ({ type, key, local }) => seen.push([type, key, local]));
          await KVStore.open({ name, namespace: 'other' });
        }, name);
        await here.evaluate(async (name) => {
          const store = await KVStore.open({ name });
          await store.set('app.a', 1);
          await store.set('else', 1);
          await store.delete('app.a');
          await (await KVStore.open({ name, namespace: 'other' })).set('app.b', 1);
          await store.set('app.end', 1);
        }, name);
        await there.waitForFunction(() => seen.some(([, key]) => key === 'app.end'));
        assert.deepEqual(await there.evaluate(() => seen), [
          ['set', 'app.a', false],
          ['delete', 'app.a', false],
          ['set', 'app.end', false],
        ]);
      });
    },

    async a_cache_hears_of_what_other_tabs_write() {
      await tabs(2, async ([here, there]) => {
        const name = fresh();
        await there.evaluate(async (name) => {
          globalThis.store = await KVStore.open({ name, cache: 'memory' });
          await store.set('k', 1);
          await Promise.all([store.get('k'), store.get('none'), store.getMany(['k', 'other'])]);
          globalThis.told = new Promise((resolve) => store.subscribe('end', resolve));
        }, name);
        await here.evaluate(async (name) => {
          const other = await KVStore.open({ name });
          await other.setMany({ k: 2, none: 'now', other: 3 });
          await other.set('end', 1);
        }, name);
        const seen = await there.evaluate(async () => {
          await told;
          return [await store.get('k'), await store.get('none'), [...(await store.getMany(['k', 'other']))]];
        });
        assert.deepEqual(seen, [2, 'now', [['k', 2], ['other', 3]]]);
      });
    },

    async a_reload_finds_everything() {
      await tabs(1, async ([page]) => {
        const name = fresh();
        await page.evaluate(async (name) => {
          const store = await KVStore.open({ name });
          await store.set('k', { a: 1 }, { metadata: { by: 'me' }, ttl: 1000 });
        }, name);
        await page.reload();
        await page.waitForFunction(() => globalThis.KVStore !== undefined);
        const entry = await page.evaluate(async (name) => (await KVStore.open({ name })).entry('k'), name);
        assert.deepEqual([entry.value, entry.metadata], [{ a: 1 }, { by: 'me' }]);
        assert.ok(entry.expiresAt > entry.createdAt);
      });
    },

    async a_killed_browser_loses_nothing_acknowledged() {
      for (const durability of ['strict', 'relaxed']) {
        const profile = await mkdtemp(join(tmpdir(), 'kv-chromium-'));
        const name = fresh();
        let acknowledged = -1;
        try {
          const first = await launch({ profile, args: ['--remote-debugging-port=0'] });
          const page = await first.context.newPage();
          const enough = new Promise((resolve) => {
            page.exposeFunction('acknowledge', (at) => {
              acknowledged = at;
              if (at === 60) resolve();
            });
          });
          await page.goto(url);
          await page.waitForFunction(() => globalThis.KVStore !== undefined && globalThis.acknowledge !== undefined);
          page
            .evaluate(
              async ({ name, durability }) => {
                const store = await KVStore.open({ name, durability });
                for (let at = 0; ; at += 1) {
                  await Promise.all([store.set(`k.${at}`, at), store.set(`twin.${at}`, at), store.increment('count')]);
                  await acknowledge(at);
                }
              },
              { name, durability },
            )
            .catch(() => {});
          await enough;
          await first.kill();
          const second = await launch({ profile });
          const found = await tabs(
            1,
            ([page]) =>
              page.evaluate(async (name) => {
                const store = await KVStore.open({ name });
                return [await store.getPattern('k.*'), await store.getPattern('twin.*'), await store.get('count')].map((one) =>
                  one instanceof Map ? [...one.values()].sort((a, b) => a - b) : one,
                );
              }, name),
            second.context,
          );
          await second.close();
          const [keys, twins, count] = found;
          assert.ok(keys.length >= acknowledged + 1, `${durability}: ${keys.length} of ${acknowledged + 1} acknowledged`);
          assert.deepEqual(keys, keys.map((_, at) => at), `${durability}: none is missing in between`);
          assert.deepEqual(twins, keys, `${durability}: what shared a transaction is there or not, together`);
          assert.equal(count, keys.length, durability);
        } finally {
          await rm(profile, { recursive: true, force: true, maxRetries: 5 });
        }
      }
    },

    async a_full_disk_fails_the_write_and_nothing_else() {
      // A browser of its own: one remembers for a while how much space an origin has left.
      const small = await launch();
      try {
        await tabs(
          1,
          async ([page]) => {
            const session = await page.context().newCDPSession(page);
            await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(url).origin, quotaSize: 300_000 });
            const [told, after] = await page.evaluate(async (name) => {
              const store = await KVStore.open({ name });
              await store.set('before', 1);
              const large = () => crypto.getRandomValues(new Uint8Array(60_000));
              const told = [];
              for (let round = 0; round < 5; round += 1) {
                // Those of one tick share a transaction, and not their fate.
                const writes = [store.set(`small.${round}`, 'fits'), ...[0, 1, 2, 3].map((at) => store.set(`large.${round}.${at}`, large()))];
                for (const { status, reason } of await Promise.allSettled(writes)) {
                  told.push(status === 'fulfilled' ? 'written' : `${reason.name} ${reason.code} ${reason.message}`);
                }
              }
              await store.deletePattern('large.**');
              return [told, [await store.get('before'), await store.get('small.0'), await store.count('large.**')]];
            }, fresh());
            const refused = told.filter((one) => one !== 'written');
            assert.ok(refused.length > 0, 'the quota was not reached');
            for (const one of refused) assert.match(one, /^KvError unavailable .*no more space/);
            assert.equal(told[0], 'written', told.join('\n'));
            assert.deepEqual(after, [1, 'fits', 0]);
          },
          small.context,
        );
      } finally {
        await small.close();
      }
    },

    async a_blocked_upgrade_is_told_and_not_waited_for() {
      await tabs(2, async ([older, newer]) => {
        const name = fresh();
        // A tab with an older version that does not let go.
        await older.evaluate(
          (name) =>
            new Promise((resolve) => {
              const request = indexedDB.open(name, 1);
              request.onsuccess = () => {
                globalThis.held = request.result;
                resolve();
              };
            }),
          name,
        );
        const told = await newer.evaluate(async (name) => {
          try {
            await KVStore.open({ name, timeout: 0.5 });
            return 'opened';
          } catch (error) {
            return `${error.name} ${error.code} ${error.message}`;
          }
        }, name);
        assert.match(told, /^KvError unavailable .*another tab keeps an older version/);
        await older.evaluate(() => held.close());
        const value = await newer.evaluate(async (name) => {
          const store = await KVStore.open({ name });
          await store.set('k', 1);
          return store.get('k');
        }, name);
        assert.equal(value, 1);
      });
    },

    async a_newer_version_in_another_tab_ends_this_one_clearly() {
      await tabs(2, async ([older, newer]) => {
        const name = fresh();
        await older.evaluate(async (name) => {
          globalThis.store = await KVStore.open({ name });
          await store.set('k', 1);
        }, name);
        // Not held up by the older tab, which lets go at once.
        await newer.evaluate(
          (name) =>
            new Promise((resolve, reject) => {
              const request = indexedDB.open(name, 1000);
              request.onblocked = () => reject(new Error('blocked'));
              request.onsuccess = () => {
                request.result.close();
                resolve();
              };
            }),
          name,
        );
        const told = await older.evaluate(() => store.get('k').catch((error) => `${error.code} ${error.message}`));
        assert.match(told, /^unsupported .*newer version/);
      });
    },

    async a_database_that_is_deleted_is_made_anew() {
      await tabs(2, async ([page, other]) => {
        const name = fresh();
        await page.evaluate(async (name) => {
          globalThis.store = await KVStore.open({ name });
          await store.set('k', 1);
        }, name);
        await other.evaluate(
          (name) =>
            new Promise((resolve, reject) => {
              const request = indexedDB.deleteDatabase(name);
              request.onblocked = () => reject(new Error('blocked'));
              request.onsuccess = resolve;
            }),
          name,
        );
        const values = await page.evaluate(async () => {
          const gone = await store.get('k');
          await Promise.all([store.set('k', 2), store.increment('n')]);
          return [gone ?? null, await store.get('k'), await store.get('n')];
        });
        assert.deepEqual(values, [null, 2, 1]);
      });
    },

    async a_database_that_the_browser_closes_is_opened_again() {
      await tabs(1, async ([page]) => {
        const name = fresh();
        await page.evaluate(async (name) => {
          globalThis.store = await KVStore.open({ name });
          await store.set('k', 1);
        }, name);
        const session = await page.context().newCDPSession(page);
        // As "Clear site data" does: connections are closed by force.
        const writing = page.evaluate(async () => {
          const outcomes = [];
          for (let round = 0; round < 200; round += 1) {
            outcomes.push(await store.increment('n').then(() => 'ok', (error) => error.code ?? String(error)));
          }
          return outcomes;
        });
        await session.send('Storage.clearDataForOrigin', { origin: new URL(url).origin, storageTypes: 'indexeddb' });
        const outcomes = await writing;
        for (const outcome of outcomes) assert.ok(['ok', 'unavailable'].includes(outcome), outcome);
        const last = await page.evaluate(async () => {
          await store.set('k', 2);
          return [await store.get('k'), typeof (await store.increment('n'))];
        });
        assert.deepEqual(last, [2, 'number']);
      });
    },

    async records_of_others_are_corrupt_and_can_be_removed() {
      await tabs(1, async ([page]) => {
        const told = await page.evaluate(async (name) => {
          const store = await KVStore.open({ name });
          await store.setMany({ a: 'x', b: 'y', c: 'z' });
          const database = await new Promise((resolve) => {
            const request = indexedDB.open(name);
            request.onsuccess = () => resolve(request.result);
          });
          const entries = database.transaction('entries', 'readwrite').objectStore('entries');
          await new Promise((resolve) => {
            entries.put('nonsense', 'default\ta');
            const request = entries.get('default\tb');
            request.onsuccess = () => {
              entries.put({ ...request.result, value: 'changed' }, 'default\tb').onsuccess = resolve;
            };
          });
          database.close();
          const code = (promise) => promise.then((value) => value, (error) => error.code);
          return [
            await code(store.get('a')),
            await code(store.get('b')),
            await code(store.get('c')),
            await store.keys(),
            await code(store.set('a', 1).then(() => store.get('a'))),
            await code(store.delete('b')),
            await store.keys(),
          ];
        }, fresh());
        assert.deepEqual(told, ['corrupt', 'corrupt', 'z', ['a', 'b', 'c'], 1, true, ['a', 'c']]);
      });
    },

    async strict_and_relaxed_share_a_database() {
      await tabs(1, async ([page]) => {
        const values = await page.evaluate(async (name) => {
          const strict = await KVStore.open({ name, durability: 'strict' });
          const relaxed = await KVStore.open({ name });
          await Promise.all([strict.set('a', 1), relaxed.set('b', 2)]);
          const refused = await KVStore.open({ name, durability: 'certain' }).catch((error) => error.code);
          return [await relaxed.get('a'), await strict.get('b'), refused];
        }, fresh());
        assert.deepEqual(values, [1, 2, 'invalid-argument']);
      });
    },

    async where_there_is_no_database() {
      await tabs(1, async ([page]) => {
        const told = await page.evaluate(async () => {
          Object.defineProperty(globalThis, 'indexedDB', { value: undefined, configurable: true });
          const code = await KVStore.open().catch((error) => error.code);
          const memory = await KVStore.open({ backend: 'memory' });
          await memory.set('k', 1);
          return [code, await memory.get('k')];
        });
        assert.deepEqual(told, ['unsupported', 1]);
      });
    },
  };
}
