import type { Client, Connection } from '@temporalio/client';
import type { LoadedConfig } from '../config/load-config.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { temporalAddress, type TemporalAddress } from './temporal-address.ts';

const CONNECT_TIMEOUT = '10s';

export interface TemporalClient {
  client: Client;
  target: TemporalAddress;
  taskQueue: string;
  close(): Promise<void>;
}

/** TEMPORAL_UNAVAILABLE names the address and who chose it. */
export async function connectTemporal(
  loaded: Pick<LoadedConfig, 'config' | 'home'>,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<TemporalClient> {
  const target = temporalAddress(loaded, environment);
  // Only commands that talk to Temporal pay for loading its client.
  const temporal = await import('@temporalio/client');
  let connection: Connection;
  try {
    connection = await temporal.Connection.connect({
      address: target.address,
      connectTimeout: CONNECT_TIMEOUT,
      ...target.connectionOptions,
    });
  } catch (cause) {
    throw new HeadwaterError(
      'TEMPORAL_UNAVAILABLE',
      `Temporal at ${target.address} (from ${target.from}) does not answer`,
      {
        cause,
      },
    );
  }
  const client = new temporal.Client({ connection, namespace: target.namespace });
  return { client, target, taskQueue: loaded.config.temporal.taskQueue, close: () => connection.close() };
}

/** The page of one workflow in the Temporal UI; undefined when the UI's address is unknown. */
export function workflowUrl(
  { uiUrl, namespace }: TemporalAddress,
  workflowId: string,
  runId?: string,
): string | undefined {
  if (uiUrl === undefined) return undefined;
  const base = uiUrl.includes('/namespaces/')
    ? uiUrl
    : `${uiUrl}/namespaces/${encodeURIComponent(namespace)}`;
  const workflow = `${base}/workflows/${encodeURIComponent(workflowId)}`;
  return runId === undefined ? workflow : `${workflow}/${encodeURIComponent(runId)}/history`;
}

/** Runs an action with a client and closes it whatever happens. */
export async function withTemporal<T>(
  loaded: Pick<LoadedConfig, 'config' | 'home'>,
  environment: NodeJS.ProcessEnv,
  action: (temporal: TemporalClient) => Promise<T>,
): Promise<T> {
  const temporal = await connectTemporal(loaded, environment);
  try {
    return await action(temporal);
  } finally {
    await temporal.close();
  }
}
