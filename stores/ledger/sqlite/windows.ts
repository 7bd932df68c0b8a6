import { decideWindow, obsoleteWindows, type WindowState } from '../../../rules/windows.ts';
import type { Interval, Window, WindowKind } from '../../../schemas/window.ts';
import type { PlanRequest, PlanResult } from '../ledger.ts';
import { checkMayGo, checkOpen, newWindow } from '../window-row.ts';
import { readCoverage, SOURCE } from './coverage.ts';
import { integer } from '../../row.ts';
import type { LedgerDatabase } from './database.ts';
import { findWindow, openOf, requireAttempt, withSlices } from './window-rows.ts';

/** Decides and stores, all in the caller's transaction. */
export function planWindow(db: LedgerDatabase, request: PlanRequest): PlanResult {
  const { connection, object } = request;
  const state: WindowState = {
    coverage: readCoverage(db, SOURCE, connection, object),
    open: openOf(db, connection, object),
  };
  const decision = decideWindow(state, request);
  const keep = decision.kind === 'resume' ? decision.window.id : null;
  for (const one of obsoleteWindows(state, request.closedOwners, request.now, keep)) {
    setAbandoned(db, one.id, 'its owner has closed and it is not needed any more');
  }
  switch (decision.kind) {
    case 'resume':
      db.run(
        'UPDATE windows SET attempt = ?, workflow_id = ?, run_id = ? WHERE id = ?',
        decision.attempt,
        request.owner.workflowId,
        request.owner.runId,
        decision.window.id,
      );
      return { kind: 'window', window: withSlices(db, findWindow(db, decision.window.id)), resumed: true };
    case 'open':
      return {
        kind: 'window',
        window: insertWindow(db, request, decision.windowKind, decision),
        resumed: false,
      };
    default:
      return decision;
  }
}

function insertWindow(db: LedgerDatabase, request: PlanRequest, kind: WindowKind, bounds: Interval): Window {
  const seq = integer(db.get('SELECT coalesce(max(seq), 0) + 1 AS seq FROM windows') ?? {}, 'seq');
  const window = newWindow(request, kind, bounds, seq);
  insertRow(db, seq, window);
  return window;
}

export function insertRow(db: LedgerDatabase, seq: number, window: Window): void {
  db.run(
    `INSERT INTO windows (seq, id, connection, object, kind, from_at, until_at, read_from, state, workflow_id, run_id,
       attempt, created_at, fields) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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

export function abandonWindow(db: LedgerDatabase, id: string, reason: string): void {
  const window = findWindow(db, id);
  if (window.state === 'abandoned') return;
  checkMayGo(window);
  setAbandoned(db, id, reason);
}

function setAbandoned(db: LedgerDatabase, id: string, reason: string): void {
  db.run("UPDATE windows SET state = 'abandoned', reason = ? WHERE id = ?", reason, id);
}

/** The window for a step that writes to its source side: open, and of this attempt. */
export function requireOpen(db: LedgerDatabase, id: string, attempt: number): number {
  const window = requireAttempt(db, id, attempt);
  checkOpen(window);
  return window.seq;
}
