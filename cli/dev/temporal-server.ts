import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { readTemporalService, type TemporalService, withFlags } from './development-services.ts';
import { isListening, pickPort } from './ports.ts';
import { type Exit, failureOf, reasonOf, type RunningProcess, spawnProcess } from './processes.ts';
import { run } from './run-command.ts';
import { findTemporalBinary } from './temporal-binary.ts';
import { ensureSearchAttributes, retentionDays } from './temporal-namespace.ts';
import { configFileText, ownServerEnv, type TemporalTarget } from './temporal-target.ts';

const HEALTHY_WITHIN_MS = 30_000;
const CALL_TIMEOUT_MS = 2_000;
const POLL_MS = 20;
const STOP_GRACE_MS = 5_000;
const CLI_TIMEOUT_MS = 10_000;
/** Another program can take a port between our look and the server's bind. */
const START_ATTEMPTS_MAX = 3;

export interface TemporalServerOptions {
  /** Holds temporal.db, temporal.toml (how to connect) and logs/temporal.log; created if missing. */
  home: string;
  log?: (message: string) => void;
  env?: NodeJS.ProcessEnv;
  /** 0 means any free port. The defaults come from temporal-dev.yml and give way to free ones. */
  port?: number;
  uiPort?: number;
  /** Ports promised to other parts of the same launch. */
  takenPorts?: ReadonlySet<number>;
  /** Without it the binary is found or installed. */
  binaryPath?: string;
  /** Called as soon as the process runs, before it is healthy, so that it is in the run file if we die meanwhile. */
  onSpawn?: (pid: number) => void;
}

export interface TemporalServer extends TemporalTarget {
  pid: number;
  uiUrl: string;
  port: number;
  uiPort: number;
  /** Settles if the server ends, by `stop` or on its own. */
  ended: Promise<Exit>;
}

/** Starts our own development server; resolves once it serves the namespace with retention and search attributes. */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { home, log = () => {}, env = process.env } = options;
  const service = readTemporalService();
  const binary = options.binaryPath ?? (await findTemporalBinary({ env, progress: log })).path;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  for (let attempt = 1; ; attempt += 1) {
    const ports = await choosePorts(service, options, log);
    const address = `127.0.0.1:${ports.port}`;
    const configFile = join(home, 'temporal.toml');
    writeFileSync(configFile, configFileText(address, service.namespace), { mode: 0o600 });
    const uiUrl = `http://127.0.0.1:${ports.uiPort}`;
    const serverEnv = ownServerEnv(env, { address, namespace: service.namespace, uiUrl, configFile });
    const running = await spawnProcess({
      name: 'The Temporal server',
      command: binary,
      args: launcherArgs(service, home, ports),
      env: serverEnv,
      logPath: join(home, 'logs', 'temporal.log'),
    });
    options.onSpawn?.(running.pid);
    try {
      await prepare(running, binary, service, serverEnv, address);
      return {
        address,
        namespace: service.namespace,
        uiUrl,
        pid: running.pid,
        ...ports,
        env: serverEnv,
        ended: running.ended,
        stop: () => running.stop(STOP_GRACE_MS),
      };
    } catch (error) {
      await running.stop(STOP_GRACE_MS);
      // The server takes further ports for itself; one that was taken meanwhile ends it, and its stack may be all that is left to read.
      const collided = /address already in use|NewTemporalServerStartDevCommand/i.test(running.lastLines());
      if (!collided || attempt >= START_ATTEMPTS_MAX) throw error;
    }
  }
}

/** The command of temporal-dev.yml with what differs on this machine: addresses, ports, database file. */
export function launcherArgs(
  service: TemporalService,
  home: string,
  { port, uiPort }: { port: number; uiPort: number },
): string[] {
  return withFlags(service.args, {
    '--ip': '127.0.0.1',
    '--ui-ip': '127.0.0.1',
    '--port': String(port),
    '--ui-port': String(uiPort),
    '--db-filename': join(home, 'temporal.db'),
  });
}

async function choosePorts(
  service: TemporalService,
  options: TemporalServerOptions,
  log: (message: string) => void,
): Promise<{ port: number; uiPort: number }> {
  const taken = new Set(options.takenPorts);
  const chosen = async (what: string, preferred: number): Promise<number> => {
    const port = await pickPort(preferred, taken);
    if (preferred !== 0 && port !== preferred) log(`Port ${preferred} is in use: ${what} takes ${port}.`);
    taken.add(port);
    return port;
  };
  const port = await chosen('the Temporal server', options.port ?? service.port);
  return { port, uiPort: await chosen('the Temporal UI', options.uiPort ?? service.uiPort) };
}

async function prepare(
  running: RunningProcess,
  binary: string,
  service: TemporalService,
  env: NodeJS.ProcessEnv,
  address: string,
): Promise<void> {
  const connection = await connectWhenHealthy(running, service.namespace, address);
  try {
    // An old database file may come from a version of temporal-dev.yml with other attributes or retention.
    if ((await retentionDays(connection, service.namespace)) !== service.retentionDays) {
      await run(binary, withFlags(service.retentionArgs, { '--address': address }), {
        timeoutMs: CLI_TIMEOUT_MS,
        env,
      });
    }
    await ensureSearchAttributes(connection, service.namespace, service.searchAttributes);
  } finally {
    await connection.close();
  }
}

/** A connection once the server serves the namespace; throws if it ends or stays unhealthy. */
async function connectWhenHealthy(
  running: RunningProcess,
  namespace: string,
  address: string,
): Promise<Connection> {
  let exit: Exit | undefined;
  void running.ended.then((how) => (exit = how));
  let connection: Connection | undefined;
  const deadline = performance.now() + HEALTHY_WITHIN_MS;
  for (;;) {
    try {
      // A gRPC channel whose first attempt is refused waits a second before the next: let the port open first.
      if (!connection && !(await isListening(address))) throw new Error(`nothing listens on ${address}`);
      connection ??= Connection.lazy({ address });
      const open = connection;
      await open.withDeadline(Date.now() + CALL_TIMEOUT_MS, () => retentionDays(open, namespace));
      return open;
    } catch {
      if (exit || performance.now() >= deadline) {
        await connection?.close();
        if (exit) throw failureOf(running, `ended before being ready (${reasonOf(exit)})`);
        throw failureOf(running, `was not healthy within ${HEALTHY_WITHIN_MS} ms`);
      }
      await sleep(POLL_MS);
    }
  }
}
