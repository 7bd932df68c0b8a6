import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { identify, isAlive, terminate } from '../../../cli/dev/process-identity.ts';
import { AlreadyRunningError, claim, readLivingRun, readRunState } from '../../../cli/dev/run-file.ts';

let home: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'headwater-run-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

/** A process that says when it runs; with `stubborn` it ignores SIGTERM. */
async function startChild(stubborn = false): Promise<{ child: ChildProcess; pid: number }> {
  const ignore = stubborn ? "process.on('SIGTERM', () => {});" : '';
  const script = `${ignore} setInterval(() => {}, 1000); process.stdout.write('up');`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  await once(child.stdout, 'data');
  return { child, pid: child.pid ?? 0 };
}

/** What a launcher of its own, in a process of its own, gets; it stays alive. */
async function claimInChild(): Promise<string> {
  const module = fileURLToPath(new URL('../../../cli/dev/run-file.ts', import.meta.url));
  const script = `
    const { claim } = await import(${JSON.stringify(module)});
    process.stdout.write(await claim(${JSON.stringify(home)}).then(() => 'won', (error) => error.name));
    setTimeout(() => {}, 60_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  return String((await once(child.stdout, 'data'))[0]);
}

function writeState(launcher: object, processes: object[]): void {
  const state = { version: 1, launcher, startedAt: '2026-01-01T00:00:00Z', processes, ports: {}, urls: {} };
  writeFileSync(join(home, 'run.json'), JSON.stringify(state));
}

const DEAD_LAUNCHER = { pid: process.pid, startedMark: 'another-boot:1' };

test('a second start is refused in one line that names pid, UI and remedy', async () => {
  const run = await claim(home);
  run.recordEndpoints({ urls: { ui: 'http://127.0.0.1:8233' } });
  const refused = claim(home);
  await expect(refused).rejects.toThrow(AlreadyRunningError);
  await expect(refused).rejects.toThrow(
    `Headwater is already running here (pid ${process.pid}, UI http://127.0.0.1:8233)`,
  );
  await expect(refused).rejects.toHaveProperty('remedy', expect.stringContaining('HEADWATER_HOME'));
  run.release();
  expect(existsSync(run.path)).toBe(false);
  (await claim(home)).release();
});

test('of several launchers at once exactly one gets the home', async () => {
  const answers = await Promise.all([claimInChild(), claimInChild(), claimInChild()]);
  expect(answers.toSorted()).toEqual(['AlreadyRunningError', 'AlreadyRunningError', 'won']);
});

test('orphans of a dead launcher are stopped, the stubborn ones killed, and it says so', async () => {
  const [polite, stubborn] = [await startChild(), await startChild(true)];
  writeState(DEAD_LAUNCHER, [
    { name: 'worker', ...identify(polite.pid) },
    { name: 'temporal', ...identify(stubborn.pid) },
  ]);
  const said: string[] = [];
  const run = await claim(home, (message) => said.push(message));
  expect(identify(polite.pid)).toBeUndefined();
  expect(identify(stubborn.pid)).toBeUndefined();
  expect(said).toEqual([
    `Stopped worker (pid ${polite.pid}), left over from a run that died.`,
    `Killed temporal (pid ${stubborn.pid}), left over from a run that died.`,
  ]);
  expect(readRunState(home)?.processes).toEqual([]);
  run.release();
}, 20_000);

test('a recycled pid is never signalled', async () => {
  const { child, pid } = await startChild();
  writeState(DEAD_LAUNCHER, [{ name: 'worker', pid, startedMark: 'another-boot:7' }]);
  const said: string[] = [];
  const run = await claim(home, (message) => said.push(message));
  expect(await terminate({ pid, startedMark: 'another-boot:7' }, 1_000)).toBe('gone');
  expect(child.exitCode ?? child.signalCode).toBeNull();
  expect(identify(pid)).toBeDefined();
  expect(said).toEqual([]);
  run.release();
});

test('a zombie counts as ended', async () => {
  // The shell starts a child and then becomes `sleep`, which never collects it.
  const parent = spawn('/bin/sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(parent);
  const pid = Number((await once(parent.stdout, 'data'))[0]);
  const identity = identify(pid);
  expect(identity && isAlive(identity)).toBe(true);
  await sleep(600);
  expect(process.kill(pid, 0)).toBe(true);
  expect(identity && isAlive(identity)).toBe(false);
});

test('a claim waits while another launcher is deciding', async () => {
  const lock = new DatabaseSync(join(home, 'run.lock'));
  lock.exec('BEGIN EXCLUSIVE');
  const answer = claimInChild();
  await sleep(1_000);
  expect(existsSync(join(home, 'run.json'))).toBe(false);
  lock.close();
  expect(await answer).toBe('won');
});

test('records are on disk at once, whole and private', async () => {
  const { pid } = await startChild();
  const run = await claim(home);
  run.recordProcess('worker', pid);
  run.recordEndpoints({ ports: { temporal: 7233 } });
  const state = readLivingRun(home);
  expect(state?.processes).toEqual([{ name: 'worker', ...identify(pid) }]);
  expect(state?.ports).toEqual({ temporal: 7233 });
  expect(readdirSync(home).filter((name) => name.endsWith('.partial'))).toEqual([]);
  run.forgetProcess(pid);
  expect(readRunState(home)?.processes).toEqual([]);
  run.release();
});

test('release leaves the file of another launcher alone, and a torn file owns nothing', async () => {
  const run = await claim(home);
  writeState(DEAD_LAUNCHER, []);
  const text = readFileSync(run.path, 'utf8');
  run.release();
  expect(readFileSync(run.path, 'utf8')).toBe(text);
  writeFileSync(run.path, text.slice(0, 40));
  (await claim(home)).release();
});
