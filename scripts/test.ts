/**
 * Runs jest on the pinned Node; further arguments go to jest. With `--all` the parts that need more than Node and npm
 * packages are installed into .cache/ by their tests, a skip counts as a failure, and a JSON summary is left for .ci/run.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTemporalBinary } from '../cli/dev/temporal-binary.ts';
import { counts, readResults, RESULTS_FILE } from './test-results.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** A suite that hangs ends the run instead of holding it for ever. */
const ALL_MS_MAX = 38 * 60_000;
/** A machine whose memory is this much slower to come by gets as much longer for everything that has a time limit. */
const FILL_BYTES = 256 * 1024 * 1024;
const FILL_MS = 250;
const PATIENCE_MAX = 5;
/** Together: CI itself ends after 90 minutes. */
const ALL_PATIENCE_MAX = 2.1;
/** Slower than this, `--all` leaves out what takes longest, and says so: else it would not end in time. */
const WHOLE_PATIENCE_MAX = 2;
const SKIPPED = /SKIPPED: .*/g;
const KILL_GRACE_MS = 10_000;

const given = process.argv.slice(2);
const all = given.includes('--all');
const words = given.filter((word) => word !== '--all');

// Once and with a message, so that no single test runs into its own time limit while the Temporal CLI is fetched.
await findTemporalBinary({ progress: (message) => console.error(message) }).catch((error: unknown) => {
  console.error(`${String(error)}\nTests that need a Temporal server are going to fail.`);
});

const patience = Number(process.env['HEADWATER_PATIENCE']) || measured();
if (patience > 1)
  console.error(`This machine is slow now: time limits are ${patience.toFixed(1)} times as long.`);
const whole = all && patience <= WHOLE_PATIENCE_MAX;
if (all && !whole)
  console.error(
    'Left out for that: a million rows, 100,000 events, 15 of 20 campaigns of crashes, the packed form.',
  );
process.exitCode = await runJest();

/** Filling fresh memory shows what a crowded host costs, which no load average of ours tells. */
function measured(): number {
  const started = performance.now();
  Buffer.alloc(FILL_BYTES, 1);
  return Math.min(PATIENCE_MAX, Math.max(1, (performance.now() - started) / FILL_MS));
}

async function runJest(): Promise<number> {
  if (all) {
    mkdirSync(dirname(RESULTS_FILE), { recursive: true });
    rmSync(RESULTS_FILE, { force: true });
  }
  const jest = spawn(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'),
      ...(all ? ['--json', `--outputFile=${RESULTS_FILE}`] : []),
      ...words,
    ],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        HEADWATER_PATIENCE: String(patience),
        // Tests start our processes many times.
        NODE_COMPILE_CACHE: join(ROOT, '.cache', 'compiled'),
        ...(whole ? { HEADWATER_TEST_ALL: '1' } : {}),
      },
      // jest --json repeats everything on stdout, which nobody wants to read here.
      stdio: all ? ['inherit', 'ignore', 'pipe'] : 'inherit',
    },
  );
  const skipped = new Set<string>();
  jest.stderr?.on('data', (part: Buffer) => {
    process.stderr.write(part);
    for (const line of part.toString('utf8').match(SKIPPED) ?? []) skipped.add(line);
  });
  const msMax = ALL_MS_MAX * Math.min(patience, ALL_PATIENCE_MAX);
  const deadline = all ? setTimeout(() => end(jest.pid, msMax), msMax) : undefined;
  const code = await new Promise<number>((resolve) => {
    jest.on('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    jest.on('close', (exit) => resolve(exit ?? 1));
  });
  clearTimeout(deadline);
  if (!whole) return code;
  const pending = counts(readResults()).skipped;
  if (skipped.size === 0 && pending === 0) return code;
  console.error(`\nWith --all a skip is a failure: ${pending} tests\n${[...skipped].join('\n')}`);
  return code || 1;
}

function end(pid: number | undefined, msMax: number): void {
  if (pid === undefined) return;
  console.error(`\nThe tests did not end within ${Math.round(msMax / 60_000)} minutes.`);
  process.kill(pid, 'SIGTERM');
  setTimeout(() => process.kill(pid, 'SIGKILL'), KILL_GRACE_MS).unref();
}
