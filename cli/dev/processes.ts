import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../rules/errors.ts';
import { refusalIn } from '../../rules/last-words.ts';

const LOG_BYTES_MAX = 20 * 1024 * 1024;
const LOG_CHECK_EVERY_MS = 60_000;
const READ_BYTES_MAX = 64 * 1024;
const LINE_CHARS_MAX = 16 * 1024;
const POLL_MS = 20;
const QUOTED_LINES_MAX = 15;
const QUOTED_BYTES_MAX = 4 * 1024;
const STOP_GRACE_MS = 5_000;
const READY_TIMEOUT_MS = 30_000;

export interface ProcessOptions {
  name: string;
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Both output streams are appended here. Past 20 MB the file is moved to `<logPath>.1` and begun anew. */
  logPath: string;
}

export interface Readiness<T> {
  /** Called with each line of output until it returns a value: the process is ready. */
  ready: (line: string) => T | undefined;
  readyTimeoutMs?: number;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface RunningProcess {
  name: string;
  pid: number;
  /** Settles when the process has ended; never rejects. */
  ended: Promise<Exit>;
  /** SIGTERM, after the grace SIGKILL to its whole group. Idempotent. */
  stop(graceMs?: number): Promise<void>;
  /** The last lines of its log: 15 at most, of 4 kB; empty where it wrote nothing. */
  lastLines(): string;
  logPath: string;
}

/**
 * Starts a process in a group of its own, so that Ctrl-C in the terminal reaches the launcher only and the launcher
 * decides the order of stopping. Rejects, quoting the last lines, if it ends or stays silent before it is ready.
 */
export async function startProcess<T>(
  options: ProcessOptions & Readiness<T>,
): Promise<RunningProcess & { value: T }> {
  const { logPath, ready, readyTimeoutMs = READY_TIMEOUT_MS } = options;
  const { running, startOffset } = await launch(options);
  try {
    return { ...running, value: await waitUntilReady(running, logPath, startOffset, ready, readyTimeoutMs) };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

/** The same without a readiness line: it resolves once the process runs, and the caller asks it for its health. */
export async function spawnProcess(options: ProcessOptions): Promise<RunningProcess> {
  return (await launch(options)).running;
}

async function launch(options: ProcessOptions): Promise<{ running: RunningProcess; startOffset: number }> {
  const { name, command, args, logPath } = options;
  mkdirSync(dirname(logPath), { recursive: true });
  boundLog(logPath);
  const log = openSync(logPath, 'a', 0o600);
  const startOffset = fstatSync(log).size;
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', log, log],
    ...(options.env && { env: options.env }),
    ...(options.cwd && { cwd: options.cwd }),
  });
  closeSync(log);
  const pid = await spawned(child, name);
  return { running: handle(name, child, pid, logPath, startOffset), startOffset };
}

/** Why a process is not what it should be: its own refusal where it told one, else `what` and its most telling line. */
export function failureOf(
  running: Pick<RunningProcess, 'name' | 'lastLines' | 'logPath'>,
  what: string,
): Error {
  const said = refusalIn(running.lastLines());
  if (said instanceof HeadwaterError) return said;
  return new HeadwaterError('PROCESS_ENDED', `${running.name} ${what}: ${said ?? 'it wrote nothing'}`, {
    remedy: `Read the rest in ${running.logPath}.`,
  });
}

export function reasonOf({ code, signal }: Exit): string {
  return signal ? `signal ${signal}` : `exit code ${code}`;
}

function handle(
  name: string,
  child: ChildProcess,
  pid: number,
  logPath: string,
  startOffset: number,
): RunningProcess {
  const bounding = setInterval(() => boundLog(logPath), LOG_CHECK_EVERY_MS).unref();
  const ended = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      clearInterval(bounding);
      resolve({ code, signal });
    });
  });
  return {
    name,
    pid,
    ended,
    lastLines: () => lastLines(logPath, startOffset),
    logPath,
    async stop(graceMs = STOP_GRACE_MS) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = new AbortController();
      const late = sleep(graceMs, true, { signal: timer.signal }).catch(() => false);
      const isLate = await Promise.race([ended.then(() => false), late]);
      timer.abort();
      // A negative pid is the group, which it leads: its own children must not outlive it.
      if (isLate && child.exitCode === null && child.signalCode === null) process.kill(-pid, 'SIGKILL');
      await ended;
    },
  };
}

function spawned(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new Error(`cannot start ${name}: ${cause.message}`, { cause })));
    child.once('spawn', () => resolve(child.pid ?? 0));
  });
}

async function waitUntilReady<T>(
  running: RunningProcess,
  logPath: string,
  startOffset: number,
  ready: (line: string) => T | undefined,
  timeoutMs: number,
): Promise<T> {
  let exit: Exit | undefined;
  void running.ended.then((how) => (exit = how));
  const lines = new LineReader(logPath, startOffset);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    // Looked at before reading: what it wrote before it ended still counts.
    const over = exit;
    for (const line of lines.read()) {
      const value = ready(line);
      if (value !== undefined) return value;
    }
    if (over) throw failureOf(running, `ended before being ready (${reasonOf(over)})`);
    if (performance.now() >= deadline) throw failureOf(running, `was not ready within ${timeoutMs} ms`);
    await sleep(POLL_MS);
  }
}

/** Follows a growing file by whole lines. A line over the limit is cut, so memory stays bounded. */
class LineReader {
  #path: string;
  #offset: number;
  #rest = '';
  #decoder = new TextDecoder();

  constructor(path: string, offset: number) {
    this.#path = path;
    this.#offset = offset;
  }

  *read(): Generator<string> {
    for (;;) {
      const chunk = readAt(this.#path, this.#offset, READ_BYTES_MAX);
      if (chunk.length === 0) return;
      this.#offset += chunk.length;
      const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
      this.#rest = (lines.pop() ?? '').slice(-LINE_CHARS_MAX);
      yield* lines;
    }
  }
}

function lastLines(path: string, startOffset: number): string {
  try {
    const from = Math.max(startOffset, statSync(path).size - QUOTED_BYTES_MAX);
    const text = readAt(path, from, QUOTED_BYTES_MAX).toString('utf8').trimEnd();
    return text.split('\n').slice(-QUOTED_LINES_MAX).join('\n');
  } catch {
    return '';
  }
}

function readAt(path: string, offset: number, bytesMax: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(bytesMax);
    return buffer.subarray(0, readSync(file, buffer, 0, bytesMax, offset));
  } finally {
    closeSync(file);
  }
}

/** Children hold the file open for appending: it is copied and emptied in place, they go on at its new end. */
function boundLog(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < LOG_BYTES_MAX) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}
