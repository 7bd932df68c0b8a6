/**
 * The contract suites on real accounts: `WAREHOUSES=bigquery,postgres npm run test:live`; further arguments go to jest. Each costs what
 * its service charges for some hundred small jobs, and removes what it made. test/live/variables.ts names the variables that each needs.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LIVE, missingFor } from '../test/live/variables.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const FOLDER = join(ROOT, 'test', 'live');
/** A real service answers each statement after a second or more. */
const TEST_MS_MAX = 900_000;

const known = readdirSync(FOLDER).flatMap((name) => /^warehouse-(\w+)\.live\.ts$/.exec(name)?.[1] ?? []);
const asked = (process.env['WAREHOUSES'] ?? '').split(',').flatMap((name) => name.trim() || []);
const unknown = asked.filter((name) => !known.includes(name));
for (const name of known.filter((one) => !asked.includes(one))) {
  const variables = (LIVE[name]?.needs ?? []).map((names) => names.join(' or ')).join(', ');
  console.log(
    `SKIPPED: ${name} on a real account. Set ${variables}, then run \`WAREHOUSES=${name} npm run test:live\``,
  );
}
const missing = asked.filter((name) => missingFor(name, process.env).length > 0);
for (const name of missing)
  console.error(
    `${name}: ${missingFor(name, process.env).join(', ')}. What is wanted: ${LIVE[name]?.about}.`,
  );
if (unknown.length > 0)
  console.error(`WAREHOUSES names ${unknown.join(', ')}; there are ${known.join(', ')}.`);
if (unknown.length + missing.length > 0) process.exitCode = 2;
else if (asked.length > 0) process.exitCode = await run();

function run(): Promise<number> {
  const jest = spawn(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'),
      '--runInBand',
      `--testTimeout=${TEST_MS_MAX}`,
      `--testMatch=<rootDir>/test/live/warehouse-@(${asked.join('|')}).live.ts`,
      ...process.argv.slice(2),
    ],
    { cwd: ROOT, stdio: 'inherit' },
  );
  return new Promise((resolve) => {
    jest.on('error', () => resolve(1));
    jest.on('close', (code) => resolve(code ?? 1));
  });
}
