import type { LoadTable } from '../batch-rules.ts';
import { newer, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import { moment, SYSTEM, text } from './names.ts';
import { NOT_TAKEN, typedValues, valueOf } from './staging.ts';
import type { StagedColumn } from './staging.ts';
import { ASIDE } from './system-tables.ts';

/** What becomes of each staged row, decided before any is written. */
export const planColumns = ({ keyType }: LoadTable): { name: string; type: string }[] => [
  { name: 'K', type: keyType === 'VARIANT' || keyType === 'TIME' ? 'TEXT' : keyType },
  { name: '_VERSION', type: 'TIMESTAMP_TZ' },
  { name: '_CONFIRMED_AT', type: 'TIMESTAMP_TZ' },
  { name: 'ACTION', type: 'TEXT' },
];

const OLD = moment('0001-01-01T00:00:00.000Z');
const HASH_MIN = '-9223372036854775808';

/** The parts of the order tuple, each coalesced; a tombstone and a partial window have the times alone. */
const times = (alias: string): string[] => [
  `COALESCE(${alias}."_VERSION", ${OLD})`,
  `COALESCE(${alias}."_CONFIRMED_AT", ${OLD})`,
];
const order = (alias: string): string[] => [
  ...times(alias),
  `IFF(COALESCE(${alias}."_DELETED", FALSE), 1, 0)`,
  `COALESCE(${alias}."_HASH", ${HASH_MIN})`,
];

export interface Tables {
  rows: string;
  plan: string;
}

/**
 * The whole order tuple decides; a deletion wins against a row of the same version and time. Equal content is unchanged: only
 * its times move.
 */
export const planRowsSql = (table: LoadTable, tables: Tables): string =>
  planSql(table, tables, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    `WHEN t."_HASH" = s."_HASH" AND t."_DELETED" = s."_DELETED" THEN 'unchanged'`,
    `WHEN ${newer(order('s'), order('t'))} THEN 'update'`,
  ]);

/** A tombstone has no content: against a live row of the same version and time it wins, against a deleted one nothing changes. */
export const planTombstonesSql = (table: LoadTable, tables: Tables): string =>
  planSql(table, tables, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    `WHEN t."_DELETED" THEN 'unchanged'`,
    `WHEN ${newer(times('s'), times('t'), '>=')} THEN 'update'`,
  ]);

export function planSql(
  { target, key }: LoadTable,
  { rows, plan }: Tables,
  cases: readonly string[],
): string {
  return [
    `INSERT INTO ${plan} ("K", "_VERSION", "_CONFIRMED_AT", "ACTION")`,
    'SELECT s."K", s."_VERSION", s."_CONFIRMED_AT", CASE',
    ...cases.map((line) => `  ${line}`),
    "  ELSE 'stale' END",
    `FROM ${rows} AS s LEFT JOIN ${target} AS t ON t.${key} = s."K"`,
  ].join('\n');
}

export const planCountsSql = (plan: string): string =>
  `SELECT "ACTION", count(*) AS "ROWS" FROM ${plan} GROUP BY "ACTION"`;

/**
 * Equal content was seen again: the times move forward, the row does not count as loaded anew. They move together, as one order
 * tuple: the version of one reading with the confirmation of another would outrank what no reading outranked (I1).
 */
export const confirmSql = ({ target, key }: LoadTable, plan: string): string =>
  [
    `MERGE INTO ${target} AS t USING (SELECT * FROM ${plan} WHERE "ACTION" = 'unchanged') AS s ON t.${key} = s."K"`,
    `WHEN MATCHED AND ${newer(times('s'), times('t'))} THEN UPDATE SET "_VERSION" = s."_VERSION", "_CONFIRMED_AT" = s."_CONFIRMED_AT"`,
  ].join('\n');

const written = (columns: readonly StagedColumn[], now: string) => ({
  names: [...columns.map(({ column }) => quote(column)), '"_LOADED_AT"'],
  values: [...columns.map((column) => valueOf(column, 's')), moment(now)],
});

/** Every staged row: for a table that holds none of their keys. */
export function insertAllSql(
  { target }: LoadTable,
  columns: readonly StagedColumn[],
  rows: string,
  now: string,
): string {
  const { names, values } = written(columns, now);
  return `INSERT INTO ${target} (${names.join(', ')})\nSELECT ${values.join(', ')} FROM ${rows} AS s`;
}

/** The rows that the plan inserts or updates; columns that this load does not write keep their values. */
export function mergeSql(
  { target, key }: LoadTable,
  columns: readonly StagedColumn[],
  { rows, plan }: Tables,
  now: string,
): string {
  const { names } = written(columns, now);
  const values = [...columns.map(({ name }) => `s.${quote(name)}`), moment(now)];
  const set = names.flatMap((name, at) => (name === key ? [] : [`${name} = ${values[at]}`]));
  const newest = order('r').map((part) => `${part} DESC`);
  return [
    `MERGE INTO ${target} AS t USING (`,
    `  SELECT ${typedValues(columns, 'r')}`,
    `  FROM ${rows} AS r JOIN ${plan} AS p ON p."K" = r."K" WHERE p."ACTION" IN ('insert', 'update')`,
    `  QUALIFY ROW_NUMBER() OVER (PARTITION BY r."K" ORDER BY ${newest.join(', ')}) = 1`,
    `) AS s ON t.${key} = s."K"`,
    // Another writer may have come between plan and merge: the newer version stays then, too.
    `WHEN MATCHED AND ${newer(order('s'), order('t'))} THEN UPDATE SET ${set.join(', ')}`,
    `WHEN NOT MATCHED THEN INSERT (${names.join(', ')}) VALUES (${values.join(', ')})`,
  ].join('\n');
}

/** The source's values stay under a tombstone. */
export const markDeletedSql = (
  { target, key }: LoadTable,
  plan: string,
  window: string,
  now: string,
): string =>
  [
    `MERGE INTO ${target} AS t USING (SELECT * FROM ${plan} WHERE "ACTION" = 'update') AS s ON t.${key} = s."K"`,
    `WHEN MATCHED THEN UPDATE SET "_DELETED" = TRUE, "_VERSION" = s."_VERSION", "_CONFIRMED_AT" = s."_CONFIRMED_AT", "_WINDOW" = ${text(window)}, "_LOADED_AT" = ${moment(now)}`,
  ].join('\n');

/** An unknown key gets a row of its own, or a late older update would revive it. */
export const insertTombstonesSql = (
  { target, key }: LoadTable,
  plan: string,
  window: string,
  now: string,
): string =>
  [
    `INSERT INTO ${target} (${key}, "_DELETED", "_VERSION", "_CONFIRMED_AT", "_WINDOW", "_LOADED_AT")`,
    `SELECT "K", TRUE, "_VERSION", "_CONFIRMED_AT", ${text(window)}, ${moment(now)} FROM ${plan} WHERE "ACTION" = 'insert'`,
  ].join('\n');

/** JSON that the server does not read (a key twice, too long) is set aside, never dropped unseen. */
export function unreadableSql(
  { batch, window }: LoadRequest,
  columns: readonly StagedColumn[],
  rows: string,
  now: string,
): string[] {
  const about = [batch.id, window.id, window.connection, window.object].map(text).join(', ');
  return columns
    .filter(({ columnType, field }) => columnType === 'VARIANT' && field !== undefined)
    .map(({ name, field = '' }) =>
      [
        `INSERT INTO ${SYSTEM}."QUARANTINE" (${ASIDE})`,
        `SELECT ${about}, TO_VARCHAR(s."K"), ${text(field)}, s.${quote(name)}, ${text(NOT_TAKEN)}, NULL, ${moment(now)}, UUID_STRING()`,
        `FROM ${rows} AS s WHERE s.${quote(name)} IS NOT NULL AND TRY_PARSE_JSON(s.${quote(name)}) IS NULL`,
      ].join('\n'),
    );
}

/** present, missing: staged keys that the table holds at a version at least as new. */
export const verifySql = ({ target, key }: LoadTable, rows: string): string =>
  [
    'SELECT COUNT_IF(t."_VERSION" >= s."_VERSION") AS "PRESENT",',
    '  COUNT_IF(t."_VERSION" IS NULL OR t."_VERSION" < s."_VERSION") AS "MISSING"',
    `FROM ${rows} AS s LEFT JOIN ${target} AS t ON t.${key} = s."K"`,
  ].join('\n');
