// Part of inbox: whether webhooks can be relied on, or the connection has to be polled until they come back.
import { missedKey, parseMissed, type DrainReceipt } from '../schemas/inbox-run.ts';
import type { Instant } from '../schemas/instant.ts';
import { fromMs } from '../rules/time.ts';
import type { Window } from '../schemas/window.ts';
import type { ShapedRow } from '../shaper/shaper.ts';
import { connectionSettings } from './connections.ts';
import type { Dependencies } from './dependencies.ts';
import type { LaneMetrics } from './inbox-metrics.ts';

/** Since when events of an object come. */
const heardKey = (connection: string, object: string): string => `webhooks/${connection}/heard/${object}`;
const polledKey = (connection: string): string => `webhooks/${connection}/polled`;

/**
 * quiet: no event, and no word of a followed topic, for `quietAfter`. missed: the last poll that found changes found some that no webhook had brought. Null also
 * while the last such poll is younger than `pollEvery`.
 */
export async function pollReason(
  dependencies: Dependencies,
  connection: string,
  heardAt: Instant | null,
  startedMs: number,
  metrics: Pick<LaneMetrics, 'noteTrust'>,
): Promise<DrainReceipt['poll']> {
  const { webhooks } = connectionSettings(dependencies, connection);
  if (webhooks === undefined) return null;
  const { ledger, now } = dependencies;
  const nowMs = now();
  const { quietAfterMs, pollEveryMs } = webhooks;
  const heardMs = heardAt === null ? startedMs : Date.parse(heardAt);
  const isQuiet = quietAfterMs !== null && nowMs - heardMs >= quietAfterMs;
  const missed = await ledger.meta(missedKey(connection));
  const isMissing = missed !== null && missed !== '';
  metrics.noteTrust({ quiet: isQuiet, missed: parseMissed(missed)?.changes ?? 0 });
  if (!isQuiet && !isMissing) return null;
  const polled = await ledger.meta(polledKey(connection));
  if (polled !== null && nowMs - Date.parse(polled) < pollEveryMs) return null;
  await ledger.setMeta(polledKey(connection), new Date(nowMs).toISOString());
  return isQuiet ? 'quiet' : 'missed';
}

/** A younger change may still be on its way as an event. */
const ON_ITS_WAY_MS = 60_000;

/** New versions that a poll read: those that the claims had already, and those that no event had brought. */
export interface Arrivals {
  brought: number;
  unheard: number;
}

/** Versions before the window were read by an earlier poll and say nothing. */
export function countArrivals(
  arrivals: Arrivals,
  window: Window,
  rows: readonly ShapedRow[],
  known: ReadonlySet<ShapedRow>,
): void {
  for (const row of rows) {
    const { version, confirmedAt } = row;
    if (version === null || version < window.from) continue;
    if (Date.parse(confirmedAt) - Date.parse(version) < ON_ITS_WAY_MS) continue;
    if (known.has(row)) arrivals.brought += 1;
    else arrivals.unheard += 1;
  }
}

/** Called with the first event of an object: from then on its changes are expected. */
export async function noteHeard(
  { ledger, now }: Dependencies,
  connection: string,
  object: string,
): Promise<void> {
  const key = heardKey(connection, object);
  if ((await ledger.meta(key)) === null) await ledger.setMeta(key, fromMs(now()));
}

/**
 * After a poll's window: an object whose events come should have brought every change before the poll did. `profiles` changed by
 * it: a version that is older than what an event brought changes none.
 */
export async function noteArrivals(
  { connections, ledger, fast, log, now }: Dependencies,
  { connection, object, kind, fields, from }: Window,
  { brought, unheard }: Arrivals,
  profiles: number,
): Promise<void> {
  const { webhooks } = connections.get(connection) ?? {};
  if (webhooks === undefined || fast === undefined || kind !== 'head' || fields !== undefined) return;
  const heard = await ledger.meta(heardKey(connection, object));
  if (heard === null || from < heard) return;
  const states = await fast.inbox.states();
  // What waits here was brought, only not read yet.
  if (states.some((one) => one.connection === connection && one.waiting > 0)) return;
  const changes = Math.min(unheard, profiles);
  if (changes === 0) {
    if (brought > 0) await ledger.setMeta(missedKey(connection), '');
    return;
  }
  log('warn', 'a poll found changes that no webhook brought', { connection, object, changes });
  await ledger.setMeta(missedKey(connection), JSON.stringify({ at: fromMs(now()), object, changes }));
}
