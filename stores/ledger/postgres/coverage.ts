import { HeadwaterError } from '../../../rules/errors.ts';
import { add } from '../../../rules/coverage.ts';
import { ORIGIN } from '../../../rules/time.ts';
import type { Receipt } from '../../../schemas/receipt.ts';
import type { SinkState } from '../../../schemas/sink.ts';
import type { Interval } from '../../../schemas/window.ts';
import type { Transaction } from '../../postgres.ts';
import { integer, text } from '../../row.ts';
import { toStored } from '../window-row.ts';
import { requireAttempt } from './window-rows.ts';

/** The name under which the source's own coverage is kept; no sink can have it. */
export const SOURCE = '';

export async function readCoverage(
  tx: Transaction,
  sink: string,
  connection: string,
  object: string,
): Promise<Interval[]> {
  return (
    await tx.all(
      'SELECT from_at, until_at FROM coverage WHERE sink = $1 AND connection = $2 AND object = $3 ORDER BY from_at',
      sink,
      connection,
      object,
    )
  ).map((row) => ({ from: text(row, 'from_at'), until: text(row, 'until_at') }));
}

/** Replaces the intervals that the new one touches by their union: the table never holds touching rows. */
async function addCoverage(
  tx: Transaction,
  sink: string,
  connection: string,
  object: string,
  interval: Interval,
): Promise<void> {
  const touched = (
    await tx.all(
      `SELECT from_at, until_at FROM coverage
       WHERE sink = $1 AND connection = $2 AND object = $3 AND from_at <= $4 AND until_at >= $5 ORDER BY from_at`,
      sink,
      connection,
      object,
      interval.until,
      interval.from,
    )
  ).map((row) => ({ from: text(row, 'from_at'), until: text(row, 'until_at') }));
  const [merged] = add(touched, interval);
  if (merged === undefined) throw new HeadwaterError('INTERNAL', 'an empty interval cannot be covered');
  for (const one of touched) {
    if (one.from === merged.from) continue;
    await tx.run(
      'DELETE FROM coverage WHERE sink = $1 AND connection = $2 AND object = $3 AND from_at = $4',
      sink,
      connection,
      object,
      one.from,
    );
  }
  await tx.run(
    `INSERT INTO coverage (sink, connection, object, from_at, until_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (sink, connection, object, from_at) DO UPDATE SET until_at = excluded.until_at`,
    sink,
    connection,
    object,
    merged.from,
    merged.until,
  );
}

/** I3: window state and coverage change in one transaction, so coverage never claims what is not proven. */
export async function commitSource(
  tx: Transaction,
  id: string,
  attempt: number,
  receipt: Receipt,
): Promise<void> {
  const window = await requireAttempt(tx, id, attempt);
  if (window.state === 'staged') return;
  if (window.state === 'abandoned') throw new HeadwaterError('ATTEMPT_OUTDATED', `window ${id} was given up`);
  if (receipt.verdict === 'failed') {
    throw new HeadwaterError('INTERNAL', `window ${id} has a failed receipt and cannot be committed`);
  }
  await tx.run(
    "UPDATE windows SET state = 'staged', receipt = $1 WHERE seq = $2",
    JSON.stringify(receipt),
    window.seq,
  );
  // I3: a partial window proves a few fields, not the interval.
  if (window.fields === undefined) await addCoverage(tx, SOURCE, window.connection, window.object, window);
}

export async function commitSink(
  tx: Transaction,
  sink: string,
  windows: { window: string; attempt: number; receipt?: Receipt }[],
  state: SinkState,
): Promise<void> {
  requireSink(sink);
  for (const { window: id, attempt, receipt } of windows) {
    const window = await requireAttempt(tx, id, attempt);
    // I3: a sink is behind its source or level with it, never ahead.
    if (window.state !== 'staged')
      throw new HeadwaterError('INTERNAL', `window ${id} is ${window.state}, not staged`);
    await land(tx, sink, window.seq, window, window.fields !== undefined);
    if (receipt !== undefined) await keepReceipt(tx, window.seq, receipt);
  }
  await copySinkState(tx, sink, state);
}

async function keepReceipt(tx: Transaction, seq: number, receipt: Receipt): Promise<void> {
  await tx.run('UPDATE windows SET receipt = $1 WHERE seq = $2', JSON.stringify(receipt), seq);
}

async function land(
  tx: Transaction,
  sink: string,
  seq: number,
  at: Interval & { connection: string; object: string },
  partial: boolean,
): Promise<void> {
  await tx.run('INSERT INTO landed (window_seq, sink) VALUES ($1, $2) ON CONFLICT DO NOTHING', seq, sink);
  if (!partial) await addCoverage(tx, sink, at.connection, at.object, at);
}

/** Two deliveries may report out of order: within an epoch the higher seq stays. */
async function copySinkState(tx: Transaction, sink: string, state: SinkState): Promise<void> {
  await tx.run(
    `INSERT INTO sinks AS old (sink, epoch, seq) VALUES ($1, $2, $3) ON CONFLICT (sink) DO UPDATE SET
       seq = CASE WHEN old.epoch = excluded.epoch THEN greatest(old.seq, excluded.seq) ELSE excluded.seq END,
       epoch = excluded.epoch`,
    sink,
    state.epoch,
    state.seq,
  );
}

export async function readSinkState(tx: Transaction, sink: string): Promise<SinkState | null> {
  const row = await tx.get('SELECT epoch, seq FROM sinks WHERE sink = $1', sink);
  return row === undefined ? null : { epoch: text(row, 'epoch'), seq: integer(row, 'seq') };
}

export async function resetSink(
  tx: Transaction,
  sink: string,
  connection: string | null,
  keepReceipts: boolean,
): Promise<void> {
  requireSink(sink);
  await tx.run(
    'DELETE FROM coverage WHERE sink = $1 AND ($2::text IS NULL OR connection = $2)',
    sink,
    connection,
  );
  for (const table of ['landed', 'loads']) {
    await tx.run(
      `DELETE FROM ${table} WHERE sink = $1
       AND ($2::text IS NULL OR window_seq IN (SELECT seq FROM windows WHERE connection = $2))`,
      sink,
      connection,
    );
  }
  await tx.run('DELETE FROM sinks WHERE sink = $1', sink);
  if (keepReceipts) return;
  // I7: what was seen in the lost warehouse proves nothing of the one that takes its place.
  await tx.run(
    `UPDATE windows SET receipt = jsonb_set(receipt::jsonb, '{destination}', 'null')::text
     WHERE (receipt::json #>> '{transport,received}')::bigint > 0 AND ($1::text IS NULL OR connection = $1)`,
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

export async function adoptIntervals(
  tx: Transaction,
  sink: string,
  rows: AdoptedInterval[],
  state: SinkState,
): Promise<void> {
  requireSink(sink);
  for (const row of rows)
    await land(tx, sink, await adoptWindow(tx, row), row, row.receipt.fields !== undefined);
  await copySinkState(tx, sink, state);
}

/** The window's seq. One that is open here was proven by a run that this older ledger does not remember. */
async function adoptWindow(tx: Transaction, row: AdoptedInterval): Promise<number> {
  const { fields } = row.receipt;
  if (fields === undefined) await addCoverage(tx, SOURCE, row.connection, row.object, row);
  const receipt = JSON.stringify(row.receipt);
  const known = await tx.get('SELECT * FROM windows WHERE id = $1', row.window);
  if (known !== undefined) {
    const { seq } = toStored(known);
    // The warehouse's copy has the destination part: a crash may have come between its row and the ledger's.
    await tx.run("UPDATE windows SET state = 'staged', receipt = $1 WHERE seq = $2", receipt, seq);
    return seq;
  }
  const seq = integer((await tx.get('SELECT coalesce(max(seq), 0) + 1 AS seq FROM windows')) ?? {}, 'seq');
  await tx.run(
    `INSERT INTO windows (seq, id, connection, object, kind, from_at, until_at, read_from, state, workflow_id, run_id,
       attempt, created_at, receipt, reason, fields)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'staged', 'adopted', $9, 1, $10, $11, 'taken over from the warehouse', $12)`,
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
