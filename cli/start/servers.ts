import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { LoadedConfig } from '../../config/load-config.ts';
import { pickPort } from '../dev/ports.ts';
import { startProcess, type RunningProcess } from '../dev/processes.ts';
import type { TemporalTarget } from '../dev/temporal-target.ts';
import { moduleFile } from '../module-file.ts';

const SERVERS = moduleFile('servers/main');

/** The one line that the servers print when both listen. */
const serving = z
  .string()
  .startsWith('{')
  .transform((line): unknown => JSON.parse(line))
  .pipe(z.object({ event: z.literal('ready'), webhooks: z.string(), profiles: z.string() }));

export type ServerUrls = Pick<z.output<typeof serving>, 'webhooks' | 'profiles'>;
export type ServerPorts = Record<keyof ServerUrls, number>;

/** The configured ports, or other free ones; undefined where nothing is served. */
export async function serverPorts({ config }: LoadedConfig): Promise<ServerPorts | undefined> {
  const { serve } = config;
  if (serve === undefined) return undefined;
  const webhooks = await pickPort(serve.webhooks.port);
  return { webhooks, profiles: await pickPort(serve.profiles.port, new Set([webhooks])) };
}

export async function startServers(
  { home, path }: LoadedConfig,
  temporal: TemporalTarget,
  ports: ServerPorts,
): Promise<RunningProcess & { value: ServerUrls }> {
  const servers = await startProcess({
    name: 'The servers',
    command: process.execPath,
    args: [
      ...['--disable-warning=ExperimentalWarning', SERVERS, '--config', path],
      ...['--webhooks-port', String(ports.webhooks), '--profiles-port', String(ports.profiles)],
    ],
    env: { ...temporal.env, HEADWATER_HOME: home, TZ: 'UTC' },
    logPath: join(home, 'logs', 'servers.log'),
    ready: (line) => serving.safeParse(line).data,
  });
  // For scripts: the port may be another one than the configured.
  mkdirSync(join(home, 'serve'), { recursive: true, mode: 0o700 });
  writeFileSync(join(home, 'serve', 'url'), servers.value.profiles, { mode: 0o600 });
  return servers;
}
