import type { LoadReceipt } from '../../schemas/batch.ts';
import { checkPartial, noTally, partialTally } from '../batch-rules.ts';
import { quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Client, Session } from './client.ts';
import {
  copyAside,
  findApplied,
  openTable,
  quarantineSql,
  refuseMoved,
  sendAside,
  writeBatchRow,
} from './load.ts';
import { PLAN, PLAN_COUNTS, planSql, ROWS, unreadableSql, verifySql } from './load-sql.ts';
import type { Target } from './load-sql.ts';
import { moment, text } from './names.ts';
import { distributedBy } from './schema.ts';
import {
  dropSql,
  fill,
  keyColumns,
  leftOutSql,
  partialColumns,
  stagedSql,
  valueOf,
  withUploads,
} from './staging.ts';
import type { StagedColumn, Upload } from './staging.ts';
import { comparable, differs } from './types.ts';

/**
 * One batch of a partial window in one transaction with its batch row. A staged row changes a row of its key only at the same
 * version, and only if nothing read that row later: these columns and the deleted flag, never another column and never a new
 * row. I2: each staged row is updated, unchanged or stale; stale is also a key that the table holds older, or not at all.
 */
export async function loadPartial(
  client: Client,
  request: LoadRequest,
  now: string,
  signal: AbortSignal,
): Promise<LoadReceipt> {
  const started = performance.now();
  const { batch, files, window } = request;
  const what = `loading batch ${batch.id}`;
  const before = await client.read(what, (session) => openTable(session, request));
  const columns = partialColumns(request, before);
  return withUploads(
    client,
    async (put) => {
      const lines = files.quarantine === null ? [] : [quarantineSql(request, files.quarantine, now)];
      const sent = files.rows.length === 0 ? undefined : await put(stagedSql(columns, files.rows));
      if (sent !== undefined) lines.push(...leftOutSql(request, before, columns, { paths: files.rows, now }));
      const aside = await sendAside(put, lines);
      return client.write(
        what,
        async (session) => {
          const applied = await findApplied(session, request);
          if (applied !== undefined) return { ...applied, ms: performance.now() - started };
          const table = await openTable(session, request);
          refuseMoved(before, table);
          const sum =
            sent === undefined
              ? noTally()
              : await mergePartial(session, request, { table, columns, sent, now });
          checkPartial(request, sum, table.target);
          if (aside !== undefined) await copyAside(session, aside);
          await writeBatchRow(session, request, sum, now);
          return { batch: batch.id, alreadyApplied: false, ...sum, ms: performance.now() - started };
        },
        {
          signal,
          label: `headwater ${window.id} ${batch.id} ${window.owner.workflowId} ${window.owner.runId}`,
        },
      );
    },
    signal,
  );
}

interface Merge {
  table: Target;
  columns: readonly StagedColumn[];
  sent: Upload;
  now: string;
}

async function mergePartial(
  session: Session,
  request: LoadRequest,
  { table, columns, sent, now }: Merge,
): Promise<ReturnType<typeof partialTally>> {
  const brought = columns.filter(({ field }) => field !== undefined);
  await fill(session, ROWS, columns, sent, distributedBy(table.key));
  for (const sql of unreadableSql(request, table, columns, now)) await session.run(sql);
  await session.run(planPartialSql(table, brought));
  const sum = partialTally(await session.rows(PLAN_COUNTS));
  if (sum.updated > 0)
    await session.run(updatePartialSql(table, brought, { window: request.window.id, now }));
  await session.run(confirmSeenSql(table));
  await session.run(dropSql(PLAN));
  await session.run(dropSql(ROWS));
  return sum;
}

const isOther = (column: StagedColumn): string =>
  differs(comparable(valueOf(column, 's'), column.type), comparable(`t.${quote(column.name)}`, column.type));

/** The order tuple without hash: what was read of this version later stands. `behind`: the table lacks a newer version. */
export const planPartialSql = (table: Target, brought: readonly StagedColumn[]): string =>
  planSql(table, ROWS, [
    `WHEN t.${table.key} IS NULL THEN 'absent'`,
    "WHEN t._version < s._version THEN 'behind'",
    "WHEN t._version > s._version OR t._confirmed_at > s._confirmed_at THEN 'stale'",
    `WHEN ${[differs('s._deleted', 't._deleted'), ...brought.map(isOther)].join(' OR ')} THEN 'update'`,
    "WHEN true THEN 'unchanged'",
  ]);

/** `_hash` was over the values of before: without it, no later reading takes the row for unchanged. */
export function updatePartialSql(
  { target, key, bare }: Target,
  brought: readonly StagedColumn[],
  { window, now }: { window: string; now: string },
): string {
  const set = [
    ...brought.map((column) => `${quote(column.name)} = ${valueOf(column, ROWS)}`),
    `_deleted = ${ROWS}._deleted`,
    '_hash = NULL',
    `_window = ${text(window)}`,
    `_loaded_at = ${moment(now)}`,
  ];
  return [
    `UPDATE ${target} SET ${set.join(', ')}`,
    `FROM ${ROWS}, ${PLAN} WHERE ${PLAN}.k = ${ROWS}.${key} AND ${PLAN}.action = 'update' AND ${bare}.${key} = ${ROWS}.${key}`,
  ].join('\n');
}

/** Every row whose key was seen is alive in the source: retiring looks at this time. It never moves back. */
export const confirmSeenSql = ({ target, key, bare }: Target): string =>
  [
    `UPDATE ${target} SET _confirmed_at = ${PLAN}._confirmed_at FROM ${PLAN}`,
    `WHERE ${bare}.${key} = ${PLAN}.k AND ${PLAN}._confirmed_at > ${bare}._confirmed_at`,
  ].join('\n');

/**
 * A key that the table lacks, or holds older than the source does, is a hole that a window left: only what was set aside
 * explains it. What the columns hold is not asked: a later reading may have changed them again.
 */
export async function verifyPartial(
  client: Client,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const { rows } = request.files;
  if (rows.length === 0) return { present: 0, missing: 0 };
  const what = `verifying batch ${request.batch.id}`;
  const before = await client.read(what, (session) => openTable(session, request));
  const columns = keyColumns(before, ['_version']);
  return withUploads(client, async (put) => {
    const sent = await put(stagedSql(columns, rows));
    return client.scratch(what, async (session) => {
      const table = await openTable(session, request);
      refuseMoved(before, table);
      await fill(session, ROWS, columns, sent, distributedBy(table.key));
      const [all] = await session.rows(verifySql(table));
      const [explained] = await session.rows(
        `SELECT count(*) AS rows FROM ${ROWS} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = s.${table.key}
         WHERE NOT COALESCE(t._version >= s._version, false) AND CAST(s.${table.key} AS varchar(65535)) IN
           (SELECT record FROM _headwater.quarantine WHERE connection = $1 AND object = $2 AND record IS NOT NULL)`,
        [request.window.connection, request.window.object],
      );
      const aside = Number(explained?.['rows'] ?? 0);
      return {
        present: Number(all?.['present'] ?? 0) + aside,
        missing: Number(all?.['missing'] ?? 0) - aside,
      };
    });
  });
}
