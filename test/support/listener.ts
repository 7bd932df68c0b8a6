/** The listener of webhooks in this process, on a free port, over a real inbox in a temporary folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../config/parse-config.ts';
import { registeredKinds } from '../../config/registered-kinds.ts';
import { createApp } from '../../servers/app.ts';
import { ingestRoutes } from '../../servers/ingest/routes.ts';
import { openServices, type OpenServices } from '../../servers/services.ts';
import { receiversOf } from '../../servers/webhooks/receivers.ts';
import { webhookRoutes } from '../../servers/webhooks/routes.ts';

export interface TestListener {
  url: string;
  services: OpenServices;
  /** Lines that were logged so far, as JSON. */
  logged: string[];
  stop(): Promise<void>;
}

/** `input` is a configuration as it is written, without a warehouse. */
export async function startListener(
  input: Record<string, unknown>,
  change: (services: OpenServices) => OpenServices = (services) => services,
): Promise<TestListener> {
  const home = await mkdtemp(join(tmpdir(), 'headwater-listener-'));
  const whole = { warehouse: { kind: 'duckdb', path: 'w.duckdb' }, ...input };
  const parsed = parseConfig(whole, { file: 'test', home, kinds: registeredKinds() });
  if (!parsed.ok) throw new Error(parsed.lines.join('\n'));
  const logged: string[] = [];
  const opened = await openServices(
    { config: parsed.config, path: join(home, 'headwater.config.json'), home },
    { log: (level, message, fields = {}) => logged.push(JSON.stringify({ level, message, ...fields })) },
  );
  const services = change(opened);
  const receivers = receiversOf(services);
  const app = createApp(services, { name: 'webhooks' });
  await app.register(webhookRoutes, { services, receivers });
  await app.register(ingestRoutes, { services, receivers });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    services,
    logged,
    async stop() {
      await app.close();
      await opened.close();
      await rm(home, { recursive: true });
    },
  };
}
