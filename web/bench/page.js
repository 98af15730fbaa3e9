// Measures, in a page: this package beside what else there is, round by round in turn.
import Dexie from 'dexie';
import { createStore, getMany as keyvalGetMany, keys as keyvalKeys, get as keyvalGet, set as keyvalSet, setMany as keyvalSetMany } from 'idb-keyval';
import localforage from 'localforage';
import { createStorage } from 'unstorage';
import indexedDbDriver from 'unstorage/drivers/indexedb';
import { KVStore } from '../dist/index.js';

const ROUNDS = 7;
/** Rounds before, where one takes no longer than a blink. */
const WARM = 15;
const id = () => crypto.randomUUID();
const pad = (at) => String(at).padStart(6, '0');

const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];

/** Each in turn, `ROUNDS` times: milliseconds by name. */
async function turns(rivals, rounds = ROUNDS, warm = 1) {
  const times = Object.fromEntries(Object.keys(rivals).map((name) => [name, []]));
  for (let round = 1 - warm; round <= rounds; round += 1) {
    for (const [name, run] of Object.entries(rivals)) {
      const began = performance.now();
      await run(round);
      // The first ones are for warming up: engines compile what runs often.
      if (round > 0) times[name].push(performance.now() - began);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}

const promised = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function bare(options = {}) {
  const request = indexedDB.open(id(), 1);
  request.onupgradeneeded = () => request.result.createObjectStore('kv');
  const database = await promised(request);
  return {
    database,
    store: (mode) => database.transaction('kv', mode, options).objectStore('kv'),
    set(key, value) {
      const transaction = database.transaction('kv', 'readwrite', options);
      transaction.objectStore('kv').put(value, key);
      return new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
    },
  };
}

async function dexie() {
  const database = new Dexie(id());
  database.version(1).stores({ kv: '' });
  await database.open();
  return database;
}

const value = (at) => ({ at, name: `entry ${at}`, tags: ['a', 'b'] });
const batch = (prefix, count) => Array.from({ length: count }, (_, at) => [`${prefix}.${pad(at)}`, value(at)]);

/** What is measured: rows of the table. */
const measures = {
  async 'set, one after the other'() {
    const [ours, theirs] = [await KVStore.open({ name: id() }), createStore(id(), 'kv')];
    const times = await turns({
      ours: async () => {
        for (let at = 0; at < 100; at += 1) await ours.set(`k.${at}`, value(at));
      },
      'idb-keyval': async () => {
        for (let at = 0; at < 100; at += 1) await keyvalSet(`k.${at}`, value(at), theirs);
      },
    }, ROUNDS, WARM);
    return [times, { 'idb-keyval': [1.25, 0.95] }];
  },

  async 'get, one after the other'() {
    const [ours, theirs] = [await KVStore.open({ name: id() }), createStore(id(), 'kv')];
    await ours.setMany(batch('k', 100));
    await keyvalSetMany(batch('k', 100), theirs);
    const times = await turns({
      ours: async () => {
        for (let at = 0; at < 100; at += 1) await ours.get(`k.${pad(at)}`);
      },
      'idb-keyval': async () => {
        for (let at = 0; at < 100; at += 1) await keyvalGet(`k.${pad(at)}`, theirs);
      },
    }, ROUNDS, WARM);
    return [times, { 'idb-keyval': [1.25, 0.95] }];
  },

  async '`Promise.all` of 500 sets'() {
    const [ours, theirs] = [await KVStore.open({ name: id() }), createStore(id(), 'kv')];
    const all = batch('k', 500);
    const times = await turns({
      ours: () => Promise.all(all.map(([key, one]) => ours.set(key, one))),
      'idb-keyval': () => Promise.all(all.map(([key, one]) => keyvalSet(key, one, theirs))),
    });
    return [times, { 'idb-keyval': [0.35, 0.2] }];
  },

  async '`Promise.all` of 500 gets'() {
    const [ours, theirs] = [await KVStore.open({ name: id() }), createStore(id(), 'kv')];
    const all = batch('k', 500);
    await ours.setMany(all);
    await keyvalSetMany(all, theirs);
    const times = await turns({
      ours: () => Promise.all(all.map(([key]) => ours.get(key))),
      'idb-keyval': () => Promise.all(all.map(([key]) => keyvalGet(key, theirs))),
    });
    return [times, { 'idb-keyval': [0.8, 0.5] }];
  },

  async '`setMany` of 10,000 new keys'() {
    const [ours, theirs, table] = [await KVStore.open({ name: id() }), createStore(id(), 'kv'), await dexie()];
    const times = await turns(
      {
        ours: (round) => ours.setMany(batch(`r${round}`, 10_000)),
        'idb-keyval': (round) => keyvalSetMany(batch(`r${round}`, 10_000), theirs),
        'Dexie bulkPut': (round) => {
          const all = batch(`r${round}`, 10_000);
          return table.table('kv').bulkPut(all.map(([, one]) => one), all.map(([key]) => key));
        },
      },
      5,
    );
    const forage = localforage.createInstance({ name: id() });
    const unstorage = createStorage({ driver: indexedDbDriver({ base: 'b', dbName: id() }) });
    // A tenth of it: they open a transaction for each, and 10,000 take minutes.
    const slow = await turns(
      {
        ours: (round) => ours.setMany(batch(`s${round}`, 1000)),
        localForage: (round) => Promise.all(batch(`s${round}`, 1000).map(([key, one]) => forage.setItem(key, one))),
        unstorage: (round) => unstorage.setItems(batch(`s${round}`, 1000).map(([key, one]) => ({ key, value: one }))),
      },
      3,
    );
    return [
      times,
      { 'idb-keyval': [1.5, 1.1], 'Dexie bulkPut': [1.5, 1.1] },
      ['`setMany` of 1000 new keys', slow, { localForage: [0.25, 0.15], unstorage: [0.25, 0.15] }],
    ];
  },

  async '`getMany` of 10,000'() {
    const [ours, theirs, table] = [await KVStore.open({ name: id() }), createStore(id(), 'kv'), await dexie()];
    const all = batch('k', 10_000);
    const keys = all.map(([key]) => key);
    await ours.setMany(all);
    await keyvalSetMany(all, theirs);
    await table.table('kv').bulkPut(all.map(([, one]) => one), keys);
    const times = await turns(
      {
        ours: () => ours.getMany(keys),
        'idb-keyval': () => keyvalGetMany(keys, theirs),
        'Dexie bulkGet': () => table.table('kv').bulkGet(keys),
      },
      5,
    );
    return [times, { 'idb-keyval': [1.3, 1.0], 'Dexie bulkGet': [1.3, 1.0] }];
  },

  async 'keys by prefix, 1000 of 100,000'() {
    const [ours, theirs, plain] = [await KVStore.open({ name: id() }), createStore(id(), 'kv'), await bare()];
    for (let group = 0; group < 100; group += 1) {
      const all = batch(`g${pad(group)}`, 1000).map(([key], at) => [key, at]);
      await ours.setMany(all);
      await keyvalSetMany(all, theirs);
      const store = plain.store('readwrite');
      for (const [key, one] of all) store.put(one, key);
    }
    const prefix = `g${pad(50)}.`;
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const regexp = /^g0+5[0-9]\.\d*7$/;
    const times = await turns(
      {
        ours: () => ours.keys(`${prefix}*`),
        'bare key range': () => promised(plain.store('readonly').getAllKeys(range)),
        'idb-keyval, filtered': async () => (await keyvalKeys(theirs)).filter((key) => key.startsWith(prefix)),
      },
      7,
    );
    const glob = await turns(
      {
        ours: () => ours.keys('*.*7'),
        'all keys and a RegExp': async () => (await promised(plain.store('readonly').getAllKeys())).filter((key) => regexp.test(key)),
      },
      5,
    );
    return [
      times,
      { 'bare key range': [2, 1.3], 'idb-keyval, filtered': [0.1, 0.03] },
      ['free glob over 100,000 keys', glob, { 'all keys and a RegExp': [1.5, 1.1] }],
    ];
  },

  async 'page of 1000 keys with values'() {
    const [ours, plain] = [await KVStore.open({ name: id() }), await bare()];
    const all = batch('k', 1000);
    await ours.setMany(all);
    const store = plain.store('readwrite');
    for (const [key, one] of all) store.put(one, key);
    const times = await turns({
      ours: () => ours.getPattern('k.*'),
      // Values are made when they are looked at.
      'bare getAllRecords': async () => {
        const records = await promised(plain.store('readonly').getAllRecords({ count: 1000 }));
        return new Map(records.map((record) => [record.key, record.value]));
      },
    }, ROUNDS, WARM);
    return [times, { 'bare getAllRecords': [2, 1.3] }];
  },

  async 'set of 100 KiB'() {
    const [ours, theirs] = [await KVStore.open({ name: id() }), createStore(id(), 'kv')];
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const large = new Uint8Array(102_400);
    large.set(bytes);
    const each = async (call) => {
      for (let at = 0; at < 20; at += 1) await call(at);
    };
    const times = await turns({
      ours: () => each((at) => ours.set(`k.${at}`, large)),
      'idb-keyval': () => each((at) => keyvalSet(`k.${at}`, large, theirs)),
    }, ROUNDS, WARM);
    const read = await turns({
      ours: () => each((at) => ours.get(`k.${at}`)),
      'idb-keyval': () => each((at) => keyvalGet(`k.${at}`, theirs)),
    }, ROUNDS, WARM);
    return [times, { 'idb-keyval': [1.25, 1.1] }, ['get of 100 KiB', read, { 'idb-keyval': [1.25, 1.1] }]];
  },

  async '200 increments of one key at once'() {
    const [ours, table] = [await KVStore.open({ name: id() }), await dexie()];
    await table.table('kv').put(0, 'n');
    const times = await turns({
      ours: () => Promise.all(Array.from({ length: 200 }, () => ours.increment('n'))),
      'Dexie transaction': () =>
        Promise.all(
          Array.from({ length: 200 }, () =>
            table.transaction('rw', 'kv', async () => {
              await table.table('kv').put((await table.table('kv').get('n')) + 1, 'n');
            }),
          ),
        ),
    });
    const [counted, theirs] = [await ours.get('n'), await table.table('kv').get('n')];
    if (counted !== 200 * (ROUNDS + 1) || theirs !== counted) throw new Error(`lost: ${counted}, ${theirs}`);
    return [times, { 'Dexie transaction': [0.8, 0.3] }];
  },

  async 'strict, `Promise.all` of 200 sets'() {
    const [ours, plain] = [await KVStore.open({ name: id(), durability: 'strict' }), await bare({ durability: 'strict' })];
    const all = batch('k', 200);
    const times = await turns(
      {
        ours: () => Promise.all(all.map(([key, one]) => ours.set(key, one))),
        'bare, one by one': async () => {
          for (const [key, one] of all) await plain.set(key, one);
        },
      },
      5,
    );
    return [times, { 'bare, one by one': [0.5, 0.2] }];
  },
};

globalThis.measure = async (only) => {
  const rows = [];
  for (const [what, run] of Object.entries(measures)) {
    if (only !== undefined && !what.includes(only)) continue;
    const began = performance.now();
    const [times, limits, second] = await run();
    console.log(`${what}: ${Math.round((performance.now() - began) / 1000)} s`);
    rows.push([what, times, limits]);
    if (second !== undefined) rows.push(second);
    // What this one left behind is not to slow down the next.
    for (const { name } of await indexedDB.databases()) indexedDB.deleteDatabase(name);
  }
  return rows;
};
/** From the first call to the first answer, of a page that has just been loaded. */
globalThis.first = async () => {
  const began = performance.now();
  const store = await KVStore.open({ name: id() });
  await store.get('k');
  const took = performance.now() - began;
  await store.close();
  return took;
};
globalThis.ready = true;
