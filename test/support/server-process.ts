/** The server process as users run it, started, stopped and killed by its own process id. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patient } from './patience.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const READY_MS_MAX = patient(30_000);

export interface TestServer {
  readonly pid: number;
  readonly home: string;
  /** Of the listeners that run. */
  readonly urls: { webhooks: string; profiles: string };
  /** Settles with the signal or the exit code that ended it. */
  readonly ended: Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** Resident memory in bytes. */
  memory(): number;
}

export interface TestHome {
  path: string;
  start(): Promise<TestServer>;
  remove(): Promise<void>;
}

/** A home and a configuration, on which a server can be started several times. `input` is written as JSON. */
export async function serverHome(input: unknown, env: NodeJS.ProcessEnv, words: string[]): Promise<TestHome> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-server-'));
  const config = join(path, 'headwater.config.json');
  await writeFile(config, JSON.stringify(input));
  return {
    path,
    start: async () => await startServer(path, ['--config', config, ...words], env),
    remove: async () => await rm(path, { recursive: true, force: true }),
  };
}

/** `words` are those of servers/main.ts. */
export async function startServer(
  home: string,
  words: string[],
  env: NodeJS.ProcessEnv,
): Promise<TestServer> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(ROOT, 'servers', 'main.ts'), ...words],
    { env: { ...process.env, HEADWATER_HOME: home, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors = (errors + part).slice(-4_000)));
  const ended = new Promise<string>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? String(code))),
  );
  const ready = new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      output += part;
      if (output.includes('\n')) resolve('ready');
    });
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS_MAX);
  const first = await Promise.race([ready, ended]);
  clearTimeout(timer);
  if (first !== 'ready') throw new Error(`the server ended (${first}) before it was ready:\n${errors}`);
  const urls: { webhooks?: string; profiles?: string } = JSON.parse(output.split('\n')[0] ?? '');
  const pid = child.pid ?? 0;
  return {
    pid,
    home,
    urls: { webhooks: urls.webhooks ?? '', profiles: urls.profiles ?? '' },
    ended,
    signal: (signal) => child.kill(signal),
    memory: () => {
      const [, kilobytes = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      return Number(kilobytes) * 1_024;
    },
  };
}
