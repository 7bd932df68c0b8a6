/** Other tools in pinned versions, each in a Python environment of its own under .cache/bench, installed once. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../../.cache/bench', import.meta.url));
const INSTALL_MS_MAX = 10 * 60_000;
const OUTPUT_CHARACTERS_MAX = 20_000;

/** The folder of the environment. Throws with pip's last words. */
export async function venv(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(CACHE, name);
  const done = join(folder, `installed-${packages.join('_').replaceAll(/[^\w.-]/g, '-')}`);
  if (existsSync(done)) return folder;
  mkdirSync(CACHE, { recursive: true });
  await run('python3', ['-m', 'venv', folder], { timeoutMs: INSTALL_MS_MAX });
  await run(join(folder, 'bin', 'pip'), ['install', '--quiet', ...packages], { timeoutMs: INSTALL_MS_MAX });
  writeFileSync(done, '');
  return folder;
}

export interface RunOptions {
  timeoutMs: number;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

/** Output of both streams, bounded. A failure tells the last of it. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<{ output: string; ms: number }> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: a shell's children end with it.
      detached: true,
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve({ output, ms: performance.now() - startedMs });
      else reject(new Error(`${signal === null ? `exit code ${code}` : signal}: ${lastLines(output)}`));
    });
  });
}

const LINES_TOLD = 3;

function lastLines(output: string): string {
  // Without the colours that tools write even into a pipe.
  // oxlint-disable-next-line no-control-regex
  const plain = output.replaceAll(/\u001B\[[\d;]*m/g, '');
  return plain.trim().split('\n').slice(-LINES_TOLD).join(' / ');
}
