import { z } from 'zod';
import type { SinkState } from '../schemas/sink.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { receiptSchema } from '../schemas/receipt.ts';
import { ORIGIN } from '../schemas/instant.ts';
import { refuseOutdated } from './batch-rules.ts';
import type { FactRow } from './batch-rules.ts';
import type { IntervalRow, SchemaChange } from './warehouse.ts';

/** Columns that an insert into the quarantine gives, in this order. */
export const QUARANTINE_COLUMNS =
  '(batch, "window", connection, object, record, field, value, reason, raw, quarantined_at)';

export function sinkStateOf(row: FactRow | undefined): SinkState {
  if (row === undefined) throw new HeadwaterError('WAREHOUSE_REJECTED', '_headwater.sink is empty');
  return { epoch: String(row['epoch']), seq: Number(row['seq']) };
}

/**
 * I3: a window that has its row is a no-op, and an attempt lower than one seen for its window is refused. `known`: `window` of
 * those that have one; `seen`: `window` and its highest `attempt` among the batches.
 */
export function freshIntervals(
  rows: readonly IntervalRow[],
  known: readonly FactRow[],
  seen: readonly FactRow[],
): IntervalRow[] {
  const closed = new Set(known.map((row) => row['window']));
  const fresh = [...new Map(rows.map((row) => [row.window, row])).values()].filter(
    (row) => !closed.has(row.window),
  );
  const highest = new Map(seen.map((row) => [row['window'], Number(row['attempt'])]));
  for (const row of fresh) refuseOutdated(row.window, row.attempt, highest.get(row.window) ?? 0);
  return fresh;
}

/** A row of `_headwater.intervals`, with `batches` and `receipt` as JSON text. */
export const intervalRow = (row: FactRow): IntervalRow & { seq: number } => ({
  seq: Number(row['seq']),
  window: String(row['window']),
  connection: String(row['connection']),
  object: String(row['object']),
  from: String(row['from']),
  until: String(row['until']),
  attempt: Number(row['attempt']),
  batches: z.array(z.string()).parse(JSON.parse(String(row['batches']))),
  receipt: receiptSchema.parse(JSON.parse(String(row['receipt']))),
});

type ToldChange = SchemaChange & { policy: string };

/** Records changes; returns those that are news: an ignored column is told once, not in every run. */
export async function recordNews(
  changes: readonly ToldChange[],
  facts: { isKnown(change: ToldChange): Promise<boolean>; insert(change: ToldChange): Promise<unknown> },
): Promise<SchemaChange[]> {
  const news: SchemaChange[] = [];
  for (const told of changes) {
    const { table, column, change, before, after, action } = told;
    if (action !== 'applied' && (await facts.isKnown(told))) continue;
    await facts.insert(told);
    news.push({ table, column, change, before, after, action });
  }
  return news;
}

/** Strictly rising, so that rows of two loads within one millisecond differ in `_loaded_at`. */
export function risingClock(clock: () => number): () => string {
  let last = ORIGIN;
  return () => {
    const next = Math.max(clock(), Date.parse(last) + 1);
    last = new Date(next).toISOString();
    return last;
  };
}

/** Makes the system tables at their first use, since a command that only looks writes nothing; once, unless it fails. */
export function onFirstUse(make: () => Promise<void>): () => Promise<void> {
  let made: Promise<void> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
