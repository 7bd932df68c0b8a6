/** BigQuery for tests: a pinned bqemulator in the project's cache, on a free port of 127.0.0.1; each test has a project of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { bigquery } from '../../warehouses/bigquery/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { patient } from './patience.ts';

const VERSION = '1.4.0';
const FOLDER = resolve('.cache', `bqemulator-${VERSION}`);
const PYTHON = join(FOLDER, 'bin', 'python');
const SERVER = resolve('test/support/bqemulator-server.py');
const REQUIREMENTS = resolve('test/support/bqemulator-requirements.txt');
const INSTALL_MS_MAX = 600_000;
const READY_MS_MAX = patient(60_000);

function run(command: string, args: readonly string[]): Promise<{ code: number | null; out: string }> {
  return new Promise((resolveRun) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: INSTALL_MS_MAX });
    let out = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part: Buffer) => (out = (out + part.toString('utf8')).slice(-4_000)));
    child.on('error', (error) => resolveRun({ code: null, out: error.message }));
    child.on('close', (code) => resolveRun({ code, out }));
  });
}

/** Why it cannot run here, or undefined when it can. Installs only when HEADWATER_TEST_ALL is 1. */
export async function bqemulatorMissing(): Promise<string | undefined> {
  const ready = join(FOLDER, 'ready');
  const isThere = await access(ready).then(
    () => true,
    () => false,
  );
  if (isThere) return undefined;
  const how =
    'needs python3 (3.11 or later) with venv and pip; HEADWATER_TEST_ALL=1 installs it into .cache/';
  if (process.env['HEADWATER_TEST_ALL'] !== '1') return how;
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(join(FOLDER, '..'), { recursive: true });
  const made = await run('python3', ['-m', 'venv', FOLDER]);
  if (made.code !== 0) return `${how}: ${made.out.trim().slice(-200)}`;
  const installed = await run(PYTHON, ['-m', 'pip', 'install', '-q', '-r', REQUIREMENTS]);
  if (installed.code !== 0) return `${how}: ${installed.out.trim().slice(-200)}`;
  await mkdir(ready);
  return undefined;
}

export interface TestBigquery {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export async function startBqemulator(): Promise<TestBigquery> {
  // It ends by itself when its stdin does: no server is left when a test is killed.
  const server = spawn(PYTHON, [SERVER], { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  server.stderr.on('data', (part: Buffer) => (errors = (errors + part.toString('utf8')).slice(-4_000)));
  const timer = setTimeout(() => server.kill('SIGKILL'), READY_MS_MAX);
  const line = await new Promise<string>((resolveLine) => {
    server.stdout.once('data', (part: Buffer) => resolveLine(part.toString('utf8')));
    server.once('exit', () => resolveLine(''));
  });
  clearTimeout(timer);
  const port = /"port": (\d+)/.exec(line)?.[1];
  if (port === undefined) throw new Error(`bqemulator does not start:\n${errors}`);
  return { endpoint: `http://127.0.0.1:${port}`, stop: () => end(server) };
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolveEnd) => server.once('exit', resolveEnd));
  server.kill('SIGKILL');
  await ended;
}

/** An empty warehouse: a project that nobody has used. */
export function openBigquery(endpoint: string, folder: string, options: object = {}): Promise<Warehouse> {
  const project = `test-${randomBytes(6).toString('hex')}`;
  const config = bigquery.config.parse({ kind: 'bigquery', project, endpoint, ...options });
  return bigquery.connect(config, {
    now: Date.now,
    log: () => undefined,
    tempDirectory: join(folder, 'spill'),
    memoryMbMax: 400,
    threads: 2,
  });
}

const TYPES: Record<string, string> = { INTEGER: 'FLOAT64', BIGINT: 'INT64', VARCHAR: 'STRING' };

/**
 * The suites' statements as BigQuery writes them: casts, names in backticks, seconds since 1970. An INTEGER becomes a FLOAT64, so
 * that it comes back as a number, as a small integer of other warehouses does.
 */
export function bigquerySql(sql: string): string {
  let own = sql
    .replaceAll(/"([^"]+)"/g, '`$1`')
    .replaceAll(/extract\(epoch FROM (\w+)\)/g, 'UNIX_SECONDS($1)')
    .replaceAll('TIMESTAMPTZ ', 'TIMESTAMP ');
  const cast = /(\w+\((?:[^():]|\([^():]*\))*\)|`[^`]+`|\w+)::(INTEGER|BIGINT|VARCHAR)/;
  while (cast.test(own))
    own = own.replace(cast, (_, value: string, type: string) => `CAST(${value} AS ${TYPES[type] ?? type})`);
  return own;
}
