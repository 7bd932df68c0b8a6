import { Client, Connection } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkflowBundle,
} from '@temporalio/worker';
import type { Activities, RunPlanInput, RunPlanOutput } from '../../activities/index.ts';
import type { PlannedWindow } from '../../activities/plan.ts';
import type { ObjectSummary, RunSummary } from '../../schemas/run.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const FROM = '2026-11-20T08:00:00.000Z';
const UNTIL = '2026-11-20T09:00:00.000Z';

/** A window as plan returns it; only what a test is about is given. */
export function window(object: string, more: Partial<PlannedWindow> = {}): PlannedWindow {
  return {
    object,
    window: `w_${object}`,
    attempt: 1,
    kind: 'head',
    resumed: false,
    from: FROM,
    until: UNTIL,
    slices: 1,
    api: 'rest',
    rowsEstimate: 10,
    planMs: 1,
    ...more,
  };
}

export function landed(object: string, more: Partial<ObjectSummary> = {}): ObjectSummary {
  return {
    object,
    window: `w_${object}`,
    from: FROM,
    until: UNTIL,
    state: 'landed',
    rows: 10,
    inserted: 10,
    updated: 0,
    unchanged: 0,
    deleted: 0,
    quarantined: 0,
    verdict: 'proven',
    seconds: 0.1,
    ...more,
  };
}

export function planned(input: RunPlanInput, more: Partial<RunPlanOutput>): RunPlanOutput {
  return {
    windows: [],
    settled: [],
    idle: 0,
    until: UNTIL,
    next: null,
    objectsTotal: 1,
    objectsInParallel: 4,
    deadlineMs: null,
    closed: null,
    ...more,
    ...(more.closed === undefined && (more.windows ?? []).length === 0 && input.part !== true
      ? { closed: closedRun(input, more) }
      : {}),
  };
}

function closedRun(input: RunPlanInput, more: Partial<RunPlanOutput>): RunSummary {
  return {
    connection: input.connection,
    workflowId: 'w',
    runId: 'r',
    trigger: input.trigger,
    outcome: 'ok',
    startedAt: input.startedAt,
    endedAt: input.startedAt,
    idle: more.idle ?? 0,
    objects: more.settled ?? [],
  };
}

/** What a test does not fake fails loudly when it is called. */
export function fakes(overrides: Partial<Activities>): Activities {
  const unexpected = (name: string) => () => Promise.reject(new Error(`the test does not expect ${name}`));
  const finish: Activities['finish'] = () => Promise.resolve();
  const undelivered: Activities['undelivered'] = () => Promise.resolve([]);
  const names = ['plan', 'moveSlice', 'extract', 'shape', 'load', 'commit', 'planBackfill'];
  return {
    ...(Object.fromEntries(names.map((name) => [name, unexpected(name)])) as unknown as Activities),
    finish,
    undelivered,
    ...overrides,
  };
}

export interface Bench {
  address: string;
  client: Client;
  /** Runs a worker with these activities while `work` goes on, on a task queue of its own. */
  run<T>(activities: Activities, work: (taskQueue: string) => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

let queues = 0;

export async function openBench(): Promise<Bench> {
  // Failures that a test provokes are expected; only the runtime's own errors are of interest.
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const temporal: TestTemporal = await withTemporal();
  const connection = await Connection.connect({ address: temporal.address });
  const native = await NativeConnection.connect({ address: temporal.address });
  const workflowBundle: WorkflowBundle = await bundleWorkflowCode({
    workflowsPath: new URL('../../workflows/index.ts', import.meta.url).pathname,
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  });
  const client = new Client({ connection, namespace: temporal.namespace });
  return {
    address: temporal.address,
    client,
    async run(activities, work) {
      queues += 1;
      const taskQueue = `test-${queues}`;
      const worker = await Worker.create({
        connection: native,
        namespace: temporal.namespace,
        taskQueue,
        workflowBundle,
        activities,
        shutdownGraceTime: 0,
      });
      try {
        return await worker.runUntil(work(taskQueue));
      } finally {
        await endLeftOver(client, taskQueue);
      }
    },
    async stop() {
      await connection.close();
      await native.close();
      await temporal.stop();
    },
  };
}

/** No worker has this queue any more: what still runs there would keep its ids from the next test. */
async function endLeftOver(client: Client, taskQueue: string): Promise<void> {
  const query = `TaskQueue = '${taskQueue}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId, runId } of client.workflow.list({ query }))
    await client.workflow
      .getHandle(workflowId, runId)
      .terminate('the test is over')
      .catch(() => undefined);
}
