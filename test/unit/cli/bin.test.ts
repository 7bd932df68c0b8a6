import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { helpOf, type Command } from '../../../cli/command.ts';
import { COMMANDS } from '../../../cli/commands.ts';
import { overview } from '../../../cli/main.ts';

const BIN = fileURLToPath(new URL('../../../bin/headwater.js', import.meta.url));
const HELP = fileURLToPath(new URL('help.golden.txt', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(TEMPORAL|HEADWATER|SF)_/.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1' };
}

function headwater(words: string[], node: string = process.execPath) {
  const { status, stdout, stderr } = spawnSync(node, [BIN, ...words], {
    cwd: folder,
    env: environment(),
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('the help of every command is as it was read last', () => {
  const texts = [overview(), ...COMMANDS.map(helpOf)];
  const all = `${texts.join(`\n\n${'─'.repeat(80)}\n`)}\n`;
  if (process.env['UPDATE_GOLDEN']) writeFileSync(HELP, all);
  expect(all).toBe(readFileSync(HELP, 'utf8'));
});

test.each([
  [['--help'], overview],
  [[], overview],
  [['help', 'runs'], () => helpOf(named('runs'))],
  [['temporal', '--help'], () => helpOf(named('temporal'))],
])('%j prints it', (words, text) => {
  expect(headwater(words)).toEqual({ status: 0, stdout: `${text()}\n`, stderr: '' });
});

function named(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) throw new Error(`there is no ${name}`);
  return command;
}

describe('exit codes and one line each', () => {
  test.each<[string[], number, string]>([
    [['statsu'], 2, '✗ INPUT_INVALID there is no command "statsu". → Did you mean `npx headwater status`?\n'],
    [['runs', '--gird'], 2, '✗ INPUT_INVALID runs has no option --gird. → Did you mean --grid?\n'],
    [['schedule', 'aply'], 2, '✗ INPUT_INVALID schedule cannot be "aply". → Did you mean apply?\n'],
    [
      ['status'],
      2,
      '✗ headwater.config.ts: there is none in this folder. Write one with `npx headwater init`, or name it with --config.\n',
    ],
    [
      ['status', '--config', 'none.ts'],
      2,
      '✗ none.ts: there is no such file. Name it with --config, or write one with `npx headwater init`.\n',
    ],
  ])('%j', (words, status, stderr) => {
    expect(headwater(words)).toEqual({ status, stdout: '', stderr });
  });

  test('a mistake in the configuration is one line, and JSON with --json', () => {
    const config = { connections: {}, warehouse: { kind: 'duckdb', path: 'w' }, ledgr: {} };
    writeFileSync(join(folder, 'bad.json'), JSON.stringify(config));
    const line = 'bad.json: ledgr: is unknown. Did you mean ledger?';
    expect(headwater(['status', '--config', 'bad.json'])).toEqual({
      status: 2,
      stdout: '',
      stderr: `✗ ${line}\n`,
    });
    const { status, stdout } = headwater(['status', '--config', 'bad.json', '--json']);
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CONFIG_INVALID', lines: [line] } });
  });

  test('init writes a configuration that loads, and never overwrites', () => {
    expect(headwater(['init', 'acme'])).toMatchObject({ status: 0, stderr: '' });
    expect(headwater(['schedule', 'times', '--count', '1'])).toMatchObject({ status: 0, stderr: '' });
    expect(headwater(['init', 'acme']).status).toBe(0);
    expect(existsSync(join(folder, 'acme.config.ts'))).toBe(true);
    expect(headwater(['init', 'acme'])).toMatchObject({ status: 2 });
  });

  test('without Temporal a run fails with the remedy', () => {
    const { status, stderr } = headwater(['sync', '--config', 'acme.config.ts']);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^✗ TEMPORAL_UNAVAILABLE [^\n]+ → Start Headwater with `npx headwater start`[^\n]+\n$/,
    );
  });
});

function olderNode(): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((place) => join(place, 'node'));
  return candidates.find((path) => {
    const { stdout, status } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    return status === 0 && Number(/^v(\d+)/.exec(stdout)?.[1] ?? 99) < 24;
  });
}

test('an older Node hands over to the pinned one, with its exit code', () => {
  const node = olderNode();
  if (node === undefined) {
    console.log('SKIPPED: the re-execution under an older Node; put a Node below 24 on PATH');
    return;
  }
  expect(headwater(['--version'], node)).toMatchObject({ status: 0, stderr: '' });
  expect(headwater(['statsu'], node).status).toBe(2);
});

test('a signal ends the program behind it too', async () => {
  const node = olderNode() ?? process.execPath;
  const config = join(folder, 'slow.mjs');
  // The configuration itself tells that it runs and then never ends: any command would do.
  writeFileSync(
    config,
    'process.stdout.write(`pid ${process.pid}\\n`); await new Promise((go) => setTimeout(go, 60_000));',
  );
  const child = spawn(node, [BIN, 'status', '--config', config], { env: environment() });
  const pid = await new Promise<number>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => resolve(Number(/pid (\d+)/.exec(chunk.toString())?.[1])));
  });
  const closed = new Promise((resolve) => {
    child.once('close', resolve);
  });
  child.kill('SIGTERM');
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGTERM'), 300);
  await closed;
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});
