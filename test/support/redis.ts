/** A real Redis for tests: a server of its own on a free port, in memory only. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pickPort } from '../../cli/dev/ports.ts';

const run = promisify(execFile);
const READY_TRIES_MAX = 200;
const READY_RETRY_MS = 25;
const DOWNLOAD_MS_MAX = 120_000;
/** Debian's redis-server and what it needs beside the base system. */
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1'];
/** Part of most base systems. */
const OPTIONAL = ['libatomic1', 'libstdc++6', 'libssl3', 'libsystemd0'];

interface RedisBinary {
  path: string;
  env: NodeJS.ProcessEnv;
}

export interface TestRedis {
  readonly url: string;
  /** SIGKILL: nothing of it is left. */
  kill(): Promise<void>;
  /** After `kill`, on the same port, empty. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT: it accepts connections and answers nothing. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** The reason why there is none, or where it is: on PATH, else taken out of Debian's packages into the user's cache. */
export async function findRedis(): Promise<RedisBinary | string> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'redis-server');
    if (folder !== '' && existsSync(path)) return { path, env: process.env };
  }
  const home = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const root = join(home, 'headwater', 'redis');
  const path = join(root, 'usr', 'bin', 'redis-server');
  if (!existsSync(path)) {
    try {
      await extract(root);
    } catch {
      return 'redis-server is not on PATH; install it with `apt-get install redis-server`';
    }
  }
  const libraries = await librariesIn(join(root, 'usr', 'lib'));
  return { path, env: { ...process.env, LD_LIBRARY_PATH: libraries.join(delimiter) } };
}

async function extract(root: string): Promise<void> {
  const folder = join(root, 'packages');
  await mkdir(folder, { recursive: true });
  const options = { cwd: folder, timeout: DOWNLOAD_MS_MAX };
  await run('apt-get', ['download', ...PACKAGES], options);
  for (const name of OPTIONAL) await run('apt-get', ['download', name], options).catch(() => undefined);
  for (const name of await readdir(folder)) {
    if (name.endsWith('.deb')) await run('dpkg', ['-x', join(folder, name), root], options);
  }
}

async function librariesIn(folder: string): Promise<string[]> {
  const below = await readdir(folder, { withFileTypes: true });
  return [folder, ...below.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name))];
}

export async function startRedis(binary: RedisBinary): Promise<TestRedis> {
  const port = await pickPort(0);
  let server = await start(binary, port);
  return {
    url: `redis://127.0.0.1:${port}`,
    kill: async () => await end(server, 'SIGKILL'),
    restart: async () => {
      server = await start(binary, port);
    },
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    stop: async () => {
      server.kill('SIGCONT');
      await end(server, 'SIGTERM');
    },
  };
}

async function start({ path, env }: RedisBinary, port: number): Promise<ChildProcess> {
  const server = spawn(
    path,
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp'],
    { env, stdio: 'ignore' },
  );
  for (let tries = 0; tries < READY_TRIES_MAX; tries += 1) {
    if (server.exitCode !== null) break;
    if (await answers(port)) return server;
    await sleep(READY_RETRY_MS);
  }
  server.kill('SIGKILL');
  throw new Error('redis-server does not start');
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill(signal);
  await ended;
}
