// The server process: webhooks and profiles over HTTP, queues and topics, beside the worker.
import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { loadConfig, type LoadedConfig } from '../config/load-config.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { lastWords } from '../rules/last-words.ts';
import { createApp } from './app.ts';
import { changeRoutes } from './changes/routes.ts';
import { ingestRoutes } from './ingest/routes.ts';
import { profileRoutes } from './profiles/routes.ts';
import { readQueues } from './queue/queues.ts';
import { openServices, type Services } from './services.ts';
import { eventRoutes } from './subscriptions/routes.ts';
import { NotifyRuns } from './subscriptions/runs.ts';
import { followTopics } from './topics/topics.ts';
import { receiversOf } from './webhooks/receivers.ts';
import { webhookRoutes } from './webhooks/routes.ts';
import { InboxRuns } from './webhooks/runs.ts';

/** Answers under way get this long when the process is told to stop. */
const DRAIN_MS_MAX = 5_000;

interface Part {
  url: string;
  close(): Promise<void>;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      webhooks: { type: 'boolean' },
      profiles: { type: 'boolean' },
      queues: { type: 'boolean' },
      topics: { type: 'boolean' },
      'webhooks-port': { type: 'string' },
      'profiles-port': { type: 'string' },
    },
  });
  const parted = [values.webhooks, values.profiles, values.queues, values.topics];
  const all = parted.every((chosen) => chosen !== true);
  const loaded = onPorts(await loadConfig(values.config === undefined ? {} : { path: values.config }), {
    webhooks: values['webhooks-port'],
    profiles: values['profiles-port'],
  });
  const services = await openServices(loaded);
  const receivers = receiversOf(services);
  const runs = new InboxRuns(services, [...receivers.keys()]);
  const parts: Record<string, Part> = {};
  const opened: { close(): Promise<void> }[] = [];
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
  try {
    if (all || values.webhooks === true) parts['webhooks'] = await serveWebhooks(services, receivers);
    if (all || values.profiles === true) parts['profiles'] = await serveProfiles(services);
    const queues = all || values.queues === true ? readQueues(services, receivers) : undefined;
    if (queues !== undefined) opened.push(queues);
    if (all || values.topics === true) opened.push(followTopics(services));
    const urls = Object.fromEntries(Object.entries(parts).map(([name, { url }]) => [name, url]));
    process.stdout.write(`${JSON.stringify({ event: 'ready', pid: process.pid, ...urls })}\n`);
    runs.start();
    await stopped;
    setTimeout(() => process.exit(1), DRAIN_MS_MAX).unref();
  } finally {
    runs.stop();
    await Promise.all([...Object.values(parts), ...opened].map((part) => part.close()));
    await services.close();
  }
}

/** Whoever starts this process may have found the configured ports busy. */
function onPorts(
  loaded: LoadedConfig,
  given: Record<'webhooks' | 'profiles', string | undefined>,
): LoadedConfig {
  const { serve } = loaded.config;
  if (serve === undefined) return loaded;
  const at = <Address extends { port: number }>(address: Address, port: string | undefined): Address =>
    port === undefined ? address : { ...address, port: Number(port) };
  const webhooks = at(serve.webhooks, given.webhooks);
  const profiles = at(serve.profiles, given.profiles);
  return { ...loaded, config: { ...loaded.config, serve: { ...serve, webhooks, profiles } } };
}

async function serveWebhooks(services: Services, receivers: ReturnType<typeof receiversOf>): Promise<Part> {
  const app = createApp(services, { name: 'webhooks' });
  await app.register(webhookRoutes, { services, receivers });
  await app.register(ingestRoutes, { services, receivers });
  const url = await listen(app, 'webhooks', services.serve.webhooks);
  return { url, close: async () => await app.close() };
}

async function serveProfiles(services: Services): Promise<Part> {
  const app = createApp(services, { name: 'profiles' });
  profileRoutes(app, services);
  changeRoutes(app, services);
  eventRoutes(app, services);
  const url = await listen(app, 'profiles', services.serve.profiles);
  const runs = new NotifyRuns(services);
  runs.start();
  return {
    url,
    async close() {
      runs.stop();
      await app.close();
    },
  };
}

async function listen(
  app: FastifyInstance,
  part: string,
  { host, port }: { host: string; port: number },
): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (cause) {
    const code =
      typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : 'unknown';
    throw new HeadwaterError(
      'CONFIG_INVALID',
      `serve.${part}: ${host}:${port} cannot be listened on (${code})`,
      {
        cause,
        remedy: `Stop what listens there, or write another serve.${part}.port.`,
      },
    );
  }
}

main()
  .then(() => process.exit(0))
  .catch((error: unknown) => {
    const { text, exitCode } = lastWords(error);
    process.stderr.write(`${text}\n`);
    process.exit(exitCode);
  });
