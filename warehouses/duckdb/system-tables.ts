import type { DuckDBConnection } from '@duckdb/node-api';
import type { RunSummary } from '../../schemas/run.ts';
import type { SinkState } from '../../schemas/sink.ts';
import { freshIntervals, intervalRow, recordNews, sinkStateOf } from '../fact-rows.ts';
import type { IntervalRow, SchemaChange } from '../warehouse.ts';
import { rowsOf } from './client.ts';

/** What Headwater itself keeps in the warehouse. Instants are texts of fixed width, as everywhere in Headwater. */
export const SYSTEM_DDL = [
  'CREATE SCHEMA IF NOT EXISTS _headwater',
  'CREATE TABLE IF NOT EXISTS _headwater.sink (epoch VARCHAR NOT NULL, seq BIGINT NOT NULL)',
  `CREATE TABLE IF NOT EXISTS _headwater.intervals (
  seq BIGINT NOT NULL, "window" VARCHAR NOT NULL, connection VARCHAR NOT NULL, object VARCHAR NOT NULL,
  "from" VARCHAR NOT NULL, until VARCHAR NOT NULL, attempt INTEGER NOT NULL, batches VARCHAR[] NOT NULL,
  receipt JSON NOT NULL, committed_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS _headwater.batches (
  batch VARCHAR NOT NULL, "window" VARCHAR NOT NULL, slice INTEGER NOT NULL, attempt INTEGER NOT NULL,
  connection VARCHAR NOT NULL, object VARCHAR NOT NULL, "table" VARCHAR NOT NULL, inserted BIGINT NOT NULL,
  updated BIGINT NOT NULL, unchanged BIGINT NOT NULL, stale BIGINT NOT NULL, counts JSON NOT NULL,
  replaced_by VARCHAR, loaded_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS _headwater.runs (
  connection VARCHAR NOT NULL, workflow_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, "trigger" VARCHAR NOT NULL,
  outcome VARCHAR NOT NULL, started_at VARCHAR NOT NULL, ended_at VARCHAR, idle INTEGER NOT NULL, objects JSON NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS _headwater.quarantine (
  batch VARCHAR NOT NULL, "window" VARCHAR NOT NULL, connection VARCHAR NOT NULL, object VARCHAR NOT NULL,
  record VARCHAR, field VARCHAR, value VARCHAR, reason VARCHAR NOT NULL, raw VARCHAR, quarantined_at TIMESTAMPTZ NOT NULL)`,
  // When a replay landed the record, or found it gone; null: open.
  'ALTER TABLE _headwater.quarantine ADD COLUMN IF NOT EXISTS resolved_at TIMESTAMPTZ',
  `CREATE TABLE IF NOT EXISTS _headwater.schema_changes (
  changed_at TIMESTAMPTZ NOT NULL, connection VARCHAR NOT NULL, "table" VARCHAR NOT NULL, "column" VARCHAR, change VARCHAR NOT NULL,
  before VARCHAR, after VARCHAR, action VARCHAR NOT NULL, policy VARCHAR NOT NULL)`,
];

/** The epoch is made with the file: a warehouse that was deleted and made anew has another. */
export async function createSystemTables(connection: DuckDBConnection, epoch: string): Promise<void> {
  for (const statement of SYSTEM_DDL) await connection.run(statement);
  await connection.run(
    'INSERT INTO _headwater.sink SELECT $1,0 WHERE NOT EXISTS (SELECT 1 FROM _headwater.sink)',
    [epoch],
  );
}

export async function readSinkState(connection: DuckDBConnection): Promise<SinkState> {
  const [row] = await rowsOf(connection, 'SELECT epoch,seq FROM _headwater.sink');
  return sinkStateOf(row);
}

export const INSERT_INTERVALS = `INSERT INTO _headwater.intervals
SELECT $2::BIGINT + row_number() OVER (ORDER BY n), w->>'window', w->>'connection', w->>'object', w->>'from', w->>'until',
  (w->>'attempt')::INTEGER, (w->'batches')::VARCHAR[], w->'receipt', $3::TIMESTAMPTZ
FROM (SELECT unnest($1::JSON::JSON[]) AS w, generate_subscripts($1::JSON::JSON[], 1) AS n)`;

/** I3: a window that has its row is a no-op, and an attempt lower than one seen for its window is refused. */
export async function writeIntervals(
  connection: DuckDBConnection,
  rows: IntervalRow[],
  now: string,
): Promise<SinkState> {
  const state = await readSinkState(connection);
  if (rows.length === 0) return state;
  const windows = JSON.stringify(rows.map((row) => row.window));
  const known = await rowsOf(
    connection,
    'SELECT "window" FROM _headwater.intervals WHERE "window" IN (SELECT unnest($1::JSON::VARCHAR[]))',
    [windows],
  );
  const seen = await rowsOf(
    connection,
    'SELECT "window",max(attempt) AS attempt FROM _headwater.batches WHERE "window" IN (SELECT unnest($1::JSON::VARCHAR[])) GROUP BY ALL',
    [windows],
  );
  const fresh = freshIntervals(rows, known, seen);
  if (fresh.length === 0) return state;
  await connection.run(INSERT_INTERVALS, [JSON.stringify(fresh), BigInt(state.seq), now]);
  await connection.run('UPDATE _headwater.sink SET seq=$1::BIGINT', [BigInt(state.seq + fresh.length)]);
  return { epoch: state.epoch, seq: state.seq + fresh.length };
}

export async function readIntervals(
  connection: DuckDBConnection,
  afterSeq: number,
): Promise<(IntervalRow & { seq: number })[]> {
  const rows = await rowsOf(
    connection,
    'SELECT seq,"window",connection,object,"from",until,attempt,to_json(batches)::VARCHAR AS batches,receipt::VARCHAR AS receipt ' +
      'FROM _headwater.intervals WHERE seq>$1::BIGINT ORDER BY seq',
    [BigInt(afterSeq)],
  );
  return rows.map(intervalRow);
}

/** A run has one row: the summary at its end takes the place of the one at its beginning. */
export async function writeRun(connection: DuckDBConnection, run: RunSummary): Promise<void> {
  await connection.run('DELETE FROM _headwater.runs WHERE workflow_id=$1 AND run_id=$2', [
    run.workflowId,
    run.runId,
  ]);
  await connection.run(
    "INSERT INTO _headwater.runs VALUES ($1,$2,$3,$4,$5,$6,nullif($7,''),$8::INTEGER,$9::JSON)",
    [
      ...[
        run.connection,
        run.workflowId,
        run.runId,
        run.trigger,
        run.outcome,
        run.startedAt,
        run.endedAt ?? '',
      ],
      ...[run.idle, JSON.stringify(run.objects)],
    ],
  );
}

/** Returns those that are news: an ignored column is told once, not in every run. */
export const recordChanges = (
  connection: DuckDBConnection,
  name: string,
  changes: (SchemaChange & { policy: string })[],
  now: string,
): Promise<SchemaChange[]> =>
  recordNews(changes, {
    isKnown: async ({ table, column, change, after, action, policy }) => {
      const known = await rowsOf(
        connection,
        'SELECT 1 FROM _headwater.schema_changes WHERE connection=$1 AND "table"=$2 AND "column" IS NOT DISTINCT FROM $3 ' +
          'AND change=$4 AND after IS NOT DISTINCT FROM $5 AND action=$6 AND policy=$7 LIMIT 1',
        [name, table, column, change, after, action, policy],
      );
      return known.length > 0;
    },
    insert: ({ table, column, change, before, after, action, policy }) =>
      connection.run(
        'INSERT INTO _headwater.schema_changes VALUES ($1::TIMESTAMPTZ,$2,$3,$4,$5,$6,$7,$8,$9)',
        [now, name, table, column, change, before, after, action, policy],
      ),
  });
