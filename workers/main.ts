// The worker process: read the configuration, wire, run, drain.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from '../activities/index.ts';
import { loadConfig, type LoadedConfig } from '../config/load-config.ts';
import { lastWords } from '../rules/last-words.ts';
import { serveControl } from './control.ts';
import { startFastLanes } from './fast-lanes.ts';
import { fileLog } from './log.ts';
import { claimCluster, pushing, wire } from './wiring.ts';
import { workflowBundle } from './workflow-bundle.ts';

/** Activities at once; lanes bound the work inside them. */
const ACTIVITIES_MAX = 16;
/** Objects that one connection lands in one warehouse at once, as `deliverCopy` has it. */
const DELIVERIES_AT_ONCE = 4;
const WORKFLOW_TASKS_MAX = 16;
/** Running steps get this long to reach a durable point when the worker stops. */
const SHUTDOWN_GRACE_MS = 10_000;
const SHUTDOWN_FORCE_MS = 30_000;
/** After a crash the next worker gets the runs of the dead one this much later; the SDK's own 10 s would be its longest wait. */
const STICKY_MS = 3_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' }, adopt: { type: 'boolean' } } });
  const loaded = await loadConfig(values.config === undefined ? {} : { path: values.config });
  const { config, home } = loaded;
  const log = fileLog(join(home, 'logs', 'worker.ndjson'));
  const { metrics: bindAddress } = config.worker;
  Runtime.install({
    shutdownSignals: ['SIGTERM', 'SIGINT'],
    ...(bindAddress !== undefined && { telemetryOptions: { metrics: { prometheus: { bindAddress } } } }),
  });
  const profile = loadClientConnectConfig();
  const address = profile.connectionOptions.address ?? config.temporal.address ?? '127.0.0.1:7233';
  const namespace = profile.namespace ?? config.temporal.namespace ?? 'default';
  const options = { ...profile.connectionOptions, address };
  const [connection, clientConnection, workflowCode] = await Promise.all([
    NativeConnection.connect(options),
    Connection.connect(options),
    workflowBundle(process.env['HEADWATER_BUNDLES'] ?? join(home, 'cache')),
  ]);
  const client = new Client({ connection: clientConnection, namespace });
  const stopping = stopSignal();
  const wiring = await wire(loaded, log, () => client, stopping);
  const { clusterId } = await clientConnection.workflowService.getClusterInfo({});
  const adopt = values.adopt === true || process.env['HEADWATER_ADOPT'] === '1';
  await claimCluster(wiring.dependencies.ledger, `${clusterId}/${namespace}`, adopt);
  const control = await serveControl(join(home, 'worker.sock'), wiring.dependencies);
  try {
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue: config.temporal.taskQueue,
      workflowBundle: workflowCode,
      activities: createActivities(wiring.dependencies),
      // Each fast lane keeps one slot for ever.
      maxConcurrentActivityTaskExecutions: ACTIVITIES_MAX + pushing(config).length + deliveriesMax(config),
      maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASKS_MAX,
      shutdownGraceTime: SHUTDOWN_GRACE_MS,
      shutdownForceTime: SHUTDOWN_FORCE_MS,
      stickyQueueScheduleToStartTimeout: STICKY_MS,
      // A cancellation is heard with a heartbeat: within this time.
      maxHeartbeatThrottleInterval: '1500ms',
      defaultHeartbeatThrottleInterval: '1500ms',
    });
    process.stdout.write(
      `${JSON.stringify({ event: 'ready', pid: process.pid, taskQueue: config.temporal.taskQueue })}\n`,
    );
    const run = worker.run();
    await startFastLanes(client, loaded.config, log);
    await run;
  } finally {
    control.close();
    await wiring.close();
    await connection.close();
    await clientConnection.close();
  }
}

/** Of several warehouses a slow one keeps its steps waiting: they take no slot that another one needs. */
function deliveriesMax({ connections, copies = [] }: LoadedConfig['config']): number {
  if (copies.length === 0) return 0;
  return Object.keys(connections).length * (1 + copies.length) * DELIVERIES_AT_ONCE;
}

/** Steps that wait for something end with it at once; the others have their grace time. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());
  return stopping.signal;
}

main().catch((error: unknown) => {
  const { text, exitCode } = lastWords(error);
  process.stderr.write(`${text}\n`);
  // What was opened before the error would keep the process alive.
  process.exit(exitCode);
});
