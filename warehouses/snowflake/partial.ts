import type { LoadReceipt } from '../../schemas/batch.ts';
import { checkPartial, noTally, partialTally } from '../batch-rules.ts';
import type { LoadTable } from '../batch-rules.ts';
import { quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Session } from './client.ts';
import { findApplied, inspect, openTable, quarantineSql, setUnreadableAside } from './load.ts';
import { stageAside, writeBatchRow } from './load.ts';
import { decision, planSql, typedRows, verifySql } from './load-sql.ts';
import { moment, SYSTEM, text } from './names.ts';
import { lockSql } from './schema.ts';
import { keyColumns, leftOutSql, partialColumns, stagedSql, withStaging } from './staging.ts';
import type { Filled, StagedColumn } from './staging.ts';
import { insertAsideSql } from './system-tables.ts';
import { comparable } from './types.ts';

/**
 * One batch of a partial window in one transaction with its batch row. A staged row changes a row of its key only at the same
 * version, and only if nothing read that row later: these columns and the deleted flag, never another column and never a new
 * row. I2: each staged row is updated, unchanged or stale; stale is also a key that the table holds older, or not at all.
 */
export async function loadPartial(session: Session, request: LoadRequest, now: string): Promise<LoadReceipt> {
  const started = performance.now();
  const { batch, window, files } = request;
  const table = await openTable(session, request);
  const columns = partialColumns(request, table);
  const brought = columns.filter(({ field }) => field !== undefined);
  return withStaging(session, async (staging) => {
    const lines = files.quarantine === null ? [] : [quarantineSql(request, files.quarantine, now)];
    let filled: Filled | undefined;
    if (files.rows.length > 0) {
      const careful = await inspect(session, request, table, columns);
      filled = await staging.fill(columns, stagedSql(columns, files.rows, careful));
      if (careful) lines.push(...leftOutSql(request, table, columns, { paths: files.rows, now }));
    }
    const aside = await stageAside(session, staging, lines);
    return session.atomically(async () => {
      await session.run(lockSql(table.target));
      const { receipt, replaces } = await findApplied(session, request);
      if (receipt !== undefined) return { ...receipt, ms: performance.now() - started };
      let sum = noTally();
      if (filled !== undefined) {
        const cases = partialCases(table, brought);
        const rows = typedRows(columns, filled.table);
        sum = partialTally(await session.rows(planSql(table, rows, cases)));
        await session.run(
          mergePartialSql(table, brought, { rows, cases, updated: sum.updated, window: window.id, now }),
        );
        await setUnreadableAside(session, request, columns, { rows: filled.table, now });
      }
      checkPartial(request, sum, table.target);
      if (aside !== undefined) await session.run(insertAsideSql(aside));
      await writeBatchRow(session, request, sum, { now, replaces });
      return { batch: batch.id, alreadyApplied: false, ...sum, ms: performance.now() - started };
    });
  });
}

/** Of rows that have their target's types. */
const differs = ({ name, column, columnType }: StagedColumn): string =>
  `${comparable(`s.${quote(name)}`, columnType)} IS DISTINCT FROM ${comparable(`t.${quote(column)}`, columnType)}`;

/** The order tuple without hash: what was read of this version later stands. `behind`: the table lacks a newer version. */
export const partialCases = ({ key }: LoadTable, brought: readonly StagedColumn[]): string[] => [
  `WHEN t.${key} IS NULL THEN 'absent'`,
  `WHEN t."_VERSION" < s."_VERSION" THEN 'behind'`,
  `WHEN t."_VERSION" > s."_VERSION" OR t."_CONFIRMED_AT" > s."_CONFIRMED_AT" THEN 'stale'`,
  `WHEN ${['s."_DELETED" IS DISTINCT FROM t."_DELETED"', ...brought.map(differs)].join(' OR ')} THEN 'update'`,
  "WHEN TRUE THEN 'unchanged'",
];

/**
 * `_HASH` was over the values of before: without it, no later reading takes the row for unchanged. Every row whose key was seen is
 * alive in the source: retiring looks at its confirmation, which never moves back.
 */
export function mergePartialSql(
  { target, key }: LoadTable,
  brought: readonly StagedColumn[],
  {
    rows,
    cases,
    updated,
    window,
    now,
  }: { rows: string; cases: readonly string[]; updated: number; window: string; now: string },
): string {
  const set = [
    ...brought.map(({ name, column }) => `${quote(column)} = s.${quote(name)}`),
    '"_DELETED" = s."_DELETED"',
    '"_HASH" = NULL',
    '"_CONFIRMED_AT" = s."_CONFIRMED_AT"',
    `"_WINDOW" = ${text(window)}`,
    `"_LOADED_AT" = ${moment(now)}`,
  ];
  return [
    `MERGE INTO ${target} AS t USING ${rows} AS s ON t.${key} = s."K"`,
    ...(updated > 0
      ? [`WHEN MATCHED AND ${decision(cases)} = 'update' THEN UPDATE SET ${set.join(', ')}`]
      : []),
    'WHEN MATCHED AND s."_CONFIRMED_AT" > t."_CONFIRMED_AT" THEN UPDATE SET "_CONFIRMED_AT" = s."_CONFIRMED_AT"',
  ].join('\n');
}

/**
 * A key that the table lacks, or holds older than the source does, is a hole that a window left: only what was set aside
 * explains it. What the columns hold is not asked: a later reading may have changed them again.
 */
export async function verifyPartial(
  session: Session,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const { rows: paths } = request.files;
  if (paths.length === 0) return { present: 0, missing: 0 };
  const table = await openTable(session, request);
  return withStaging(session, async (staging) => {
    const columns = keyColumns(table, ['_VERSION']);
    const { table: rows } = await staging.fill(columns, stagedSql(columns, paths));
    const [all] = await session.rows(verifySql(table, rows));
    const [explained] = await session.rows(
      `SELECT count(*) AS "ROWS" FROM ${rows} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = s."K"
       WHERE NOT COALESCE(t."_VERSION" >= s."_VERSION", FALSE) AND TO_VARCHAR(s."K") IN
         (SELECT "RECORD" FROM ${SYSTEM}."QUARANTINE" WHERE "CONNECTION" = ? AND "OBJECT" = ? AND "RECORD" IS NOT NULL)`,
      [request.window.connection, request.window.object],
    );
    const aside = Number(explained?.['rows'] ?? 0);
    return { present: Number(all?.['present'] ?? 0) + aside, missing: Number(all?.['missing'] ?? 0) - aside };
  });
}
