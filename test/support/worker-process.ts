/** A worker as users run it, started, stopped and killed by its own process id. */
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { patient } from './patience.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const READY_MS_MAX = patient(60_000);
const OUTPUT_KEPT_CHARACTERS = 4_000;

export interface TestWorker {
  readonly pid: number;
  /** Settles with the signal or the exit code that ended it. */
  readonly ended: Promise<string>;
  /** SIGTERM, and until it has drained. */
  stop(): Promise<void>;
  /** SIGKILL: nothing is drained. */
  kill(): Promise<void>;
}

/** Rejects with its last words when it ends before it is ready. A failpoint may end it before it is ready too: see `ended`. */
export async function startWorker(config: string, env: NodeJS.ProcessEnv): Promise<TestWorker> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(ROOT, 'workers', 'main.ts'), '--config', config],
    { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const logs = join(env['HEADWATER_HOME'] ?? '', 'logs');
  mkdirSync(logs, { recursive: true });
  let output = '';
  let isReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => (isReady = resolve));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (part: string) => {
      output = (output + part).slice(-OUTPUT_KEPT_CHARACTERS);
      appendFileSync(join(logs, 'worker.out'), part);
      if (output.includes('"ready"')) isReady();
    });
  }
  const ended = new Promise<string>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? String(code))),
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS_MAX);
  const early = await Promise.race([ready, ended]);
  clearTimeout(timer);
  if (typeof early === 'string' && early !== 'SIGKILL')
    throw new Error(`the worker ended (${early}) before it was ready:\n${output}`);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await ended;
  };
  return { pid: child.pid ?? 0, ended, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}
