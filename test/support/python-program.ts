/** Finds or installs a pinned package of Python in the project's cache, in a virtual environment of its own. */
import { spawn } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const INSTALL_MS_MAX = 240_000;

export interface PythonPackage {
  /** As pip takes it, with its exact version: `moto[server]==5.2.5`. */
  requirement: string;
  /** What it needs in other versions than the newest. */
  beside?: readonly string[];
  /** Of the folder below .cache/. */
  name: string;
}

export function environmentOf({ name }: PythonPackage): string {
  return resolve('.cache', name);
}

/** Why it cannot run here, or undefined when it can. Installs only when HEADWATER_TEST_ALL is 1. */
export async function pythonPackageMissing(wanted: PythonPackage): Promise<string | undefined> {
  const folder = environmentOf(wanted);
  if (await exists(join(folder, 'ready'))) return undefined;
  const how = 'needs python3 with venv and pip; HEADWATER_TEST_ALL=1 installs it into .cache/';
  if (process.env['HEADWATER_TEST_ALL'] !== '1') return how;
  // Test files run side by side: each installs into its own folder, the first whole one stays.
  const making = `${folder}-${process.pid}`;
  await rm(making, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  const python = join(making, 'bin', 'python');
  const failed =
    (await run('python3', ['-m', 'venv', making])) ??
    (await run(python, ['-m', 'pip', 'install', '-q', wanted.requirement, ...(wanted.beside ?? [])]));
  if (failed !== undefined) return `${how}: ${failed}`;
  await mkdir(join(making, 'ready'));
  await rename(making, folder).catch(async () => await rm(making, { recursive: true, force: true }));
  return undefined;
}

/** What went wrong, or undefined. */
function run(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((done) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: INSTALL_MS_MAX });
    let out = '';
    child.stdout.on('data', (part: Buffer) => (out += part.toString('utf8')));
    child.stderr.on('data', (part: Buffer) => (out += part.toString('utf8')));
    child.on('error', (error) => done(error.message));
    child.on('close', (code) => done(code === 0 ? undefined : out.trim().slice(-200)));
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
