// The API reference, made of the types: `cargo xtask web docs` writes `web/docs`; with `--check` nothing is written. Names without
// a comment and links that lead nowhere are errors.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

// It is installed beside a version of TypeScript that it can read.
const typedoc = join(import.meta.dirname, '../xtask/typedoc/node_modules/typedoc/bin/typedoc');
const check = process.argv.includes('--check') ? ['--emit', 'none'] : [];
execFileSync(process.execPath, [typedoc, ...check], { cwd: import.meta.dirname, stdio: 'inherit' });
