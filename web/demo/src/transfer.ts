// Export to a file and import from one: JSON Lines, which the command line reads and writes too.
import { type App, messageOf } from './app.js';
import { type Outcome, type Portable, setAgain } from './again.js';
import { ask } from './dialog.js';
import { byId, choice, field, h } from './dom.js';
import { fromLine, toLine } from './lines.js';
import { type Held, count } from './value.js';

/** So many are written at one time. */
const BATCH = 200;

export function wireTransfer(app: App, pattern: () => string): void {
  const file = byId<HTMLInputElement>('file');
  byId('export').addEventListener('click', () => void app.attempt(() => exportAll(app, pattern() || '**')));
  byId('import').addEventListener('click', () => file.click());
  file.addEventListener('change', () => {
    const [chosen] = file.files ?? [];
    file.value = '';
    if (chosen !== undefined) void app.attempt(() => importFile(app, chosen));
  });
}

/** What matches, into a file. */
async function exportAll(app: App, pattern: string): Promise<void> {
  const { store } = app;
  // Text that is handed over page by page need not be in memory as a whole.
  const parts: Blob[] = [];
  let entries = 0;
  for await (const page of store.entries(pattern, { pageSize: BATCH }).pages()) {
    parts.push(new Blob(page.map((entry) => `${toLine(entry as Held)}\n`)));
    entries += page.length;
  }
  const url = URL.createObjectURL(new Blob(parts, { type: 'application/x-ndjson' }));
  h('a', { href: url, download: `${store.namespace.replace(/[^\w.-]+/g, '_')}.jsonl` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  app.say(`${count(entries, 'entry', 'entries')} exported`);
}

interface Part {
  /** Undefined: the one that is shown. */
  namespace: string | undefined;
  entries: Portable[];
}

/** Reads all of it before anything is written: a bad line changes nothing. */
async function read(file: File): Promise<Part[]> {
  const parts: Part[] = [{ namespace: undefined, entries: [] }];
  const lines = (await file.text()).split('\n');
  lines.forEach((line, at) => {
    if (line.trim() === '') return;
    try {
      const said = fromLine(line);
      if ('namespace' in said) parts.push({ namespace: said.namespace, entries: [] });
      else parts.at(-1)?.entries.push(said);
    } catch (error) {
      throw new Error(`${file.name}, line ${at + 1}: ${messageOf(error)}. Nothing was imported.`);
    }
  });
  return parts.filter(({ entries }) => entries.length > 0);
}

async function importFile(app: App, file: File): Promise<void> {
  const parts = await read(file);
  const total = parts.reduce((sum, { entries }) => sum + entries.length, 0);
  const existing = choice([['overwrite', 'are set again'], ['skip', 'stay as they are']]);
  const progress = h('progress', { max: total, value: 0, 'aria-label': 'Imported', hidden: true });
  const done = await ask({
    title: `Import ${count(total, 'entry', 'entries')}?`,
    content: [h('p', {}, `From ${file.name}.`), field('Keys that are there already', existing), progress],
    yes: 'Import',
    done: async () => {
      progress.hidden = false;
      const outcomes: Record<Outcome, number> = { written: 0, there: 0, expired: 0 };
      for (const part of parts) await importPart(app, part, existing.value === 'skip', outcomes, progress);
      return outcomes;
    },
  });
  if (done === undefined) return;
  const words = [
    `${count(done.written, 'entry', 'entries')} imported`,
    done.there > 0 ? `${done.there} already there` : '',
    done.expired > 0 ? `${done.expired} expired` : '',
  ];
  app.say(words.filter((word) => word !== '').join(', '));
}

async function importPart(app: App, part: Part, skip: boolean, outcomes: Record<Outcome, number>, progress: HTMLProgressElement): Promise<void> {
  const { namespace = app.store.namespace, entries } = part;
  const own = namespace === app.store.namespace;
  const store = own ? app.store : await app.open(namespace);
  if (store === undefined) throw new Error(`The namespace ${namespace} could not be opened.`);
  try {
    // Of a key that comes twice the last one counts.
    const last = [...new Map(entries.map((entry) => [entry.key, entry])).values()];
    for (let at = 0; at < last.length; at += BATCH) {
      const batch = last.slice(at, at + BATCH);
      for (const outcome of await Promise.all(batch.map((entry) => setAgain(store, entry, { ifAbsent: skip })))) outcomes[outcome] += 1;
      progress.value += batch.length;
    }
  } finally {
    if (!own) await store.close();
  }
}
