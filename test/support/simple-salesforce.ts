/** Finds or installs a pinned simple-salesforce in the project's cache and runs the script beside this file with it. */
import { spawn } from 'node:child_process';
import { access, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const VERSION = '1.12.10';
const FOLDER = resolve('.cache', `simple-salesforce-${VERSION}`);
const SCRIPT = resolve('test/support/simple-salesforce.py');
const PYTHON = join(FOLDER, 'bin', 'python');
const INSTALL_MS_MAX = 240_000;

interface Ended {
  readonly code: number | null;
  readonly out: string;
}

function run(command: string, args: readonly string[], input = ''): Promise<Ended> {
  return new Promise((resolveRun) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: INSTALL_MS_MAX });
    let out = '';
    child.stdout.on('data', (part: Buffer) => (out += part.toString('utf8')));
    child.stderr.on('data', (part: Buffer) => (out += part.toString('utf8')));
    child.on('error', (error) => resolveRun({ code: null, out: error.message }));
    child.on('close', (code) => resolveRun({ code, out }));
    child.stdin.end(input);
  });
}

/** Why simple-salesforce cannot run here, or undefined when it can. Installs only when HEADWATER_TEST_ALL is 1. */
export async function simpleSalesforceMissing(): Promise<string | undefined> {
  const ready = join(FOLDER, 'ready');
  if (await exists(ready)) return undefined;
  const how = 'needs python3 with venv and pip; HEADWATER_TEST_ALL=1 installs it into .cache/';
  if (process.env['HEADWATER_TEST_ALL'] !== '1') return how;
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(join(FOLDER, '..'), { recursive: true });
  const made = await run('python3', ['-m', 'venv', FOLDER]);
  if (made.code !== 0) return `${how}: ${made.out.trim().slice(-200)}`;
  const installed = await run(PYTHON, ['-m', 'pip', 'install', '-q', `simple-salesforce==${VERSION}`]);
  if (installed.code !== 0) return `${how}: ${installed.out.trim().slice(-200)}`;
  await mkdir(ready);
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

export async function runSimpleSalesforce(options: Record<string, string>): Promise<Record<string, unknown>> {
  const { code, out } = await run(PYTHON, [SCRIPT], JSON.stringify(options));
  if (code !== 0) throw new Error(`simple-salesforce ended with ${code}: ${out.slice(-2000)}`);
  const seen: Record<string, unknown> = JSON.parse(out.trim().split('\n').at(-1)!);
  return seen;
}
