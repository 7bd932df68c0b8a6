import type { Instant } from '../../../schemas/instant.ts';
import { type ObjectSchema, objectSchemaSchema } from '../../../schemas/object-schema.ts';
import { type RunSummary, runSummarySchema } from '../../../schemas/run.ts';
import { json, text } from '../../row.ts';
import type { LedgerDatabase } from './database.ts';

const RUNS_MAX = 1_000;

/** Start and end write the same row, so a repeated start after the end must not take the end back. */
export function startRun(db: LedgerDatabase, run: RunSummary): void {
  db.run(
    `INSERT INTO runs (workflow_id, run_id, connection, started_at, summary) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
    run.workflowId,
    run.runId,
    run.connection,
    run.startedAt,
    JSON.stringify(run),
  );
}

export function endRun(db: LedgerDatabase, run: RunSummary): void {
  db.run(
    `INSERT INTO runs (workflow_id, run_id, connection, started_at, summary) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET summary = excluded.summary`,
    run.workflowId,
    run.runId,
    run.connection,
    run.startedAt,
    JSON.stringify(run),
  );
}

export function runs(db: LedgerDatabase, filter: { connection?: string; limit: number }): RunSummary[] {
  return db
    .all(
      `SELECT summary FROM runs WHERE ?1 IS NULL OR connection = ?1 ORDER BY started_at DESC, run_id LIMIT ?2`,
      filter.connection ?? null,
      Math.min(filter.limit, RUNS_MAX),
    )
    .map((row) => json(runSummarySchema, text(row, 'summary')));
}

/** A schema is kept once, however many windows expect it: its hash stands for all of it. */
export function keepSchema(db: LedgerDatabase, schema: ObjectSchema): void {
  db.run(
    'INSERT INTO object_schemas (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING',
    schema.hash,
    JSON.stringify(schema),
  );
}

export function storeSchema(db: LedgerDatabase, connection: string, schema: ObjectSchema, at: Instant): void {
  keepSchema(db, schema);
  db.run(
    `INSERT INTO schemas (connection, object, hash, at) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET hash = excluded.hash, at = excluded.at`,
    connection,
    schema.object,
    schema.hash,
    at,
  );
}

export function readSchema(
  db: LedgerDatabase,
  connection: string,
  object: string,
): { schema: ObjectSchema; at: Instant } | null {
  const row = db.get(
    'SELECT body, at FROM schemas JOIN object_schemas USING (hash) WHERE connection = ? AND object = ?',
    connection,
    object,
  );
  return row === undefined
    ? null
    : { schema: json(objectSchemaSchema, text(row, 'body')), at: text(row, 'at') };
}

export function readMeta(db: LedgerDatabase, key: string): string | null {
  const row = db.get('SELECT value FROM meta WHERE key = ?', key);
  return row === undefined ? null : text(row, 'value');
}

export function writeMeta(db: LedgerDatabase, key: string, value: string): void {
  db.run(
    'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    key,
    value,
  );
}
