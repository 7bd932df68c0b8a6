/** Compiles the packed form into dist/: Node refuses to strip types inside node_modules. `npm pack` runs it. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const DIST = join(ROOT, 'dist');
/** Read at run time beside the code, and no module. */
const FILES = ['temporal-dev.yml'];

// A file that is gone from the sources must not stay in the package.
rmSync(DIST, { recursive: true, force: true });
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
execFileSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json')], { stdio: 'inherit' });
for (const file of FILES) copyFileSync(join(ROOT, file), join(DIST, file));
