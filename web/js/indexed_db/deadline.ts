// Until when transactions may take. One timer for all of them: one for each would cost a tenth of a read.

const deadlines = new Map<IDBTransaction, number>();
let timer: ReturnType<typeof setTimeout> | undefined;
let wakes = 0;

/** Aborted if it has not ended after so many milliseconds. */
export function watch(transaction: IDBTransaction, timeout: number): void {
  const deadline = Date.now() + timeout;
  deadlines.set(transaction, deadline);
  if (timer !== undefined && wakes <= deadline) return;
  clearTimeout(timer);
  wakes = deadline;
  timer = setTimeout(late, timeout);
}

export function unwatch(transaction: IDBTransaction): void {
  deadlines.delete(transaction);
}

function late(): void {
  timer = undefined;
  const now = Date.now();
  let next = Infinity;
  for (const [transaction, deadline] of deadlines) {
    if (deadline > now) {
      next = Math.min(next, deadline);
      continue;
    }
    deadlines.delete(transaction);
    abort(transaction);
  }
  if (next === Infinity) return;
  wakes = next;
  timer = setTimeout(late, next - now);
}

export function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended, or it is being committed: what becomes of it will be told.
  }
}
