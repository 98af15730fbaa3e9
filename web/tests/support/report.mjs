// Tests, run one after the other, in lines as libtest prints them: `cargo xtask test` counts these.

let only;
const totals = { passed: 0, failed: 0, ignored: 0 };

/** Only tests whose full name holds this text. */
export const choose = (text) => {
  only = text;
};

export const chosen = (name) => only === undefined || name.includes(only);

/** Nobody waits longer for one test. */
const DEADLINE = 120_000;

async function within(run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still running after ${DEADLINE / 1000} s`)), DEADLINE);
  });
  try {
    await Promise.race([run(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs the tests of one place.
 * @param {string} place
 * @param {Record<string, (() => unknown) | string>} tests by name; a text is the reason why one cannot be run
 */
export async function suite(place, tests) {
  const names = Object.keys(tests).filter((name) => chosen(`${place}::${name}`));
  if (names.length === 0) return;
  console.log(`     Running tests/${place} (web/${place}-0)\n`);
  const counts = { passed: 0, failed: 0, ignored: 0 };
  const began = performance.now();
  for (const name of names) {
    const run = tests[name];
    if (typeof run === 'string') {
      counts.ignored += 1;
      console.log(`test ${name} ... ignored, ${run}`);
      continue;
    }
    try {
      await within(run);
      counts.passed += 1;
      console.log(`test ${name} ... ok`);
    } catch (error) {
      counts.failed += 1;
      console.log(`test ${name} ... FAILED`);
      console.log(`---- ${place}::${name} ----\n${error?.stack ?? error}`);
    }
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(2);
  result(counts, seconds);
}

/** The last line of a place. */
export function result({ passed, failed, ignored }, seconds) {
  for (const [name, count] of Object.entries({ passed, failed, ignored })) totals[name] += count;
  console.log(
    `test result: ${failed ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed; ${ignored} ignored; ` +
      `0 measured; 0 filtered out; finished in ${seconds}s\n`,
  );
}

export const finish = () => {
  process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
};
