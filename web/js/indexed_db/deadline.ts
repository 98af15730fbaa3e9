// Until when transactions may take. One timer for all of them: one for each would cost a tenth of a read.

/** A transaction that is waited for; undefined once it has ended. */
export interface Watched {
  transaction: IDBTransaction | undefined;
  readonly deadline: number;
}

let watched: Watched[] = [];
/** How many of them have ended. */
let ended = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let wakes = 0;

/** Aborted if it has not ended after so many milliseconds. */
export function watch(transaction: IDBTransaction, timeout: number): Watched {
  const deadline = Date.now() + timeout;
  const one = { transaction, deadline };
  watched.push(one);
  if (timer === undefined || deadline < wakes) wakeAt(deadline, timeout);
  return one;
}

export function unwatch(one: Watched): void {
  one.transaction = undefined;
  ended += 1;
  if (ended > 100 && ended * 2 > watched.length) sweep();
}

function sweep(): void {
  watched = watched.filter(({ transaction }) => transaction !== undefined);
  ended = 0;
}

function wakeAt(deadline: number, wait: number): void {
  clearTimeout(timer);
  wakes = deadline;
  timer = setTimeout(late, wait);
}

function late(): void {
  timer = undefined;
  const now = Date.now();
  for (const one of watched) {
    if (one.deadline > now || one.transaction === undefined) continue;
    abort(one.transaction);
    one.transaction = undefined;
  }
  sweep();
  const next = Math.min(...watched.map(({ deadline }) => deadline));
  if (next < Infinity) wakeAt(next, next - now);
}

export function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended, or it is being committed: what becomes of it will be told.
  }
}
