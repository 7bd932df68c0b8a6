import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { readTemporalService } from './development-services.ts';
import { ensureSearchAttributes, reasonOf, retentionDays } from './temporal-namespace.ts';

const CONNECT_TIMEOUT = '10s';
const RETENTION_DAYS_MIN = 7;
/** What the Temporal SDKs and CLI read to connect; ours must not mix with a profile meant for another service. */
const CONNECTION_VARIABLES =
  /^TEMPORAL_(ADDRESS|NAMESPACE|API_KEY|PROFILE|CONFIG_FILE|UI_URL|TLS|TLS_.*|GRPC_META_.*|CODEC_.*)$/;

/** A Temporal service that answers, has our search attributes, and how to reach it. */
export interface TemporalTarget {
  address: string;
  namespace: string;
  /** Without a slash at the end. Unknown for a service that is not ours, unless TEMPORAL_UI_URL or the Cloud tells. */
  uiUrl: string | undefined;
  /** The development server's process; undefined if the service is not ours. */
  pid: number | undefined;
  /** The environment in which the worker, the CLI and the SDK reach this service and no other. */
  env: NodeJS.ProcessEnv;
  /** Ends the development server; does nothing to a service that is not ours. */
  stop(): Promise<void>;
}

/** Whether the user chose a Temporal service: then that one and nothing else is used. */
export function isExistingChosen(env: NodeJS.ProcessEnv = process.env): boolean {
  return Boolean(env['TEMPORAL_ADDRESS'] || env['TEMPORAL_PROFILE']);
}

/** Connects to the service that the environment or profile names; throws one line with address and remedy. */
export async function connectExisting(options: {
  env?: NodeJS.ProcessEnv;
  log?: (message: string) => void;
  connectTimeout?: `${number}s`;
}): Promise<TemporalTarget> {
  const { env = process.env, log = () => {}, connectTimeout = CONNECT_TIMEOUT } = options;
  const config = configOf(env);
  const address = config.connectionOptions.address ?? '127.0.0.1:7233';
  const namespace = config.namespace ?? 'default';
  const chosenBy = env['TEMPORAL_ADDRESS'] ? 'TEMPORAL_ADDRESS' : `the profile ${env['TEMPORAL_PROFILE']}`;
  const connection = await Connection.connect({ ...config.connectionOptions, address, connectTimeout }).catch(
    (cause: unknown) => {
      throw new Error(
        `The Temporal service at ${address} (from ${chosenBy}) does not answer: ${reasonOf(cause)}. ` +
          'Start it or correct the address, or unset TEMPORAL_ADDRESS and TEMPORAL_PROFILE to use a development server.',
        { cause },
      );
    },
  );
  try {
    await prepare(connection, namespace, address, log);
  } finally {
    await connection.close();
  }
  return {
    address,
    namespace,
    uiUrl: uiOf(env, address, namespace),
    pid: undefined,
    env,
    stop: async () => {},
  };
}

function configOf(env: NodeJS.ProcessEnv): ReturnType<typeof loadClientConnectConfig> {
  const defined = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  try {
    return loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(defined) });
  } catch (cause) {
    throw new Error(
      `The Temporal client configuration cannot be read: ${reasonOf(cause)}. ` +
        'Look at TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the file that it names.',
      { cause },
    );
  }
}

/** The environment for our own development server: every connection setting of another service is left out. */
export function ownServerEnv(
  base: NodeJS.ProcessEnv,
  server: { address: string; namespace: string; uiUrl: string; configFile: string },
): NodeJS.ProcessEnv {
  const kept = Object.entries(base).filter(([name]) => !CONNECTION_VARIABLES.test(name));
  return {
    ...Object.fromEntries(kept),
    TEMPORAL_ADDRESS: server.address,
    TEMPORAL_NAMESPACE: server.namespace,
    TEMPORAL_UI_URL: server.uiUrl,
    // A default profile in the user's own file could add TLS or an API key, so the server comes with a file of its own.
    TEMPORAL_CONFIG_FILE: server.configFile,
  };
}

/** A client configuration file for our own server. The SDK fails on one without any profile, so it is never empty. */
export function configFileText(address: string, namespace: string): string {
  return `[profile.default]\naddress = "${address}"\nnamespace = "${namespace}"\n`;
}

async function prepare(
  connection: Connection,
  namespace: string,
  address: string,
  log: (message: string) => void,
): Promise<void> {
  const days = await retentionDays(connection, namespace).catch((cause: unknown) => {
    throw new Error(
      `The Temporal service at ${address} does not give access to namespace ${namespace}: ${reasonOf(cause)}. ` +
        'Create it, or set TEMPORAL_NAMESPACE.',
      { cause },
    );
  });
  if (days !== undefined && days < RETENTION_DAYS_MIN) {
    log(
      `Warning: namespace ${namespace} keeps closed runs for ${Math.round(days * 10) / 10} days only. ` +
        `Raise it: temporal operator namespace update --namespace ${namespace} --retention 30d`,
    );
  }
  const added = await ensureSearchAttributes(connection, namespace, readTemporalService().searchAttributes);
  if (added.length > 0) log(`Registered search attributes in namespace ${namespace}: ${added.join(', ')}.`);
}

function uiOf(env: NodeJS.ProcessEnv, address: string, namespace: string): string | undefined {
  if (env['TEMPORAL_UI_URL']) return env['TEMPORAL_UI_URL'].replace(/\/+$/, '');
  return /\.(tmprl\.cloud|api\.temporal\.io)(:\d+)?$/.test(address)
    ? `https://cloud.temporal.io/namespaces/${namespace}`
    : undefined;
}
