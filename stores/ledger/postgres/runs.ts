import type { Instant } from '../../../schemas/instant.ts';
import { type ObjectSchema, objectSchemaSchema } from '../../../schemas/object-schema.ts';
import { type RunSummary, runSummarySchema } from '../../../schemas/run.ts';
import type { Transaction } from '../../postgres.ts';
import { json, text } from '../../row.ts';

const RUNS_MAX = 1_000;

/** Start and end write the same row, so a repeated start after the end must not take the end back. */
export async function startRun(tx: Transaction, run: RunSummary): Promise<void> {
  await tx.run(
    `INSERT INTO runs (workflow_id, run_id, connection, started_at, summary) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT DO NOTHING`,
    run.workflowId,
    run.runId,
    run.connection,
    run.startedAt,
    JSON.stringify(run),
  );
}

export async function endRun(tx: Transaction, run: RunSummary): Promise<void> {
  await tx.run(
    `INSERT INTO runs (workflow_id, run_id, connection, started_at, summary) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (workflow_id, run_id) DO UPDATE SET summary = excluded.summary`,
    run.workflowId,
    run.runId,
    run.connection,
    run.startedAt,
    JSON.stringify(run),
  );
}

export async function runs(
  tx: Transaction,
  filter: { connection?: string; limit: number },
): Promise<RunSummary[]> {
  return (
    await tx.all(
      `SELECT summary FROM runs WHERE $1::text IS NULL OR connection = $1 ORDER BY started_at DESC, run_id LIMIT $2`,
      filter.connection ?? null,
      Math.min(filter.limit, RUNS_MAX),
    )
  ).map((row) => json(runSummarySchema, text(row, 'summary')));
}

/** A schema is kept once, however many windows expect it: its hash stands for all of it. */
export async function keepSchema(tx: Transaction, schema: ObjectSchema): Promise<void> {
  await tx.run(
    'INSERT INTO object_schemas (hash, body) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    schema.hash,
    JSON.stringify(schema),
  );
}

export async function storeSchema(
  tx: Transaction,
  connection: string,
  schema: ObjectSchema,
  at: Instant,
): Promise<void> {
  await keepSchema(tx, schema);
  await tx.run(
    `INSERT INTO schemas (connection, object, hash, at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (connection, object) DO UPDATE SET hash = excluded.hash, at = excluded.at`,
    connection,
    schema.object,
    schema.hash,
    at,
  );
}

export async function readSchema(
  tx: Transaction,
  connection: string,
  object: string,
): Promise<{ schema: ObjectSchema; at: Instant } | null> {
  const row = await tx.get(
    'SELECT body, at FROM schemas JOIN object_schemas USING (hash) WHERE connection = $1 AND object = $2',
    connection,
    object,
  );
  return row === undefined
    ? null
    : { schema: json(objectSchemaSchema, text(row, 'body')), at: text(row, 'at') };
}

export async function readMeta(tx: Transaction, key: string): Promise<string | null> {
  const row = await tx.get('SELECT value FROM meta WHERE key = $1', key);
  return row === undefined ? null : text(row, 'value');
}

export async function writeMeta(tx: Transaction, key: string, value: string): Promise<void> {
  await tx.run(
    'INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    key,
    value,
  );
}
