// Step 5, commit: proves the receipt, adds the window to the source's coverage and, once it has landed, to the sink's.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { addCounts, judge, NO_ROWS, recordsInWindow } from '../rules/receipts.ts';
import { fromMs } from '../rules/time.ts';
import type { Batch, ShapeCounts } from '../schemas/batch.ts';
import { ORIGIN } from '../schemas/instant.ts';
import type { Receipt } from '../schemas/receipt.ts';
import type { Source } from '../sources/source.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import type { Slice } from '../schemas/window.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { CHANGED_IDS_MAX, changedSince, refuseContradiction, takeEvidence } from './explain.ts';
import { extractSlice, LATE_API } from './extract.ts';
import { failpoint } from './failpoints.ts';
import { loadRequest, wholeSchema } from './load.ts';
import { settleRefresh } from './refresh-state.ts';
import { shapeSlice } from './shape.ts';

function batchesOf(progress: WindowProgress): Batch[] {
  return progress.slices.map(({ slice, batch }) => {
    if (batch !== null) return batch;
    throw new HeadwaterError('INTERNAL', `slice ${slice.slice} of ${progress.window.id} is not shaped yet`);
  });
}

export interface Proof {
  receipt: Receipt;
  /** As it is now: rows that came late have a slice of their own. */
  progress: WindowProgress;
}

/**
 * The transport and source parts of the receipt. When they hold, the window joins the source's coverage: it is staged, and a
 * warehouse that is away no longer holds it back. Does nothing for a window that is staged already.
 */
export async function prove(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  source: Source,
  progress: WindowProgress,
): Promise<Proof> {
  const { window } = progress;
  if (window.state === 'staged' && progress.receipt !== null) return { receipt: progress.receipt, progress };
  const read = recordsInWindow(transportOf(progress));
  const evidence = await takeEvidence(dependencies, source, progress, read);
  const complete =
    evidence.lateIds.length === 0
      ? progress
      : await fetchLate(dependencies, settings, source, progress, evidence.lateIds);
  const transport = transportOf(complete);
  if (transport.sent === 0) await refuseContradiction(source, progress);
  const late = recordsInWindow(transport) - read;
  const before = progress.countBefore ?? 'unknown';
  const { after, moved } = evidence;
  const { verdict, unexplained } = judge({ read: read + late, before, after, moved, late });
  const receipt: Receipt = {
    window: window.id,
    connection: window.connection,
    object: window.object,
    from: window.from,
    until: window.until,
    transport,
    source: {
      before: before === 'unknown' ? null : before,
      after: after === 'unknown' ? null : after,
      moved,
      late,
      unexplained,
    },
    destination: null,
    ...(window.fields === undefined ? {} : { fields: window.fields }),
    verdict,
    at: fromMs(dependencies.now()),
  };
  if (verdict === 'failed') {
    throw new HeadwaterError(
      'RECEIPT_SOURCE',
      `${window.object}: the source has ${after} rows in the window, ${read} were read, ${moved} have moved since and ${late} came late; ${unexplained} are unexplained`,
      { details: { window: window.id, receipt } },
    );
  }
  // I3: coverage grows only with a receipt that holds.
  await dependencies.ledger.commitSource(window.id, window.attempt, receipt);
  failpoint('prove:done');
  return { receipt, progress: complete };
}

function transportOf(progress: WindowProgress): ShapeCounts {
  return batchesOf(progress).reduce((total, batch) => addCounts(total, batch.counts), NO_ROWS);
}

/** Rows that became visible in the window after it was read are extracted now, as one more slice of the same window. */
async function fetchLate(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  source: Source,
  progress: WindowProgress,
  ids: string[],
): Promise<WindowProgress> {
  const { window, schema, readAt, countBefore } = progress;
  const slices = progress.slices.map(({ slice }) => slice);
  const slice: Slice = { slice: slices.length, api: LATE_API, request: { ids }, rowsEstimate: ids.length };
  const plan = { schema, slices: [...slices, slice], countBefore, readAt };
  await dependencies.ledger.storePlan(window.id, window.attempt, plan);
  const current = async () => ({ ...(await dependencies.ledger.progress(window.id)), window });
  await extractSlice(dependencies, source, await current(), slice.slice);
  await shapeSlice(dependencies, settings, await current(), slice.slice);
  return current();
}

/**
 * The destination part: every key is there with a version at least as new. Then the interval row, then the ledger, each
 * re-derived from the one before after a crash (I3).
 */
export async function commitSink(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  proven: Receipt,
  allowShrink: boolean,
): Promise<Receipt> {
  const { ledger, warehouse, sink, lanes, isCopy } = dependencies;
  const { window } = progress;
  const batches = batchesOf(progress);
  const retired = await retireOrGiveUp(dependencies, source, progress, allowShrink);
  if (retired !== null && retired > 0) {
    dependencies.log('info', `${retired} rows are no longer in the source and are marked deleted`, {
      connection: window.connection,
      object: window.object,
    });
  }
  const destination = { present: 0, missing: 0, ...(retired === null ? {} : { retired }) };
  for (const batch of batches) {
    const request = await loadRequest(dependencies, progress, batch);
    const verified = await lanes('warehouse', () => warehouse.verify(request));
    destination.present += verified.present;
    destination.missing += verified.missing;
    Context.current().heartbeat({ verified: destination.present });
  }
  if (destination.missing > 0) {
    throw new HeadwaterError(
      'RECEIPT_DESTINATION',
      `${window.object}: ${destination.missing} keys are not in the warehouse`,
    );
  }
  const receipt: Receipt = { ...proven, destination };
  const { id, connection, object, from, until, attempt } = window;
  const state = await lanes('warehouse', () =>
    warehouse.closeWindows([
      {
        window: id,
        connection,
        object,
        from,
        until,
        attempt,
        batches: batches.map((batch) => batch.id),
        receipt,
      },
    ]),
  );
  failpoint('commit:interval');
  // The ledger's receipt tells of the main warehouse; a copy's whole receipt is in its interval row.
  await ledger.commitSink(sink, [{ window: id, attempt, ...(isCopy === true ? {} : { receipt }) }], state);
  if (isCopy === true) return receipt;
  const whole = await wholeSchema(dependencies, progress);
  const read = { schema: whole, readAt: progress.readAt, absentFound: retired !== null };
  await settleRefresh(dependencies, window, read);
  failpoint('commit:done');
  return receipt;
}

/** Rows that a whole read may retire without asking, and as a share of the table. */
const RETIRE_ROWS_MAX = 1_000;
const RETIRE_SHARE_MAX = 0.1;

/**
 * I6: a refused partial window, or whole read by a backfill, is given up: the next one reads anew, and no hourly window waits
 * behind it. What it read was covered before.
 */
async function retireOrGiveUp(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  allowShrink: boolean,
): Promise<number | null> {
  try {
    return await retire(dependencies, source, progress, allowShrink);
  } catch (error) {
    const { id, kind, fields, from } = progress.window;
    const again = fields !== undefined || (kind === 'past' && from === ORIGIN);
    // What a further warehouse refuses, the main one has landed.
    if (
      again &&
      dependencies.isCopy !== true &&
      error instanceof HeadwaterError &&
      error.code === 'SHRINK_GUARD'
    )
      await dependencies.ledger.abandonWindow(id, error.code);
    throw error;
  }
}

/**
 * A window from the beginning of time, and any of an object without stamps, has seen every record: what the warehouse holds beyond
 * that was deleted in the source while nobody looked. Only with a proven read (I6). Null: not every record was seen.
 */
async function retire(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  allowShrink: boolean,
): Promise<number | null> {
  const { window, readAt } = progress;
  const schema = await wholeSchema(dependencies, progress);
  if (window.from !== ORIGIN && schema.stamp !== null) return null;
  const exceptIds = schema.stamp === null ? [] : await changedSince(source, progress);
  if (exceptIds.length > CHANGED_IDS_MAX) return null;
  return dependencies.lanes('warehouse', () =>
    dependencies.warehouse.retire({
      window,
      schema,
      readAt,
      exceptIds,
      rowsMax: allowShrink ? Number.MAX_SAFE_INTEGER : RETIRE_ROWS_MAX,
      shareMax: RETIRE_SHARE_MAX,
    }),
  );
}
