import { setTimeout as sleep } from 'node:timers/promises';
import { sourceConfig, webhookConfig } from '../../config/connection-config.ts';
import type { ConnectionConfig } from '../../config/schema.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { sourceDefinition } from '../../sources/registry.ts';
import type { SourceContext, TopicReader } from '../../sources/source.ts';
import type { Services } from '../services.ts';
import { TopicFollower, type FollowTimes } from './follower.ts';

/** A secret that cannot be read is looked for again so often. */
const RETRY_MS = 10_000;

/** Follows the topics of every connection whose `webhooks` ask for it, until `close`. */
export function followTopics(services: Services, times: FollowTimes = {}): { close(): Promise<void> } {
  const following = Object.values(services.loaded.config.connections).map((connection) =>
    follow(services, connection, times),
  );
  return {
    async close() {
      await Promise.all(following.map(({ stop }) => stop()));
    },
  };
}

function follow(
  services: Services,
  connection: ConnectionConfig,
  times: FollowTimes,
): { stop: () => Promise<void> } {
  const ended = new AbortController();
  const running = open(services, connection, ended.signal).then((opened) => {
    const { name, lagMs } = connection;
    const { reader, names = [] } = opened ?? {};
    if (reader === undefined) return undefined;
    const followers = names.map(
      (topic) => new TopicFollower(services, { connection: name, topic, lagMs }, reader, times),
    );
    for (const follower of followers) follower.start();
    return { reader, followers };
  });
  return {
    async stop() {
      ended.abort();
      const { reader, followers = [] } = (await running) ?? {};
      await Promise.all(followers.map((follower) => follower.stop()));
      await reader?.close();
    },
  };
}

/** Undefined where nothing is to be followed. Secrets that are not there yet are waited for. */
async function open(
  services: Services,
  connection: ConnectionConfig,
  signal: AbortSignal,
): Promise<{ reader: TopicReader; names: readonly string[] } | undefined> {
  const definition = sourceDefinition(connection.kind);
  const { webhooks: kind, topics } = definition ?? {};
  if (definition === undefined || kind === undefined || topics === undefined) return undefined;
  if (connection.webhooks === undefined) return undefined;
  let isTold = false;
  while (!signal.aborted) {
    try {
      const webhooks: unknown = webhookConfig(kind, connection);
      const names = topics.names(webhooks);
      if (names.length === 0) return undefined;
      const config: unknown = sourceConfig(definition, connection);
      const { objects, exclude, source: own } = connection;
      const pushed = { objects, exclude, own };
      const reader = await topics.open({ config, webhooks, pushed }, contextOf(services, connection));
      return { reader, names };
    } catch (error) {
      const { code = 'INTERNAL', message = '' } = error instanceof HeadwaterError ? error : {};
      if (!isTold) {
        const fields = { connection: connection.name, code };
        services.log('error', `topics cannot be followed: ${message}`, fields);
      }
      isTold = true;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}

/** Following takes no calls of the day's quota but log-ins, which nobody counts. */
function contextOf({ now, log }: Services, { name }: ConnectionConfig): SourceContext {
  return {
    connection: name,
    now,
    acquire: () => Promise.resolve(),
    reportQuota: () => undefined,
    log: (message, fields = {}) => log('info', message, { connection: name, ...fields }),
  };
}
