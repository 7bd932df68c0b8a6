/** A Snowflake for tests: fakesnow from PyPI with the launcher beside this file. It knows one account, and each test a database. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { pickPort } from '../../cli/dev/ports.ts';
import { snowflake } from '../../warehouses/snowflake/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { patient } from './patience.ts';
import { environmentOf, pythonPackageMissing } from './python-program.ts';

const FAKESNOW = {
  name: 'fakesnow-0.12.1',
  requirement: 'fakesnow[server]==0.12.1',
  beside: ['snowflake-connector-python==4.8.1', 'duckdb==2.0.0', 'sqlglot==30.22.0', 'pyarrow==26.0.1'],
};
const SCRIPT = resolve('test/support/fakesnow-server.py');
const READY_MS_MAX = patient(30_000);

export interface TestSnowflake {
  readonly url: string;
  stop(): Promise<void>;
}

/** Why it cannot run here, or undefined when it can. */
export const fakesnowMissing = (): Promise<string | undefined> => pythonPackageMissing(FAKESNOW);

export interface Emulated {
  /** Addresses of emulators of buckets, for external stages. */
  s3?: string;
  gcs?: string;
  /** After so long an idle transaction gives way to one that waits for it; absent: five minutes, as documented. */
  idleMs?: number;
}

export async function startFakesnow({ s3, gcs, idleMs }: Emulated = {}): Promise<TestSnowflake> {
  const port = await pickPort(0);
  const python = join(environmentOf(FAKESNOW), 'bin', 'python');
  const env = {
    ...process.env,
    ...(s3 === undefined ? {} : { FAKESNOW_S3: s3 }),
    ...(gcs === undefined ? {} : { FAKESNOW_GCS: gcs }),
    ...(idleMs === undefined ? {} : { FAKESNOW_IDLE_S: String(idleMs / 1000) }),
  };
  const child = spawn(python, [SCRIPT, String(port)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  await ready(child);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function ready(child: ChildProcess): Promise<void> {
  let output = '';
  return new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`fakesnow does not start:\n${output}`)), READY_MS_MAX);
    const hear = (part: string): void => {
      output = (output + part).slice(-4_000);
      if (!output.includes('ready')) return;
      clearTimeout(late);
      done();
    };
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', hear);
    child.once('exit', () => {
      clearTimeout(late);
      failed(new Error(`fakesnow does not start:\n${output}`));
    });
  });
}

/** A warehouse on a database that nobody has used, unless `database` names one. */
export function openSnowflake(
  url: string,
  folder: string,
  options: Record<string, unknown> = {},
): Promise<Warehouse> {
  const config = snowflake.config.parse({
    ...{ kind: 'snowflake', account: 'fakesnow', user: 'headwater', password: 'any', accessUrl: url },
    database: `TEST_${randomBytes(6).toString('hex').toUpperCase()}`,
    ...options,
  });
  return snowflake.connect(config, {
    now: Date.now,
    log: () => undefined,
    tempDirectory: join(folder, 'spill'),
    memoryMbMax: 400,
    threads: 2,
  });
}
