// Part of inbox: whether webhooks can be relied on, or the connection has to be polled until they come back.
import type { DrainReceipt } from '../schemas/inbox-run.ts';
import type { Instant } from '../schemas/instant.ts';
import { connectionSettings } from './connections.ts';
import type { Dependencies } from './dependencies.ts';

/** Where the ledger notes changes that a poll brought and no webhook. */
export const missedKey = (connection: string): string => `webhooks/${connection}/missed`;
export const polledKey = (connection: string): string => `webhooks/${connection}/polled`;

/**
 * quiet: no event for `quietAfter`. missed: the last poll that found changes found some that no webhook had brought. Null also
 * while the last such poll is younger than `pollEvery`.
 */
export async function pollReason(
  dependencies: Dependencies,
  connection: string,
  lastAt: Instant | null,
  startedMs: number,
): Promise<DrainReceipt['poll']> {
  const { webhooks } = connectionSettings(dependencies, connection);
  if (webhooks === undefined) return null;
  const { ledger, now } = dependencies;
  const nowMs = now();
  const { quietAfterMs, pollEveryMs } = webhooks;
  const heardMs = lastAt === null ? startedMs : Date.parse(lastAt);
  const isQuiet = quietAfterMs !== null && nowMs - heardMs >= quietAfterMs;
  const missed = await ledger.meta(missedKey(connection));
  if (!isQuiet && (missed === null || missed === '')) return null;
  const polled = await ledger.meta(polledKey(connection));
  if (polled !== null && nowMs - Date.parse(polled) < pollEveryMs) return null;
  await ledger.setMeta(polledKey(connection), new Date(nowMs).toISOString());
  return isQuiet ? 'quiet' : 'missed';
}
