import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { ConnectionOptions } from '@temporalio/client';
import { z } from 'zod';
import type { LoadedConfig } from '../config/load-config.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { readLivingRun } from './dev/run-file.ts';

/** How to reach Temporal, and who said so. */
export interface TemporalAddress {
  address: string;
  namespace: string;
  /** Without a slash at the end; undefined when nobody told. */
  uiUrl: string | undefined;
  /** The environment variables, the configuration, or the running `headwater start`. */
  from: string;
  /** TLS, API key and metadata of a Temporal profile. */
  connectionOptions: Pick<ConnectionOptions, 'tls' | 'apiKey' | 'metadata'>;
}

const endpointSchema = z.object({
  temporal: z.object({ address: z.string(), namespace: z.string().optional(), uiUrl: z.string().optional() }),
});

/**
 * The service that TEMPORAL_ADDRESS or TEMPORAL_PROFILE chooses and nothing else; otherwise the configuration's; otherwise
 * the one that a running `headwater start` wrote into the home. TEMPORAL_UNAVAILABLE when there is none.
 */
export function temporalAddress(
  { config, home }: Pick<LoadedConfig, 'config' | 'home'>,
  environment: NodeJS.ProcessEnv = process.env,
): TemporalAddress {
  if (environment['TEMPORAL_ADDRESS'] || environment['TEMPORAL_PROFILE']) return fromEnvironment(environment);
  const { address, namespace } = config.temporal;
  const uiUrl = environment['TEMPORAL_UI_URL']?.replace(/\/+$/, '');
  if (address !== undefined) {
    return {
      address,
      namespace: namespace ?? 'default',
      uiUrl,
      from: 'the configuration',
      connectionOptions: {},
    };
  }
  const running = fromRunFile(home);
  if (running) return { ...running, namespace: running.namespace ?? namespace ?? 'default' };
  throw new HeadwaterError('TEMPORAL_UNAVAILABLE', `no Temporal service is known in ${home}`);
}

function fromEnvironment(environment: NodeJS.ProcessEnv): TemporalAddress {
  const defined = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({
    overrideEnvVars: Object.fromEntries(defined),
  });
  const { address = '127.0.0.1:7233', tls, apiKey, metadata } = connectionOptions;
  return {
    address,
    namespace,
    uiUrl: environment['TEMPORAL_UI_URL']?.replace(/\/+$/, ''),
    from: environment['TEMPORAL_ADDRESS']
      ? 'TEMPORAL_ADDRESS'
      : `profile ${environment['TEMPORAL_PROFILE'] ?? ''}`,
    connectionOptions: {
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
}

function fromRunFile(
  home: string,
): (Omit<TemporalAddress, 'namespace'> & { namespace: string | undefined }) | undefined {
  const living = readLivingRun(home);
  if (!living) return undefined;
  const from = `\`headwater start\` (pid ${living.launcher.pid})`;
  const path = join(home, 'run.json');
  const parsed = existsSync(path)
    ? endpointSchema.safeParse(parseJson(readFileSync(path, 'utf8')))
    : undefined;
  if (parsed?.success) {
    const { address, namespace, uiUrl } = parsed.data.temporal;
    return { address, namespace, uiUrl, from, connectionOptions: {} };
  }
  const port = living.ports['temporal'];
  if (port === undefined) return undefined;
  return {
    address: `127.0.0.1:${port}`,
    namespace: undefined,
    uiUrl: living.urls['ui'],
    from,
    connectionOptions: {},
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
