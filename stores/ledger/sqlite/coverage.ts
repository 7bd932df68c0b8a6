import { HeadwaterError } from '../../../rules/errors.ts';
import { add } from '../../../rules/coverage.ts';
import { ORIGIN } from '../../../rules/time.ts';
import type { Receipt } from '../../../schemas/receipt.ts';
import type { SinkState } from '../../../schemas/sink.ts';
import type { Interval } from '../../../schemas/window.ts';
import { integer, text } from '../../row.ts';
import type { LedgerDatabase } from './database.ts';
import { toStored } from '../window-row.ts';
import { requireAttempt } from './window-rows.ts';

/** The name under which the source's own coverage is kept; no sink can have it. */
export const SOURCE = '';

export function readCoverage(
  db: LedgerDatabase,
  sink: string,
  connection: string,
  object: string,
): Interval[] {
  return db
    .all(
      'SELECT from_at, until_at FROM coverage WHERE sink = ? AND connection = ? AND object = ? ORDER BY from_at',
      sink,
      connection,
      object,
    )
    .map((row) => ({ from: text(row, 'from_at'), until: text(row, 'until_at') }));
}

/** Replaces the intervals that the new one touches by their union: the table never holds touching rows. */
function addCoverage(
  db: LedgerDatabase,
  sink: string,
  connection: string,
  object: string,
  interval: Interval,
): void {
  const touched = db
    .all(
      `SELECT from_at, until_at FROM coverage
       WHERE sink = ? AND connection = ? AND object = ? AND from_at <= ? AND until_at >= ? ORDER BY from_at`,
      sink,
      connection,
      object,
      interval.until,
      interval.from,
    )
    .map((row) => ({ from: text(row, 'from_at'), until: text(row, 'until_at') }));
  const [merged] = add(touched, interval);
  if (merged === undefined) throw new HeadwaterError('INTERNAL', 'an empty interval cannot be covered');
  for (const one of touched) {
    if (one.from === merged.from) continue;
    db.run(
      'DELETE FROM coverage WHERE sink = ? AND connection = ? AND object = ? AND from_at = ?',
      sink,
      connection,
      object,
      one.from,
    );
  }
  db.run(
    `INSERT INTO coverage (sink, connection, object, from_at, until_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET until_at = excluded.until_at`,
    sink,
    connection,
    object,
    merged.from,
    merged.until,
  );
}

/** I3: window state and coverage change in one transaction, so coverage never claims what is not proven. */
export function commitSource(db: LedgerDatabase, id: string, attempt: number, receipt: Receipt): void {
  const window = requireAttempt(db, id, attempt);
  if (window.state === 'staged') return;
  if (window.state === 'abandoned') throw new HeadwaterError('ATTEMPT_OUTDATED', `window ${id} was given up`);
  if (receipt.verdict === 'failed') {
    throw new HeadwaterError('INTERNAL', `window ${id} has a failed receipt and cannot be committed`);
  }
  db.run(
    "UPDATE windows SET state = 'staged', receipt = ? WHERE seq = ?",
    JSON.stringify(receipt),
    window.seq,
  );
  // I3: a partial window proves a few fields, not the interval.
  if (window.fields === undefined) addCoverage(db, SOURCE, window.connection, window.object, window);
}

export function commitSink(
  db: LedgerDatabase,
  sink: string,
  windows: { window: string; attempt: number; receipt?: Receipt }[],
  state: SinkState,
): void {
  requireSink(sink);
  for (const { window: id, attempt, receipt } of windows) {
    const window = requireAttempt(db, id, attempt);
    // I3: a sink is behind its source or level with it, never ahead.
    if (window.state !== 'staged')
      throw new HeadwaterError('INTERNAL', `window ${id} is ${window.state}, not staged`);
    land(db, sink, window.seq, window, window.fields !== undefined);
    if (receipt !== undefined) keepReceipt(db, window.seq, receipt);
  }
  copySinkState(db, sink, state);
}

function keepReceipt(db: LedgerDatabase, seq: number, receipt: Receipt): void {
  db.run('UPDATE windows SET receipt = ? WHERE seq = ?', JSON.stringify(receipt), seq);
}

function land(
  db: LedgerDatabase,
  sink: string,
  seq: number,
  at: Interval & { connection: string; object: string },
  partial: boolean,
): void {
  db.run('INSERT INTO landed (window_seq, sink) VALUES (?, ?) ON CONFLICT DO NOTHING', seq, sink);
  if (!partial) addCoverage(db, sink, at.connection, at.object, at);
}

/** Two deliveries may report out of order: within an epoch the higher seq stays. */
function copySinkState(db: LedgerDatabase, sink: string, state: SinkState): void {
  db.run(
    `INSERT INTO sinks (sink, epoch, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET
       seq = CASE WHEN epoch = excluded.epoch THEN max(seq, excluded.seq) ELSE excluded.seq END, epoch = excluded.epoch`,
    sink,
    state.epoch,
    state.seq,
  );
}

export function readSinkState(db: LedgerDatabase, sink: string): SinkState | null {
  const row = db.get('SELECT epoch, seq FROM sinks WHERE sink = ?', sink);
  return row === undefined ? null : { epoch: text(row, 'epoch'), seq: integer(row, 'seq') };
}

export function resetSink(
  db: LedgerDatabase,
  sink: string,
  connection: string | null,
  keepReceipts: boolean,
): void {
  requireSink(sink);
  db.run('DELETE FROM coverage WHERE sink = ?1 AND (?2 IS NULL OR connection = ?2)', sink, connection);
  for (const table of ['landed', 'loads']) {
    db.run(
      `DELETE FROM ${table} WHERE sink = ?1
       AND (?2 IS NULL OR window_seq IN (SELECT seq FROM windows WHERE connection = ?2))`,
      sink,
      connection,
    );
  }
  db.run('DELETE FROM sinks WHERE sink = ?', sink);
  if (keepReceipts) return;
  // I7: what was seen in the lost warehouse proves nothing of the one that takes its place.
  db.run(
    `UPDATE windows SET receipt = json_set(receipt, '$.destination', NULL)
     WHERE json_extract(receipt, '$.transport.received') > 0 AND (?1 IS NULL OR connection = ?1)`,
    connection,
  );
}

/** An interval row that the warehouse holds: proof enough for a ledger that is older than the warehouse. */
export interface AdoptedInterval extends Interval {
  connection: string;
  object: string;
  window: string;
  receipt: Receipt;
}

export function adoptIntervals(
  db: LedgerDatabase,
  sink: string,
  rows: AdoptedInterval[],
  state: SinkState,
): void {
  requireSink(sink);
  for (const row of rows) land(db, sink, adoptWindow(db, row), row, row.receipt.fields !== undefined);
  copySinkState(db, sink, state);
}

/** The window's seq. One that is open here was proven by a run that this older ledger does not remember. */
function adoptWindow(db: LedgerDatabase, row: AdoptedInterval): number {
  const { fields } = row.receipt;
  if (fields === undefined) addCoverage(db, SOURCE, row.connection, row.object, row);
  const receipt = JSON.stringify(row.receipt);
  const known = db.get('SELECT * FROM windows WHERE id = ?', row.window);
  if (known !== undefined) {
    const { seq } = toStored(known);
    // The warehouse's copy has the destination part: a crash may have come between its row and the ledger's.
    db.run("UPDATE windows SET state = 'staged', receipt = ? WHERE seq = ?", receipt, seq);
    return seq;
  }
  const seq = integer(db.get('SELECT coalesce(max(seq), 0) + 1 AS seq FROM windows') ?? {}, 'seq');
  db.run(
    `INSERT INTO windows (seq, id, connection, object, kind, from_at, until_at, read_from, state, workflow_id, run_id,
       attempt, created_at, receipt, reason, fields)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'staged', 'adopted', ?, 1, ?, ?, 'taken over from the warehouse', ?)`,
    seq,
    row.window,
    row.connection,
    row.object,
    fields !== undefined ? 'past' : row.from === ORIGIN ? 'first' : 'head',
    row.from,
    row.until,
    row.from,
    'adopted',
    row.receipt.at,
    receipt,
    fields === undefined ? null : JSON.stringify(fields),
  );
  return seq;
}

function requireSink(sink: string): void {
  if (sink === SOURCE) throw new HeadwaterError('INTERNAL', 'a sink needs a name');
}
