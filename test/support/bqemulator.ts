/** BigQuery for tests: a pinned bqemulator in the project's cache, on a free port of 127.0.0.1; each test has a project of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { bigquery } from '../../warehouses/bigquery/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { patient } from './patience.ts';
import { environmentOf, pythonPackageMissing } from './python-program.ts';
import type { PythonPackage } from './python-program.ts';

const SERVER = resolve('test/support/bqemulator-server.py');
const EMULATOR: PythonPackage = {
  name: 'bqemulator-1.4.0',
  requirement: 'bqemulator==1.4.0',
  beside: ['-r', resolve('test/support/bqemulator-requirements.txt')],
};
const PYTHON = join(environmentOf(EMULATOR), 'bin', 'python');
const READY_MS_MAX = patient(60_000);

/** Why it cannot run here, or undefined when it can. Python 3.11 or later. */
export const bqemulatorMissing = (): Promise<string | undefined> => pythonPackageMissing(EMULATOR);

export interface TestBigquery {
  readonly endpoint: string;
  /** Of the Storage Write API. */
  readonly writeEndpoint: string;
  stop(): Promise<void>;
}

/** `buckets`: a folder whose files it takes for objects of Cloud Storage, `<bucket>/<key>`. */
export async function startBqemulator(buckets?: string): Promise<TestBigquery> {
  const env = { ...process.env, ...(buckets === undefined ? {} : { BQEMU_GCS_LOCAL_ROOT: buckets }) };
  // It ends by itself when its stdin does: no server is left when a test is killed.
  const server = spawn(PYTHON, [SERVER], { stdio: ['pipe', 'pipe', 'pipe'], env });
  let errors = '';
  server.stderr.on('data', (part: Buffer) => (errors = (errors + part.toString('utf8')).slice(-4_000)));
  const timer = setTimeout(() => server.kill('SIGKILL'), READY_MS_MAX);
  const line = await new Promise<string>((resolveLine) => {
    server.stdout.once('data', (part: Buffer) => resolveLine(part.toString('utf8')));
    server.once('exit', () => resolveLine(''));
  });
  clearTimeout(timer);
  const [, port, grpcPort] = /"port": (\d+), "grpc_port": (\d+)/.exec(line) ?? [];
  if (port === undefined) throw new Error(`bqemulator does not start:\n${errors}`);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    writeEndpoint: `http://127.0.0.1:${grpcPort}`,
    stop: () => end(server),
  };
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolveEnd) => server.once('exit', resolveEnd));
  server.kill('SIGKILL');
  await ended;
}

/** An empty warehouse: a project that nobody has used. */
export function openBigquery(
  endpoint: string,
  folder: string,
  options: object = {},
  now: () => number = Date.now,
): Promise<Warehouse> {
  const project = `test-${randomBytes(6).toString('hex')}`;
  const config = bigquery.config.parse({ kind: 'bigquery', project, endpoint, ...options });
  return bigquery.connect(config, {
    now,
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
