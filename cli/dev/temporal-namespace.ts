import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';

const VISIBLE_WITHIN_MS = 20_000;
const POLL_MS = 100;
const SECONDS_PER_DAY = 86_400;

/** Temporal's wire values of the types that we register (temporal.api.enums.v1.IndexedValueType). */
const INDEXED_VALUE_TYPES: Record<string, number> = {
  Text: 1,
  Keyword: 2,
  Int: 3,
  Double: 4,
  Bool: 5,
  Datetime: 6,
  KeywordList: 7,
};

/** How long the namespace keeps closed runs, in days; undefined if the service does not say. */
export async function retentionDays(connection: Connection, namespace: string): Promise<number | undefined> {
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  const seconds = config?.workflowExecutionRetentionTtl?.seconds;
  return seconds ? Number(seconds) / SECONDS_PER_DAY : undefined;
}

/**
 * Registers what is missing and returns those names, once queries accept them (a server spreads new attributes with
 * a delay). Throws one line if an attribute exists with another type or the service does not let us register.
 */
export async function ensureSearchAttributes(
  connection: Connection,
  namespace: string,
  wanted: Record<string, string>,
): Promise<string[]> {
  const existing = await customAttributes(connection, namespace);
  for (const [name, type] of Object.entries(wanted)) {
    const found = existing[name];
    if (found !== undefined && found !== INDEXED_VALUE_TYPES[type]) {
      throw new Error(
        `The search attribute ${name} of namespace ${namespace} is not of type ${type}. ` +
          'Remove it there, or set TEMPORAL_NAMESPACE to a namespace for Headwater alone.',
      );
    }
  }
  const missing = Object.entries(wanted).filter(([name]) => existing[name] === undefined);
  if (missing.length === 0) return [];
  const names = missing.map(([name]) => name);
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(
        missing.map(([name, type]) => [name, INDEXED_VALUE_TYPES[type] ?? 0]),
      ),
    });
  } catch (cause) {
    const pairs = missing.map(([name, type]) => `${name}=${type}`).join(' ');
    throw new Error(
      `Namespace ${namespace} lacks search attributes and the service does not let Headwater register them ` +
        `(${reasonOf(cause)}). Have them registered by who administers it: ${pairs}`,
      { cause },
    );
  }
  await untilQueriable(connection, namespace, names);
  return names;
}

/** Name → wire type. Temporal Cloud has no operator service; there the namespace's cluster-wide list answers. */
async function customAttributes(connection: Connection, namespace: string): Promise<Record<string, number>> {
  try {
    return (await connection.operatorService.listSearchAttributes({ namespace })).customAttributes ?? {};
  } catch {
    return (await connection.workflowService.getSearchAttributes({})).keys ?? {};
  }
}

async function untilQueriable(connection: Connection, namespace: string, names: string[]): Promise<void> {
  // Backquoted, since Trigger is a word of the query language.
  const query = names.map((name) => `\`${name}\` IS NULL`).join(' AND ');
  const deadline = performance.now() + VISIBLE_WITHIN_MS;
  for (;;) {
    try {
      await connection.workflowService.countWorkflowExecutions({ namespace, query });
      return;
    } catch (error) {
      if (performance.now() >= deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

/** The text of a gRPC error without its status number and stack. */
export function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null) {
    if ('details' in error && typeof error.details === 'string' && error.details !== '') return error.details;
    if ('message' in error && typeof error.message === 'string') return error.message.split('\n', 1)[0] ?? '';
  }
  return String(error);
}
