import { join } from 'node:path';
import type { LoadedConfig } from '../../config/load-config.ts';
import { failureOf, reasonOf, startProcess, type RunningProcess } from '../dev/processes.ts';
import type { RunClaim } from '../dev/run-file.ts';
import { cacheFolder } from '../dev/temporal-binary.ts';
import { startTemporalServer } from '../dev/temporal-server.ts';
import { connectExisting, isExistingChosen, type TemporalTarget } from '../dev/temporal-target.ts';
import { moduleFile } from '../module-file.ts';
import { serverPorts, startServers, type ServerPorts, type ServerUrls } from './servers.ts';
import { keptApiKey, startDemoSandboxes, type DemoSandbox } from './sandbox.ts';

const WORKER = moduleFile('workers/main');
const WORKER_READY_MS_MAX = 120_000;
/** The worker drains its steps within 30 s; the others have nothing to drain. */
const WORKER_GRACE_MS = 35_000;
/** Answers under way finish within 5 s. */
const SERVERS_GRACE_MS = 7_000;
const SANDBOX_GRACE_MS = 5_000;

export interface Services {
  temporal: TemporalTarget;
  worker: RunningProcess;
  /** Absent where the configuration serves nothing. */
  servers?: ServerUrls;
  sandboxes: readonly DemoSandbox[];
  /** Settles when a service ends that should not; tells which. */
  lost: Promise<Error>;
  /** Worker first, so that it can still report; Temporal last. */
  stop(tell: (message: string) => void): Promise<void>;
}

export interface ServicesOptions {
  loaded: LoadedConfig;
  run: RunClaim;
  demo: boolean;
  records: number | undefined;
  tell: (message: string) => void;
}

type Stop = (tell: (message: string) => void) => Promise<void>;

/** Starts what is not there yet, side by side where nothing depends on the other. A failure stops what was started. */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const { loaded, run, tell } = options;
  const stops: Stop[] = [];
  const stop = async (say: (message: string) => void) => {
    for (const end of stops.splice(0).reverse()) await end(say);
  };
  try {
    const ports = await serverPorts(loaded);
    const { temporal, sandboxes } = await startOutside(options, ports, stops);
    run.recordEndpoints({
      ports: { temporal: Number(temporal.address.split(':').at(-1)) },
      urls: { ...(temporal.uiUrl === undefined ? {} : { ui: temporal.uiUrl }) },
    });
    tell('Starting the worker …');
    const worker = await startWorker(loaded, temporal);
    run.recordProcess('worker', worker.pid);
    stops.push(async (say) => {
      say('Draining the worker …');
      await worker.stop(WORKER_GRACE_MS);
    });
    const servers = ports && (await startServers(loaded, temporal, ports));
    if (servers !== undefined) {
      run.recordProcess('servers', servers.pid);
      run.recordEndpoints({ urls: servers.value });
      stops.push(() => servers.stop(SERVERS_GRACE_MS));
    }
    const lost = Promise.race([
      ...[worker, ...(servers ? [servers] : []), ...sandboxes.map(({ process }) => process)].map(
        async (running) => failureOf(running, `ended by itself (${reasonOf(await running.ended)})`),
      ),
    ]);
    return { temporal, worker, ...(servers && { servers: servers.value }), sandboxes, lost, stop };
  } catch (error) {
    await stop(() => {});
    throw error;
  }
}

/** What the worker talks to: Temporal, and in the demo both systems. */
async function startOutside(
  { loaded, run, demo, records, tell }: ServicesOptions,
  ports: ServerPorts | undefined,
  stops: Stop[],
): Promise<{ temporal: TemporalTarget; sandboxes: readonly DemoSandbox[] }> {
  const { home } = loaded;
  const env = chosenEnvironment(loaded);
  const chosen = isExistingChosen(env);
  if (!chosen) tell('Starting the Temporal development server …');
  const temporalStarting = chosen
    ? connectExisting({ env, log: tell })
    : startTemporalServer({ home, log: tell, onSpawn: (pid) => run.recordProcess('temporal', pid) });
  if (demo) {
    keptApiKey(home);
    tell('Starting the Salesforce- and HubSpot-compatible sandboxes …');
  }
  const sandboxesStarting = demo
    ? startDemoSandboxes({
        home,
        records,
        env: process.env,
        ...(ports && { webhooksUrl: `http://127.0.0.1:${ports.webhooks}/webhooks` }),
        onSpawn: (name, pid) => run.recordProcess(name, pid),
      })
    : Promise.resolve([]);
  const [temporal, sandboxes] = await Promise.allSettled([temporalStarting, sandboxesStarting]);
  if (temporal.status === 'fulfilled') {
    stops.push(async (say) => {
      if (temporal.value.pid !== undefined) say('Stopping the Temporal server …');
      await temporal.value.stop();
    });
  }
  if (sandboxes.status === 'fulfilled') {
    stops.push(async () => {
      await Promise.all(sandboxes.value.map(({ process }) => process.stop(SANDBOX_GRACE_MS)));
    });
  }
  return { temporal: valueOf(temporal), sandboxes: valueOf(sandboxes) };
}

/** The environment's choice of a Temporal service, else the configuration's. */
function chosenEnvironment({ config }: LoadedConfig): NodeJS.ProcessEnv {
  const { address, namespace } = config.temporal;
  if (isExistingChosen() || address === undefined) return process.env;
  return {
    ...process.env,
    TEMPORAL_ADDRESS: address,
    ...(namespace === undefined ? {} : { TEMPORAL_NAMESPACE: namespace }),
  };
}

/** Our own development server lies in this home: its database may be new, the ledger is still this one's. */
function startWorker({ home, path }: LoadedConfig, temporal: TemporalTarget): Promise<RunningProcess> {
  const adopt = temporal.pid === undefined ? {} : { HEADWATER_ADOPT: '1' };
  return startProcess({
    name: 'The worker',
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', WORKER, '--config', path],
    // Beside the other things that every home can use.
    env: {
      ...temporal.env,
      ...{ HEADWATER_HOME: home, HEADWATER_BUNDLES: join(cacheFolder(), 'workflows'), TZ: 'UTC' },
      ...adopt,
    },
    logPath: join(home, 'logs', 'worker.log'),
    ready: (line) => (line.includes('"ready"') ? true : undefined),
    readyTimeoutMs: WORKER_READY_MS_MAX,
  });
}

function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'fulfilled') return settled.value;
  throw settled.reason;
}
