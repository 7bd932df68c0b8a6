import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { watchMemory, type Peak } from '../support/memory.ts';
import { patient } from '../support/patience.ts';

const STEP_MS_MAX = patient(90_000);
const UP_MS_MAX = patient(60_000);
const POLL_MS = 100;
/** Of the whole demo: npm, launcher, Temporal, sandbox and worker together. */
const DEMO_MB_MAX = 2_048;
const OBJECTS = [
  ...['Account', 'Case', 'Contact', 'Lead', 'Opportunity', 'Task', 'User'],
  ...['companies', 'contacts', 'deals'],
];

const summarySchema = z.object({
  ok: z.boolean(),
  runs: z.array(
    z.object({
      outcome: z.string(),
      objects: z.array(
        z.object({ object: z.string(), verdict: z.string().nullable(), from: z.string(), rows: z.number() }),
      ),
    }),
  ),
});
const runFileSchema = z.object({
  launcher: z.object({ pid: z.number() }),
  processes: z.array(z.object({ name: z.string(), pid: z.number() })),
});

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  /** Undefined where it cannot be measured. */
  memory: Peak | undefined;
}

let home: string;
const launchers: ChildProcess[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'headwater-readme-'));
});

afterAll(async () => {
  for (const pid of processesOf(home)) endIfAlive(pid);
  for (const launcher of launchers) if (launcher.exitCode === null) launcher.kill('SIGKILL');
  await rm(home, { recursive: true, force: true });
});

/** The lines of the README's shell blocks that are marked as runnable, continuation lines joined. */
function runnable(): string[] {
  const blocks = readFileSync('README.md', 'utf8').matchAll(/^```sh runnable\n([\s\S]*?)^```$/gm);
  return [...blocks].flatMap(([, text = '']) =>
    text
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((line) => line.replace(/\s+#.*$/, '').trim())
      .filter((line) => line !== ''),
  );
}

/** As a user has it: nothing of the test's own Temporal, configuration or colours. */
function environment(): NodeJS.ProcessEnv {
  const own = /^(TEMPORAL_|HEADWATER_(?!CACHE)|FORCE_COLOR|NODE_OPTIONS|JEST_)/;
  const kept = Object.entries(process.env).filter(([name]) => !own.test(name));
  return { ...Object.fromEntries(kept), HEADWATER_HOME: home, NO_COLOR: '1', npm_config_loglevel: 'silent' };
}

/** A shell line exactly as it is printed. */
async function shell(line: string): Promise<Ended> {
  const child = spawn('bash', ['-c', line], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  return collect(child);
}

async function collect(child: ChildProcess): Promise<Ended> {
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (part: Buffer) => (text.stdout += part.toString('utf8')));
  child.stderr?.on('data', (part: Buffer) => (text.stderr += part.toString('utf8')));
  const watch = watchMemory(child.pid ?? 0);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...text, memory: await watch.stop() };
}

/** The demo has to fit beside whatever else a laptop runs. */
function expectSmall(memory: Peak | undefined): void {
  if (memory === undefined) return;
  process.stderr.write(`memory of the demo: ${memory.megabytes} MB (${memory.parts.join(', ')})\n`);
  expect(memory.parts.length).toBeGreaterThanOrEqual(4);
  expect(memory.megabytes).toBeLessThanOrEqual(DEMO_MB_MAX);
}

interface Running {
  /** Of the launcher itself, not of npm around it. */
  pid: number;
  screen: () => string;
  ended: Promise<Ended>;
}

/** `npm start` in the background, until the screen invites to try something. */
async function startInBackground(): Promise<Running> {
  const child = spawn('npm', ['start'], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  launchers.push(child);
  let screen = '';
  child.stdout.on('data', (part: Buffer) => (screen += part.toString('utf8')));
  child.stderr.on('data', (part: Buffer) => (screen += part.toString('utf8')));
  const ended = collect(child);
  await until(() => screen.includes('a second sync shows') || child.exitCode !== null, UP_MS_MAX);
  expect([child.exitCode, screen]).toEqual([null, expect.stringContaining('Try next')]);
  return { pid: runFile(home)?.launcher.pid ?? Number.NaN, screen: () => screen, ended };
}

function runFile(folder: string): z.infer<typeof runFileSchema> | undefined {
  const path = join(folder, 'run.json');
  return existsSync(path) ? runFileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))) : undefined;
}

/** Launcher, Temporal, both sandboxes, the worker and the servers of this home. */
function processesOf(folder: string): number[] {
  const file = runFile(folder);
  return file === undefined ? [] : [file.launcher.pid, ...file.processes.map(({ pid }) => pid)];
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(
      existsSync('/proc/self') ? readFileSync(`/proc/${pid}/status`, 'utf8') : 'State: R',
    );
  } catch {
    return false;
  }
}

function endIfAlive(pid: number): void {
  if (alive(pid)) process.kill(pid, 'SIGKILL');
}

async function until(condition: () => boolean, msMax: number): Promise<void> {
  const deadlineMs = Date.now() + msMax;
  while (!condition() && Date.now() < deadlineMs) await sleep(POLL_MS);
}

let firstCheckpoint = '';

test(
  'the first command of the README that moves data proves every object and ends',
  async () => {
    expect(runnable()).toContain('npm start -- --once --json');
    const { code, stdout, stderr, memory } = await shell('npm start --silent -- --once --json');
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('✗')]);
    expectSmall(memory);
    const summary = summarySchema.parse(JSON.parse(stdout));
    expect(summary.ok).toBe(true);
    const objects = summary.runs.flatMap((run) => run.objects);
    expect(objects.map(({ object }) => object).toSorted()).toEqual(OBJECTS);
    for (const { verdict } of objects) expect(['proven', 'moved']).toContain(verdict);
    expect(objects.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThan(19_000);
    expect(runFile(home)).toBeUndefined();
    const { stdout: receipts } = await shell('npx headwater receipts salesforce Contact --limit 1 --json');
    firstCheckpoint = z.array(z.object({ until: z.string() })).parse(JSON.parse(receipts))[0]?.until ?? '';
    expect(firstCheckpoint).toMatch(/^20\d\d-/);
  },
  STEP_MS_MAX,
);

test(
  'the commands on the screen and in the README run as printed; a second start is refused; SIGINT ends everything',
  async () => {
    const running = await startInBackground();
    const printed = [...running.screen().matchAll(/^ {4}(npx headwater .+)$/gm)].map(([, line = '']) => line);
    expect(printed).toHaveLength(3);
    const documented = runnable().filter((line) => /^(?:npx headwater|H=)/.test(line));
    // Which customer the screen explains depends on the last edits; the README explains one that is always there.
    const fixed = printed.filter((line) => !line.startsWith('npx headwater explain '));
    expect(fixed).toHaveLength(2);
    expect(documented).toEqual(expect.arrayContaining(fixed));
    for (const line of new Set([...printed, ...documented])) {
      const { code, stdout, stderr } = await shell(line);
      expect([line, code, stderr]).toEqual([line, 0, expect.anything()]);
      // Nothing of ours answers with silence.
      expect([line, `${stdout}${stderr}`.trim()]).not.toEqual([line, '']);
    }
    // A dry run prints the same request in Temporal's own command line, which has to work as printed too.
    const dryRun = documented.find((line) => line.includes('--dry-run')) ?? '';
    const { stderr: told } = await shell(dryRun);
    const command =
      told.split('\n').find((line) => line.startsWith('npx headwater temporal workflow start')) ?? '';
    const started = await shell(command);
    expect([command, started.code]).toEqual([
      expect.stringMatching(/^npx headwater temporal workflow start --type backfill /),
      0,
    ]);
    const second = await shell('npm start --silent -- --once');
    expect(second.code).toBe(1);
    expect(second.stderr.trim().split('\n')).toEqual([expect.stringContaining('✗ ALREADY_RUNNING')]);

    const pids = processesOf(home);
    expect(pids).toHaveLength(6);
    process.kill(running.pid, 'SIGINT');
    const ended = await running.ended;
    expect(ended.code).toBe(0);
    expectSmall(ended.memory);
    expect(pids.filter(alive)).toEqual([]);
    expect(runFile(home)).toBeUndefined();
  },
  STEP_MS_MAX,
);

test(
  'after kill -9 the next start clears what was left and goes on where the coverage ends',
  async () => {
    const running = await startInBackground();
    const pids = processesOf(home);
    process.kill(running.pid, 'SIGKILL');
    await running.ended;
    const orphans = pids.filter((pid) => pid !== running.pid);
    expect(orphans.some(alive)).toBe(true);

    const { code, stdout, stderr } = await shell('npm start --silent -- --once --json');
    expect([code, stderr]).toEqual([0, expect.stringContaining('left over from a run that died')]);
    expect(orphans.filter(alive)).toEqual([]);
    const objects = summarySchema.parse(JSON.parse(stdout)).runs.flatMap((run) => run.objects);
    expect(objects.length).toBeGreaterThan(0);
    for (const { from, verdict } of objects) {
      expect(from > firstCheckpoint).toBe(true);
      expect(['proven', 'moved']).toContain(verdict);
    }
  },
  STEP_MS_MAX,
);
