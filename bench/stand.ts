/** Everything that a measurement needs, started in a folder of its own and taken down again whatever happens. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { z } from 'zod';
import { askWorker } from '../cli/control-socket.ts';
import { startProcess } from '../cli/dev/processes.ts';
import { startTemporalServer, type TemporalServer } from '../cli/dev/temporal-server.ts';
import { runSummarySchema, type RunSummary } from '../schemas/run.ts';
import { FIELD_NAMES } from './contact.ts';
import { forgetPeak, peakMb } from './machine.ts';
import { startSandbox, type Sandbox } from './sandbox.ts';

const WORKER = fileURLToPath(new URL('../workers/main.ts', import.meta.url));
const SERVERS = fileURLToPath(new URL('../servers/main.ts', import.meta.url));
/** The last part of the address that the sandbox's messages are sent to. */
export const HOOK_SECRET = 'bench-bench-bench-bench-bench';
const WORKER_READY_MS_MAX = 120_000;
const WORKER_GRACE_MS = 35_000;
const SQL_ROWS_MAX = 1_000;
/** The bench measures Headwater, not how politely it spares a real org: its own limit of calls is out of the way. */
const CALLS_PER_SECOND = 10_000;
export const CONNECTION = 'bench';

/** What the worker has by default; the limit is measured with the same. */
export interface Resources {
  threads: number;
  memoryMb: number;
}

export interface ConnectionPlan {
  name: string;
  objects: readonly string[];
  webhooks?: Record<string, unknown>;
}

export interface TimedRun {
  run: RunSummary;
  workflowId: string;
  ms: number;
}

export interface BenchWorker {
  home: string;
  configPath: string;
  /** `syncConnection` by hand, from start to result as a client sees it. */
  sync(connection?: string): Promise<TimedRun>;
  sql(text: string): Promise<Record<string, unknown>[]>;
  peakMb(): number;
  forgetPeak(): void;
  /** Listeners for webhooks and profiles beside it. */
  serve(): Promise<{ webhooks: string; profiles: string; pid: number }>;
  /** Drains it; its home is deleted. */
  stop(): Promise<void>;
}

export interface Stand {
  root: string;
  sandbox: Sandbox;
  temporal: TemporalServer;
  client: Client;
  /** `more` is joined into the configuration. */
  startWorker(
    connections?: readonly ConnectionPlan[],
    resources?: Resources,
    more?: Record<string, unknown>,
  ): Promise<BenchWorker>;
}

export const DEFAULT_RESOURCES: Resources = { threads: 2, memoryMb: 640 };

type Closer = () => Promise<void>;

/** Stands that are up; an interrupted bench takes them down before it ends. */
const openStands = new Set<Closer[]>();

export async function closeStands(): Promise<void> {
  for (const closers of openStands) await closeAll(closers);
}

async function closeAll(closers: Closer[]): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close().catch(() => undefined);
}

export async function withStand<T>(
  objects: Readonly<Record<string, number>>,
  measure: (stand: Stand) => Promise<T>,
): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'headwater-bench-'));
  const closers: Closer[] = [() => Promise.resolve(rmSync(root, { recursive: true, force: true }))];
  openStands.add(closers);
  try {
    const [sandbox, temporal] = await Promise.all([
      startSandbox(objects, root).then((started) => {
        closers.push(() => started.stop());
        return started;
      }),
      startTemporalServer({ home: join(root, 'temporal'), port: 0, uiPort: 0 }).then((started) => {
        closers.push(() => started.stop());
        return started;
      }),
    ]);
    const connection = await Connection.connect({ address: temporal.address });
    closers.push(() => connection.close());
    const client = new Client({ connection, namespace: temporal.namespace });
    let workers = 0;
    const startWorker: Stand['startWorker'] = async (
      connections = [{ name: CONNECTION, objects: ['Contact'] }],
      resources = DEFAULT_RESOURCES,
      more = {},
    ) => {
      workers += 1;
      const home = join(root, `worker-${workers}`);
      return launch({ home, root, sandbox, temporal, client, connections, resources, more, closers });
    };
    return await measure({ root, sandbox, temporal, client, startWorker });
  } finally {
    await closeAll(closers);
    openStands.delete(closers);
  }
}

interface Launch {
  home: string;
  root: string;
  sandbox: Sandbox;
  temporal: TemporalServer;
  client: Client;
  connections: readonly ConnectionPlan[];
  resources: Resources;
  more: Record<string, unknown>;
  closers: Closer[];
}

async function launch(options: Launch): Promise<BenchWorker> {
  const { home, root, sandbox, temporal, client, connections, resources, more, closers } = options;
  mkdirSync(home, { recursive: true });
  // The bundle of the workflows is made by the first worker of a stand, as by the first start of an installation.
  mkdirSync(join(root, 'cache'), { recursive: true });
  symlinkSync(join(root, 'cache'), join(home, 'cache'));
  const path = join(home, 'headwater.config.json');
  writeFileSync(path, JSON.stringify({ ...configOf(sandbox, connections, resources), ...more }));
  const env = {
    ...temporal.env,
    HEADWATER_HOME: home,
    BENCH_CLIENT_SECRET: sandbox.clientSecret,
    BENCH_HOOK_SECRET: HOOK_SECRET,
    TZ: 'UTC',
  };
  const running = await startProcess({
    name: 'The worker',
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', WORKER, '--config', path],
    env,
    logPath: join(root, 'worker.log'),
    ready: (line) => (line.includes('"ready"') ? true : undefined),
    readyTimeoutMs: WORKER_READY_MS_MAX,
  });
  const stop = async () => {
    await running.stop(WORKER_GRACE_MS);
    rmSync(home, { recursive: true, force: true });
  };
  closers.push(stop);
  return {
    home,
    configPath: path,
    sync: (connection = CONNECTION) => timedSync(client, connection),
    sql: async (text) => {
      const answer = answerSchema.parse(await askWorker(home, '/sql', { sql: text, rowsMax: SQL_ROWS_MAX }));
      return answer.rows.map((row) =>
        Object.fromEntries(answer.columns.map(({ name }, at) => [name, row[at]])),
      );
    },
    peakMb: () => peakMb(running.pid),
    forgetPeak: () => forgetPeak(running.pid),
    async serve() {
      const servers = await startProcess({
        name: 'The servers',
        command: process.execPath,
        args: ['--disable-warning=ExperimentalWarning', SERVERS, '--config', path],
        env,
        logPath: join(root, 'servers.log'),
        ready: (line) => serving.safeParse(line).data,
      });
      closers.push(() => servers.stop(WORKER_GRACE_MS));
      return { ...servers.value, pid: servers.pid };
    },
    stop,
  };
}

const serving = z
  .string()
  .startsWith('{')
  .transform((line): unknown => JSON.parse(line))
  .pipe(z.object({ event: z.literal('ready'), webhooks: z.string(), profiles: z.string() }));

const answerSchema = z.looseObject({
  columns: z.array(z.looseObject({ name: z.string() })),
  rows: z.array(z.array(z.unknown())),
});

function configOf(
  sandbox: Sandbox,
  connections: readonly ConnectionPlan[],
  resources: Resources,
): Record<string, unknown> {
  const connection = ({ objects, webhooks }: ConnectionPlan) => ({
    ...(webhooks && { webhooks }),
    kind: 'salesforce',
    loginUrl: sandbox.url,
    auth: {
      grant: 'client_credentials',
      clientId: sandbox.clientId,
      clientSecret: { $secret: { env: 'BENCH_CLIENT_SECRET' } },
    },
    objects,
    fields: { Contact: { include: FIELD_NAMES } },
    // The sandbox shows every change at once, so nothing needs to be waited for or read twice.
    lag: '0s',
    lookback: '0s',
    limits: { perSecond: CALLS_PER_SECOND, burst: CALLS_PER_SECOND },
  });
  return {
    connections: Object.fromEntries(connections.map((plan) => [plan.name, connection(plan)])),
    warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
    worker: resources,
  };
}

async function timedSync(client: Client, connection: string): Promise<TimedRun> {
  const workflowId = `sync/${connection}/now`;
  const startedMs = performance.now();
  const result: unknown = await client.workflow.execute('syncConnection', {
    workflowId,
    taskQueue: 'headwater',
    args: [{ connection, trigger: 'manual' }],
  });
  const ms = performance.now() - startedMs;
  const run = runSummarySchema.parse(result);
  if (run.outcome !== 'ok')
    throw new Error(`${workflowId} ended ${run.outcome}: ${JSON.stringify(run.objects)}`);
  return { run, workflowId, ms };
}
