/** A real RabbitMQ for tests: a node of its own with its own folder, ports, cookie and port mapper, on 127.0.0.1 alone. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import { pickPort } from '../../cli/dev/ports.ts';
import { patient } from './patience.ts';

/** Debian's script on PATH changes the user; the one that it calls runs as whoever calls it. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const READY_MS_MAX = patient(40_000);
const READY_RETRY_MS = 100;

export interface TestRabbit {
  readonly url: string;
  /** SIGKILL: what is not on its disk is lost. */
  kill(): Promise<void>;
  /** After `kill`, on the same port, with what its disk has. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface RabbitBinaries {
  server: string;
  portMapper: string;
}

/** The reason why there is none, or where it is. */
export function findRabbit(): RabbitBinaries | string {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const portMapper = folders.map((folder) => join(folder, 'epmd')).find((path) => existsSync(path));
  if (existsSync(SERVER) && portMapper !== undefined) return { server: SERVER, portMapper };
  return 'rabbitmq-server is not installed; install it with `apt-get install --no-install-recommends rabbitmq-server`';
}

export async function startRabbit({ server, portMapper }: RabbitBinaries): Promise<TestRabbit> {
  const home = await mkdtemp(join(tmpdir(), 'headwater-rabbit-'));
  const [port, distributionPort, mapperPort] = await Promise.all([pickPort(0), pickPort(0), pickPort(0)]);
  const url = `amqp://guest:guest@127.0.0.1:${port}`;
  await Promise.all([mkdir(join(home, 'data')), mkdir(join(home, 'log'))]);
  await Promise.all([
    writeFile(join(home, 'env.conf'), ''),
    writeFile(join(home, 'enabled_plugins'), '[].\n'),
    writeFile(join(home, 'rabbitmq.conf'), 'disk_free_limit.absolute = 1MB\nlog.console.level = error\n'),
  ]);
  const env = {
    ...process.env,
    HOME: home,
    RABBITMQ_CONF_ENV_FILE: join(home, 'env.conf'),
    RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(home, 'data'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: join(home, 'pid'),
    RABBITMQ_NODENAME: `headwater${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1',
    ERL_EPMD_PORT: String(mapperPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
  const mapper = spawn(portMapper, ['-port', String(mapperPort), '-address', '127.0.0.1'], {
    env,
    stdio: 'ignore',
  });
  let node: ChildProcess | undefined;
  const begin = async () => {
    node = await start(server, env, url);
  };
  const stop = async () => {
    await end(node, 'SIGKILL');
    mapper.kill('SIGKILL');
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  await begin().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { url, kill: async () => await end(node, 'SIGKILL'), restart: begin, stop };
}

/** A group of its own: the node and the helpers that it starts end together. */
async function start(server: string, env: NodeJS.ProcessEnv, url: string): Promise<ChildProcess> {
  const node = spawn(server, [], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  for (const stream of [node.stdout, node.stderr])
    stream?.setEncoding('utf8').on('data', (part: string) => (output = (output + part).slice(-4_000)));
  const until = performance.now() + READY_MS_MAX;
  while (node.exitCode === null && performance.now() < until) {
    const connection = await connect(url, { timeout: 1_000 }).catch(() => undefined);
    if (connection !== undefined) {
      await connection.close();
      return node;
    }
    await sleep(READY_RETRY_MS);
  }
  await end(node, 'SIGKILL');
  throw new Error(`rabbitmq-server does not start:\n${output}`);
}

async function end(node: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (node?.pid === undefined || node.exitCode !== null || node.signalCode !== null) return;
  const ended = new Promise((resolve) => node.once('exit', resolve));
  process.kill(-node.pid, signal);
  await ended;
}
