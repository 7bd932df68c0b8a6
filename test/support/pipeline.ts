/** The whole product for end-to-end tests: a Temporal server, the sandbox, a worker as a process of its own, one oracle. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { query } from '../../cli/warehouse.ts';
import { ledgerPlace } from '../../config/ledger.ts';
import { loadConfig, type LoadedConfig } from '../../config/load-config.ts';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import type { SandboxOptions } from '../../sandbox/salesforce/options.ts';
import type { SyncConnectionInput, Tuning } from '../../schemas/inputs.ts';
import { runSummarySchema, type ObjectSummary, type RunSummary } from '../../schemas/run.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import { openLedgerAt } from '../../stores/ledger/open.ts';
import { differences } from './oracle.ts';
import type { TestTemporal } from './temporal.ts';
import { startWorker, type TestWorker } from './worker-process.ts';
import { patient } from './patience.ts';

/** The connection that every pipeline has. */
export const CRM = 'crm';
export const TUNING: Tuning = { heartbeatMs: 2_000, retryMs: 50 };
/** Only these ordinary objects have rows; a test names its sizes. */
const NO_ROWS = { Contact: 0, Account: 0, Lead: 0, Opportunity: 0, Case: 0, Task: 0, Subscription__c: 0 };
/** The org's clock starts this far back, so that tests move it instead of waiting. */
const CLOCK_BEHIND_MS = 3 * 86_400_000;
const SYNC_MS_MAX = patient(40_000);
/** Bundling the workflows takes a second: all workers of one test file share the result. */
const BUNDLES = mkdtempSync(join(tmpdir(), 'headwater-bundles-'));
process.on('exit', () => rmSync(BUNDLES, { recursive: true, force: true }));

export interface PipelineOptions {
  sandbox?: SandboxOptions;
  /** Joined into the connection's configuration. */
  connection?: Record<string, unknown>;
  /** Joined into the configuration itself; `connections` beside the first one. */
  more?: {
    connections?: Record<string, unknown>;
    profiles?: object;
    conflicts?: object;
    ledger?: object;
    warehouse?: object | undefined;
    stage?: object;
    warehouses?: object;
    serve?: object;
    worker?: object;
  };
  /** For the worker: secrets of the further connections. */
  env?: NodeJS.ProcessEnv;
  /** A run that takes longer fails the test; 40 s by default. */
  syncMsMax?: number;
}

export interface SyncEnd {
  /** The run's table, of a failed run too; undefined when the whole connection failed. */
  run: RunSummary | undefined;
  /** `ok` and the like, or the code with which the run failed. */
  outcome: string;
  message: string;
}

export interface Pipeline {
  readonly home: string;
  readonly loaded: LoadedConfig;
  readonly sandbox: SalesforceSandbox;
  readonly client: Client;
  readonly worker: TestWorker | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Ends a worker that still runs first. */
  start(env?: NodeJS.ProcessEnv): Promise<TestWorker>;
  stop(): Promise<void>;
  begin(input?: Partial<SyncConnectionInput>): Promise<WorkflowHandle>;
  ended(handle: WorkflowHandle): Promise<SyncEnd>;
  sync(input?: Partial<SyncConnectionInput>): Promise<SyncEnd>;
  /** Moves the org's clock: what has changed so far is in the past. */
  pass(ms?: number): void;
  rows(sql: string): Promise<Record<string, unknown>[]>;
  ledger<T>(work: (ledger: Ledger) => Promise<T>): Promise<T>;
  /** Lines about rows that differ between the org and the warehouse; empty when they are equal. */
  oracle(object: string): Promise<string[]>;
  close(): Promise<void>;
}

export async function openPipeline(temporal: TestTemporal, options: PipelineOptions = {}): Promise<Pipeline> {
  const home = mkdtempSync(join(tmpdir(), 'headwater-e2e-'));
  symlinkSync(BUNDLES, join(home, 'cache'));
  const { objects, ...behaviour } = options.sandbox ?? {};
  const sandbox = await startSalesforceSandbox({
    seed: 5,
    bulkJobMs: 0,
    now: () => Date.now() - CLOCK_BEHIND_MS,
    ...behaviour,
    objects: { ...NO_ROWS, ...(objects ?? { Contact: 300 }) },
  });
  const taskQueue = `e2e-${home.slice(-6)}`;
  const path = join(home, 'headwater.config.json');
  const { connections = {}, ...parts } = options.more ?? {};
  const written = configuration(sandbox, taskQueue, options.connection);
  const all = { ...written, ...parts, connections: { ...written.connections, ...connections } };
  writeFileSync(path, JSON.stringify(all));
  const env = {
    ...temporal.env,
    ...options.env,
    HEADWATER_HOME: home,
    SANDBOX_SECRET: sandbox.clientSecret,
    TZ: 'UTC',
  };
  const loaded = await loadConfig({ path, home });
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });
  let worker: TestWorker | undefined;
  const stop = async () => {
    await worker?.stop();
    worker = undefined;
  };
  const begin: Pipeline['begin'] = (input = {}) =>
    client.workflow.start('syncConnection', {
      workflowId: `sync/${taskQueue}/now`,
      taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [{ connection: CRM, trigger: 'manual', tuning: TUNING, ...input }],
    });
  const rows: Pipeline['rows'] = async (sql) => {
    const answer = await query(loaded, sql, 100_000);
    return answer.rows.map((row) =>
      Object.fromEntries(answer.columns.map(({ name }, index) => [name, row[index]])),
    );
  };
  return {
    home,
    loaded,
    sandbox,
    client,
    env,
    get worker() {
      return worker;
    },
    async start(more = {}) {
      await stop();
      worker = await startWorker(path, { ...env, ...more });
      return worker;
    },
    stop,
    begin,
    ended: (handle) => inTime(home, ended(handle), options.syncMsMax),
    sync: async (input) => inTime(home, ended(await begin(input)), options.syncMsMax),
    pass: (ms = 60_000) => sandbox.clock.advance(ms),
    rows,
    async ledger(work) {
      const ledger = await openLedgerAt(ledgerPlace(loaded.config, env));
      try {
        return await work(ledger);
      } finally {
        await ledger.close();
      }
    },
    oracle: (object) => differences(sandbox, object, rows, `${CRM}.${tableOf(object)}`),
    async close() {
      await worker?.kill();
      await connection.close();
      await sandbox.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const tableOf = (object: string) => object.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase();

function configuration(sandbox: SalesforceSandbox, taskQueue: string, connection: object | undefined) {
  return {
    connections: {
      [CRM]: {
        kind: 'salesforce',
        loginUrl: sandbox.loginUrl,
        auth: {
          grant: 'client_credentials',
          clientId: sandbox.clientId,
          clientSecret: { $secret: { env: 'SANDBOX_SECRET' } },
        },
        objects: ['Contact'],
        lag: '0s',
        lookback: '10m',
        limits: { perSecond: 2_000, burst: 2_000 },
        ...connection,
      },
    },
    warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
    stage: { freeMin: '10MB' },
    temporal: { taskQueue },
  };
}

/** A run that hangs says where. */
async function inTime<T>(home: string, end: Promise<T>, msMax = SYNC_MS_MAX): Promise<T> {
  const timer = new AbortController();
  const late = sleep(msMax, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no end within ${msMax} ms; the worker says:\n${logsOf(home).slice(-3_000)}`);
  });
  try {
    return await Promise.race([end, late]);
  } finally {
    timer.abort();
    await late.catch(() => {});
  }
}

/** A failed run's table travels in the details of its failure. */
async function ended(handle: WorkflowHandle): Promise<SyncEnd> {
  try {
    const result: unknown = await handle.result();
    const run = runSummarySchema.parse(result);
    return { run, outcome: run.outcome, message: '' };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (!(cause instanceof ApplicationFailure)) {
      return { run: undefined, outcome: cause?.constructor.name ?? 'unknown', message: cause?.message ?? '' };
    }
    const run = runSummarySchema.safeParse(cause.details?.[0]).data;
    return { run, outcome: cause.type ?? '', message: cause.message };
  }
}

/** The one line of an object in a run's table; the last when several windows moved. */
export function lineOf(end: SyncEnd, object = 'Contact'): ObjectSummary {
  const line = end.run?.objects.findLast((candidate) => candidate.object === object);
  if (line !== undefined) return line;
  throw new Error(`the run (${end.outcome} ${end.message}) has no line of ${object}`);
}

/** Every text that the worker leaves behind for people: its output and its logs. */
export function logsOf(home: string): string {
  mkdirSync(join(home, 'logs'), { recursive: true });
  const paths = ['worker.ndjson', 'worker.out'].map((name) => join(home, 'logs', name));
  return paths.map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : '')).join('');
}
