import { sourceConfig, webhookConfig } from '../config/connection-config.ts';
import type { ConnectionConfig } from '../config/schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { CheckResult, SourceContext, TopicReader } from '../sources/source.ts';

const ANSWER_MS_MAX = 20_000;

/** A line for each topic that the connection asks to follow: opened and left again, no event is read. */
export async function checkTopics(connection: ConnectionConfig): Promise<CheckResult[]> {
  const { sourceDefinition } = await import('../sources/registry.ts');
  const definition = sourceDefinition(connection.kind);
  const { webhooks: kind, topics } = definition ?? {};
  if (definition === undefined || kind === undefined || topics === undefined) return [];
  if (connection.webhooks === undefined) return [];
  const webhooks: unknown = webhookConfig(kind, connection);
  const names = topics.names(webhooks);
  const config: unknown = sourceConfig(definition, connection);
  const { objects, exclude, source: own } = connection;
  const given = { config, webhooks, pushed: { objects, exclude, own } };
  const reader = await topics.open(given, contextOf(connection.name));
  try {
    const lines: CheckResult[] = [];
    for (const name of names) lines.push(await checkTopic(reader, name));
    return lines;
  } finally {
    await reader.close();
  }
}

async function checkTopic(reader: TopicReader, topic: string): Promise<CheckResult> {
  const check = 'topic';
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
  try {
    const opened = await reader.read(topic, null, signal)[Symbol.asyncIterator]().next();
    if (opened.done !== true) return { check, ok: true, detail: `${topic} may be followed` };
    return { check, ok: false, detail: `${topic} gave no answer within ${ANSWER_MS_MAX / 1_000} s` };
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    return { check, ok: false, detail: error.message, remedy: error.remedy };
  } finally {
    ended.abort();
  }
}

const contextOf = (connection: string): SourceContext => ({
  connection,
  now: Date.now,
  acquire: () => Promise.resolve(),
  reportQuota: () => undefined,
  log: () => undefined,
});
