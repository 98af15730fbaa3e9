// The explorer, on IndexedDB.
import { access } from './access.mjs';
import { entries } from './entries.mjs';
import { finding } from './finding.mjs';
import { tabs } from './tabs.mjs';

export const demo = (where) => ({ ...entries(where), ...tabs(where), ...finding(where), ...access(where) });
