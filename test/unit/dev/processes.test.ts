import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify } from '../../../cli/dev/process-identity.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import { lastWords } from '../../../rules/last-words.ts';
import { type RunningProcess, spawnProcess, startProcess } from '../../../cli/dev/processes.ts';

let folder: string;
const started: RunningProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-processes-'));
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((running) => running.stop(100)));
  rmSync(folder, { recursive: true, force: true });
});

function node(script: string, name = 'worker') {
  return {
    name,
    command: process.execPath,
    args: ['-e', script],
    env: { ...process.env, GREETING: 'hello' },
    logPath: join(folder, 'logs', 'worker.log'),
  };
}

const portOf = (line: string): number | undefined => Number(/port (\d+)/.exec(line)?.[1]) || undefined;

test('it is ready with the value of the readiness line, even when written in parts', async () => {
  const script = `
    process.stdout.write(process.env.GREETING + '\\nlistening on po');
    setTimeout(() => process.stdout.write('rt 4711\\n'), 100);
    setInterval(() => {}, 1000);`;
  const running = await startProcess({ ...node(script), ready: portOf });
  started.push(running);
  expect(running.value).toBe(4711);
  expect(readFileSync(join(folder, 'logs', 'worker.log'), 'utf8')).toBe('hello\nlistening on port 4711\n');
  await running.stop();
  expect(await running.ended).toEqual({ code: null, signal: 'SIGTERM' });
  await running.stop();
});

test('an early exit quotes its own last line, and not one of an earlier run', async () => {
  const options = node(
    `for (let i = 0; i < 5000; i += 1) console.error('line ' + i); console.error('no such file'); process.exitCode = 3;`,
  );
  await startProcess({ ...node(`console.log('an earlier run on port 1')`), ready: portOf }).then(
    (running) => running.ended,
  );
  const failure = await startProcess({ ...options, ready: portOf }).then(
    () => '',
    (error: Error) => error.message,
  );
  expect(failure).toBe('worker ended before being ready (exit code 3): no such file');
});

test('what a program refused is told as it refused it, with the remedy', async () => {
  const { text } = lastWords(
    new HeadwaterError('STAGE_FOREIGN', 'stage: this is another folder', { remedy: 'Take the old one.' }),
  );
  const script = `console.error(${JSON.stringify(text)}); console.error('(node:1) Warning'); process.exitCode = 1;`;
  await expect(startProcess({ ...node(script), ready: portOf })).rejects.toMatchObject({
    code: 'STAGE_FOREIGN',
    message: 'stage: this is another folder',
    remedy: 'Take the old one.',
  });
});

test('of a stack the line that names the error is told', async () => {
  const script = `console.error('Error [ERR]: no module x\\n    at foo (bar.js:1)\\n\\nNode.js v24'); process.exitCode = 1;`;
  await expect(startProcess({ ...node(script), ready: portOf })).rejects.toMatchObject({
    code: 'PROCESS_ENDED',
    message: 'worker ended before being ready (exit code 1): Error [ERR]: no module x',
    remedy: `Read the rest in ${join(folder, 'logs', 'worker.log')}.`,
  });
});

test('one that never gets ready is stopped and named', async () => {
  const pidFile = join(folder, 'pid');
  const script = `require('fs').writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000);`;
  await expect(startProcess({ ...node(script), ready: portOf, readyTimeoutMs: 1_000 })).rejects.toThrow(
    'worker was not ready within 1000 ms: it wrote nothing',
  );
  expect(identify(Number(readFileSync(pidFile, 'utf8')))).toBeUndefined();
});

test('after the grace the whole group is killed, its own children included', async () => {
  const script = `
    process.on('SIGTERM', () => {});
    const child = require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    console.log('port ' + child.pid);
    setInterval(() => {}, 1000);`;
  const running = await startProcess({ ...node(script), ready: portOf });
  started.push(running);
  const grandchild = identify(running.value);
  expect(grandchild).toBeDefined();
  await running.stop(200);
  expect(await running.ended).toEqual({ code: null, signal: 'SIGKILL' });
  // Its parent is gone, so the system takes a moment to take it over.
  for (let attempt = 0; attempt < 100 && identify(running.value); attempt += 1) await sleep(20);
  expect(identify(running.value)).toBeUndefined();
  expect(identify(running.pid)).toBeUndefined();
});

test('it leads a group of its own, so the terminal signals the launcher only', async () => {
  const running = await spawnProcess(node('setInterval(() => {}, 1000)'));
  started.push(running);
  // Signal 0 to a negative pid asks whether that process group exists.
  expect(process.kill(-running.pid, 0)).toBe(true);
});

test('a command that does not exist is one clear error', async () => {
  await expect(spawnProcess({ ...node(''), command: join(folder, 'nothing-here') })).rejects.toThrow(
    /^cannot start worker: .*ENOENT/,
  );
});

test('a log over its limit is moved aside at the next start', async () => {
  const options = node('');
  await (
    await spawnProcess(options)
  ).ended;
  writeFileSync(options.logPath, Buffer.alloc(20 * 1024 * 1024, 'x'));
  await (
    await spawnProcess(options)
  ).ended;
  expect(statSync(options.logPath).size).toBe(0);
  expect(statSync(`${options.logPath}.1`).size).toBe(20 * 1024 * 1024);
});
