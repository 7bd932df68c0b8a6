// Part of plan: windows that the source proves empty are committed at once.
import { NO_ROWS } from '../rules/receipts.ts';
import { fromMs } from '../rules/time.ts';
import type { Instant } from '../schemas/instant.ts';
import type { Receipt } from '../schemas/receipt.ts';
import type { Window } from '../schemas/window.ts';
import type { IntervalRow } from '../warehouses/warehouse.ts';
import type { Copy } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import type { Opened } from './plan-candidates.ts';
import { settleCopies, withoutReceipt } from './plan-copies.ts';

/** Interval rows of one transaction. */
const EMPTY_WINDOWS_AT_ONCE = 500;

/**
 * Windows that the source proves empty are committed here and now, with a receipt of zero: warehouse first, ledger second,
 * so that a crash between the two is found by comparing their seq (I3).
 */
export async function settleIdle(
  dependencies: Dependencies,
  opened: Opened[],
  sinks: { mainAway: boolean; copies: readonly Copy[] } = { mainAway: false, copies: [] },
): Promise<Set<string>> {
  const rows: IntervalRow[] = [];
  for (const { candidate, result } of opened) {
    if (result.kind !== 'window' || result.resumed || candidate.probe?.idle !== true) continue;
    if (candidate.probe.visibleUntil < result.window.until) continue;
    rows.push(emptyInterval(result.window, fromMs(dependencies.now())));
  }
  if (rows.length === 0) return new Set();
  // A main warehouse that is away gets its interval rows by `landEmpty`.
  const state = sinks.mainAway
    ? null
    : await dependencies.lanes('warehouse', () => dependencies.warehouse.closeWindows(rows));
  failpoint('plan:settled');
  await dependencies.ledger.commitSources(
    rows.map(({ window, attempt, receipt }) => ({ window, attempt, receipt })),
  );
  if (state !== null) await dependencies.ledger.commitSink(dependencies.sink, rows, state);
  await settleCopies(dependencies, sinks.copies, rows);
  return new Set(rows.map((row) => row.object));
}

function emptyInterval(window: Window, at: Instant): IntervalRow {
  const receipt: Receipt = {
    window: window.id,
    connection: window.connection,
    object: window.object,
    from: window.from,
    until: window.until,
    transport: NO_ROWS,
    source: { before: 0, after: 0, moved: 0, late: 0, unexplained: 0 },
    destination: { present: 0, missing: 0 },
    verdict: 'proven',
    at,
  };
  const { id, connection, object, from, until, attempt } = window;
  return { window: id, connection, object, from, until, attempt, batches: [], receipt };
}

/** Windows whose receipts are looked up at once, newest first. */
const RECEIPTS_MAX = 100_000;

/**
 * A window that one of several warehouses lacks and that was committed as idle: it was never planned, so its interval row is all that
 * there is to land. Null for any other.
 */
export async function idleWindow(
  { ledger, sink, copies = [] }: Dependencies,
  input: { connection: string; window: string; sink?: string; stageOnly?: boolean },
): Promise<{ window: Window; receipt: Receipt } | null> {
  if (copies.length === 0 || input.stageOnly === true) return null;
  const lacking = await ledger.undelivered(input.sink ?? sink, input.connection);
  const window = lacking.find(({ id, slices }) => id === input.window && slices.length === 0);
  if (window === undefined) return null;
  const { connection, object } = window;
  const known = await ledger.windows({ connection, object, limit: RECEIPTS_MAX });
  const receipt = known.find(({ id }) => id === window.id)?.receipt ?? null;
  return receipt?.transport.received === 0 ? { window, receipt } : null;
}

/**
 * Windows without rows that the warehouse has lost: their interval rows are all that has to be written again, with the receipt
 * that they had. Returns their ids. A window of rows whose slices this ledger does not know (it was adopted) is not one of
 * them, or a hole would look proven (I7).
 */
export async function landEmpty(
  dependencies: Dependencies,
  connection: string,
  undelivered: Window[],
): Promise<Set<string>> {
  const { ledger, warehouse, sink, lanes, isCopy } = dependencies;
  const sliceless = new Set(undelivered.filter((window) => window.slices.length === 0).map(({ id }) => id));
  if (sliceless.size === 0) return sliceless;
  const known = await ledger.windows({ connection, limit: RECEIPTS_MAX });
  const empty = known.flatMap(({ id, object, from, until, attempt, receipt }): IntervalRow[] =>
    sliceless.has(id) && receipt?.transport.received === 0
      ? [{ window: id, connection, object, from, until, attempt, batches: [], receipt }]
      : [],
  );
  for (let first = 0; first < empty.length; first += EMPTY_WINDOWS_AT_ONCE) {
    const rows = empty.slice(first, first + EMPTY_WINDOWS_AT_ONCE);
    const state = await lanes('warehouse', () => warehouse.closeWindows(rows));
    await ledger.commitSink(sink, isCopy === true ? rows.map(withoutReceipt) : rows, state);
  }
  return new Set(empty.map((row) => row.window));
}
