/** /updated and /deleted: which ids changed in a window, and how far the answer can be trusted. */
import { ApiError } from './api-error.ts';
import type { Exchange } from '../exchange.ts';
import type { Org } from './org.ts';
import type { Table } from './table.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const WINDOW_DAYS_MAX = 30;
const DELETIONS_KEPT_DAYS = 15;
const IDS_MAX = 600_000;

interface Window {
  readonly from: number;
  readonly until: number;
  readonly covered: number;
}

export const restInstant = (ms: number): string => `${new Date(ms).toISOString().slice(0, -1)}+0000`;

export async function answerReplication(
  exchange: Exchange,
  org: Org,
  table: Table,
  kind: 'updated' | 'deleted',
): Promise<void> {
  if (!table.spec.flags.replicateable) {
    throw new ApiError(400, 'INVALID_TYPE', `sObject type '${table.name}' is not replicateable`);
  }
  org.store.settle();
  const window = windowOf(exchange, org, table);
  const empty = exchange.fault !== undefined && 'emptyOk' in exchange.fault;
  const dropLast = exchange.fault !== undefined && 'lastRowDropped' in exchange.fault;
  if (kind === 'updated') {
    const ids = empty ? [] : updatedIds(table, window);
    if (dropLast) ids.pop();
    await exchange.sendJson(200, { ids, latestDateCovered: restInstant(window.covered) });
    return;
  }
  const kept = Math.max(table.deletionsKnownFrom, org.store.clock.now() - DELETIONS_KEPT_DAYS * DAY_MS);
  const earliest = Math.floor(kept / MINUTE_MS) * MINUTE_MS;
  const records = empty ? [] : deletedRecords(table, window);
  if (dropLast) records.pop();
  await exchange.sendJson(200, {
    deletedRecords: records,
    earliestDateAvailable: restInstant(earliest),
    latestDateCovered: restInstant(window.covered),
  });
}

/** The end is exclusive. What is not yet visible lies behind latestDateCovered. */
function windowOf(exchange: Exchange, org: Org, table: Table): Window {
  const { minuteResolution, visibilityLagMs } = org.behaviour;
  const now = org.store.clock.now();
  const step = minuteResolution ? MINUTE_MS : 1000;
  const floor = (ms: number): number => Math.floor(ms / step) * step;
  const from = floor(instant(exchange, 'start'));
  const until = floor(instant(exchange, 'end'));
  if (until <= from) {
    throw new ApiError(
      400,
      'INVALID_REPLICATION_DATE',
      'startDate before endDate must be at least one minute apart',
    );
  }
  if (from < now - WINDOW_DAYS_MAX * DAY_MS) {
    throw new ApiError(
      400,
      'INVALID_REPLICATION_DATE',
      'startDate before org replication enabled date or more than 30 days ago',
    );
  }
  const pending = org.store.earliestPending(table.name) ?? Number.POSITIVE_INFINITY;
  return { from, until, covered: floor(Math.min(until, now - visibilityLagMs, pending)) };
}

function instant(exchange: Exchange, name: 'start' | 'end'): number {
  const text = (exchange.params.get(name) ?? '')
    .replace(/ (\d{2}:?\d{2})$/, '+$1')
    .replace(/([+-]\d{2})(\d{2})$/, '$1:$2');
  const ms = /^\d{4}-\d{2}-\d{2}T/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new ApiError(400, 'INVALID_FIELD', `The value of the parameter '${name}' is not a valid dateTime`);
  return ms;
}

function updatedIds(table: Table, window: Window): string[] {
  const ids: string[] = [];
  const end = table.stamps.firstAtOrAfter(window.until);
  for (let index = table.stamps.firstAtOrAfter(window.from); index < end; index++) {
    if (!table.overlay.has(index)) ids.push(table.idOf(index));
  }
  for (const { index } of table.byStamp.range(window.from, window.until)) {
    if (table.overlay.get(index)?.deletedAt === null) ids.push(table.idOf(index));
  }
  if (ids.length > IDS_MAX) {
    throw new ApiError(
      400,
      'EXCEEDED_ID_LIMIT',
      `There are more than ${IDS_MAX} ids in the window; use a shorter one`,
    );
  }
  return ids;
}

function deletedRecords(table: Table, window: Window): { id: string; deletedDate: string }[] {
  const records: { id: string; deletedDate: string }[] = [];
  for (const { index, time } of table.byDeletion.range(
    Math.max(window.from, table.deletionsKnownFrom),
    window.until,
  )) {
    records.push({ id: table.idOf(index), deletedDate: restInstant(time) });
  }
  return records;
}
