import { decideWindow, obsoleteWindows, type WindowState } from '../../../rules/windows.ts';
import type { Interval, Window, WindowKind } from '../../../schemas/window.ts';
import type { Transaction } from '../../postgres.ts';
import type { PlanRequest, PlanResult } from '../ledger.ts';
import { checkMayGo, checkOpen, newWindow } from '../window-row.ts';
import { readCoverage, SOURCE } from './coverage.ts';
import { integer } from '../../row.ts';
import { findWindow, openOf, requireAttempt, withSlices } from './window-rows.ts';

/** Decides and stores, all in the caller's transaction. */
export async function planWindow(tx: Transaction, request: PlanRequest): Promise<PlanResult> {
  const { connection, object } = request;
  const state: WindowState = {
    coverage: await readCoverage(tx, SOURCE, connection, object),
    open: await openOf(tx, connection, object),
  };
  const decision = decideWindow(state, request);
  const keep = decision.kind === 'resume' ? decision.window.id : null;
  for (const one of obsoleteWindows(state, request.closedOwners, request.now, keep)) {
    await setAbandoned(tx, one.id, 'its owner has closed and it is not needed any more');
  }
  switch (decision.kind) {
    case 'resume':
      await tx.run(
        'UPDATE windows SET attempt = $1, workflow_id = $2, run_id = $3 WHERE id = $4',
        decision.attempt,
        request.owner.workflowId,
        request.owner.runId,
        decision.window.id,
      );
      return {
        kind: 'window',
        window: await withSlices(tx, await findWindow(tx, decision.window.id)),
        resumed: true,
      };
    case 'open':
      return {
        kind: 'window',
        window: await insertWindow(tx, request, decision.windowKind, decision),
        resumed: false,
      };
    default:
      return decision;
  }
}

async function insertWindow(
  tx: Transaction,
  request: PlanRequest,
  kind: WindowKind,
  bounds: Interval,
): Promise<Window> {
  const seq = integer((await tx.get('SELECT coalesce(max(seq), 0) + 1 AS seq FROM windows')) ?? {}, 'seq');
  const window = newWindow(request, kind, bounds, seq);
  await insertRow(tx, seq, window);
  return window;
}

export async function insertRow(tx: Transaction, seq: number, window: Window): Promise<void> {
  await tx.run(
    `INSERT INTO windows (seq, id, connection, object, kind, from_at, until_at, read_from, state, workflow_id, run_id,
       attempt, created_at, fields) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
    seq,
    window.id,
    window.connection,
    window.object,
    window.kind,
    window.from,
    window.until,
    window.readFrom,
    window.state,
    window.owner.workflowId,
    window.owner.runId,
    window.attempt,
    window.createdAt,
    window.fields === undefined ? null : JSON.stringify(window.fields),
  );
}

export async function abandonWindow(tx: Transaction, id: string, reason: string): Promise<void> {
  const window = await findWindow(tx, id);
  if (window.state === 'abandoned') return;
  checkMayGo(window);
  await setAbandoned(tx, id, reason);
}

async function setAbandoned(tx: Transaction, id: string, reason: string): Promise<void> {
  await tx.run("UPDATE windows SET state = 'abandoned', reason = $1 WHERE id = $2", reason, id);
}

/** The window for a step that writes to its source side: open, and of this attempt. */
export async function requireOpen(tx: Transaction, id: string, attempt: number): Promise<number> {
  const window = await requireAttempt(tx, id, attempt);
  checkOpen(window);
  return window.seq;
}
