// Step 5, commit: proves the receipt, adds the window to the source's coverage and, once it has landed, to the sink's.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { addCounts, judge, NO_ROWS, recordsInWindow } from '../rules/receipts.ts';
import { fromMs } from '../rules/time.ts';
import type { Batch } from '../schemas/batch.ts';
import type { Receipt } from '../schemas/receipt.ts';
import type { Source } from '../sources/source.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import type { Dependencies } from './dependencies.ts';
import { explain } from './explain.ts';
import { loadRequest } from './load.ts';

function batchesOf(progress: WindowProgress): Batch[] {
  return progress.slices.map(({ slice, batch }) => {
    if (batch !== null) return batch;
    throw new HeadwaterError('INTERNAL', `slice ${slice.slice} of ${progress.window.id} is not shaped yet`);
  });
}

/**
 * The transport and source parts of the receipt. When they hold, the window joins the source's coverage: it is staged, and a
 * warehouse that is away no longer holds it back. Does nothing for a window that is staged already.
 */
export async function commitSource(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
): Promise<Receipt> {
  const { window } = progress;
  if (window.state === 'staged' && progress.receipt !== null) return progress.receipt;
  const batches = batchesOf(progress);
  const transport = batches.reduce((total, batch) => addCounts(total, batch.counts), NO_ROWS);
  const read = recordsInWindow(transport);
  const interval = { from: window.from, until: window.until };
  const after = await source.count(progress.schema, interval);
  const before = progress.countBefore ?? 'unknown';
  const quiet = before === read && after === read;
  const found =
    quiet || after === 'unknown'
      ? { moved: 0, late: 0 }
      : await explain(dependencies, source, progress, batches, read - after);
  const { verdict, unexplained } = judge({ read, before, after, ...found });
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
      moved: found.moved,
      late: found.late,
      unexplained,
    },
    destination: null,
    verdict,
    at: fromMs(dependencies.now()),
  };
  if (verdict === 'failed') {
    throw new HeadwaterError(
      'RECEIPT_SOURCE',
      `${window.object}: the source counts ${after} rows in the window, ${read} were read, ${found.moved} have moved since; ${unexplained} are unexplained`,
      { details: { window: window.id } },
    );
  }
  // I3: coverage grows only with a receipt that holds.
  await dependencies.ledger.commitSource(window.id, window.attempt, receipt);
  return receipt;
}

/**
 * The destination part: every key is there with a version at least as new. Then the interval row, then the ledger, each
 * re-derived from the one before after a crash (I3).
 */
export async function commitSink(
  dependencies: Dependencies,
  progress: WindowProgress,
  proven: Receipt,
): Promise<Receipt> {
  const { ledger, warehouse, sink, lanes } = dependencies;
  const { window } = progress;
  const batches = batchesOf(progress);
  const destination = { present: 0, missing: 0 };
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
  await ledger.commitSink(sink, [{ window: id, attempt }], state);
  return receipt;
}
