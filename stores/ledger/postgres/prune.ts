import { ORIGIN } from '../../../rules/time.ts';
import type { Transaction } from '../../postgres.ts';
import type { Pruned, PruneRequest } from '../ledger.ts';
import { integer, text } from '../../row.ts';

/** Landed there, so that the sink's coverage stands for it. */
const LANDED = 'EXISTS (SELECT 1 FROM landed WHERE window_seq = w.seq AND sink = $1)';
/** Staged, not landed, and read again by a later window that has landed: as `undelivered` leaves it out. */
const REPLACED = `EXISTS (
  SELECT 1 FROM windows AS later JOIN landed ON landed.window_seq = later.seq AND landed.sink = $1
  WHERE later.fields IS NULL AND later.connection = w.connection AND later.object = w.object AND later.seq > w.seq
    AND later.from_at <= w.from_at AND later.until_at >= w.until_at)`;
/** The newest landed window of its object, and the newest from the beginning: its first load. */
const NEWEST = `w.seq IN (
  SELECT max(seq) FROM windows JOIN landed ON window_seq = seq AND sink = $1
    WHERE fields IS NULL GROUP BY connection, object
  UNION ALL
  SELECT max(seq) FROM windows JOIN landed ON window_seq = seq AND sink = $1
    WHERE fields IS NULL AND from_at = '${ORIGIN}' GROUP BY connection, object)`;
/** It may stand for an older window that still waits: without it that one would be delivered after all. */
const STANDS_FOR_ANOTHER = `EXISTS (
  SELECT 1 FROM windows AS older WHERE older.connection = w.connection AND older.object = w.object
    AND older.seq < w.seq AND older.state = 'staged'
    AND NOT EXISTS (SELECT 1 FROM landed WHERE window_seq = older.seq AND sink = $1))`;

/**
 * I3: coverage is kept by itself and loses nothing; an open window, one that waits for the sink and the newest of each object
 * stay whatever their age. Ledger and run order stay too: the window with the highest seq is never old enough alone to go.
 */
const PASSES = [
  `w.state = 'abandoned' OR (w.state = 'staged' AND NOT ${LANDED} AND ${REPLACED})`,
  `w.state = 'staged' AND ${LANDED} AND NOT ${NEWEST} AND NOT ${STANDS_FOR_ANOTHER}`,
];
const HIGHEST = 'w.seq = (SELECT max(seq) FROM windows)';
const OLD_RUNS = `started_at < $1 AND started_at < (
  SELECT max(started_at) FROM runs AS newer WHERE newer.connection = runs.connection)`;

function oldWindows(pass: string): string {
  return `SELECT seq FROM windows AS w
    WHERE w.created_at < $2 AND NOT ${HIGHEST} AND (${pass}) ORDER BY seq LIMIT $3`;
}

/** Slices, pages, loads and landings go with their window. */
export async function prune(tx: Transaction, { sink, before, rowsMax }: PruneRequest): Promise<Pruned> {
  let windows = 0;
  for (const pass of PASSES) {
    const gone = await tx.all(oldWindows(pass), sink, before, rowsMax - windows);
    const seqs = gone.map((row) => integer(row, 'seq'));
    await tx.run('DELETE FROM windows WHERE seq = ANY ($1::bigint[])', seqs);
    windows += gone.length;
  }
  const runs = await tx.all(
    `SELECT workflow_id, run_id FROM runs WHERE ${OLD_RUNS} ORDER BY started_at LIMIT $2`,
    before,
    rowsMax,
  );
  for (const row of runs)
    await tx.run(
      'DELETE FROM runs WHERE workflow_id = $1 AND run_id = $2',
      text(row, 'workflow_id'),
      text(row, 'run_id'),
    );
  if (windows > 0) {
    await tx.run(
      `DELETE FROM object_schemas WHERE hash NOT IN (SELECT hash FROM schemas)
       AND hash NOT IN (SELECT schema_hash FROM windows WHERE schema_hash IS NOT NULL)`,
    );
  }
  return { windows, runs: runs.length };
}

/** The same question without the answer's consequence; at most `rowsMax` of each. */
export async function prunable(tx: Transaction, { sink, before, rowsMax }: PruneRequest): Promise<Pruned> {
  let windows = 0;
  for (const pass of PASSES)
    windows += (await tx.all(oldWindows(pass), sink, before, rowsMax - windows)).length;
  const runs = await tx.all(`SELECT run_id FROM runs WHERE ${OLD_RUNS} LIMIT $2`, before, rowsMax);
  return { windows, runs: runs.length };
}

const HELD = `window_seq IN (SELECT seq FROM windows WHERE connection = $1 AND object = $2 AND state = 'staged')
  AND (cursor IS NOT NULL OR plan::json #> '{request,ids}' IS NOT NULL)`;

export async function readsHeld(tx: Transaction, connection: string, object: string): Promise<number> {
  return integer(
    (await tx.get(`SELECT count(*) AS n FROM slices WHERE ${HELD}`, connection, object)) ?? {},
    'n',
  );
}

/** I5: the old rows go with the vacuum that follows. */
export async function forgetReads(tx: Transaction, connection: string, object: string): Promise<number> {
  return await tx.run(
    `UPDATE slices SET cursor = NULL, plan = CASE WHEN plan::json #> '{request,ids}' IS NULL THEN plan
       ELSE jsonb_set(plan::jsonb, '{request,ids}', '[]')::text END WHERE ${HELD}`,
    ...[connection, object],
  );
}
