import type { LoadTable } from '../batch-rules.ts';
import { newer, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import { moment, SYSTEM, text } from './names.ts';
import { NOT_TAKEN, typedValues, valueOf } from './staging.ts';
import type { StagedColumn } from './staging.ts';
import { ASIDE } from './system-tables.ts';

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

/** Equal content: only its times may move. */
const SAME = 't."_HASH" = s."_HASH" AND t."_DELETED" = s."_DELETED"';

/**
 * The whole order tuple decides; a deletion wins against a row of the same version and time. Equal content is unchanged, and
 * confirmed where it was read later.
 */
export const planRowsSql = (table: LoadTable, rows: string): string =>
  planSql(table, rows, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    // Of equal content, nothing but the times can make the tuple newer.
    `WHEN ${newer(order('s'), order('t'))} THEN IFF(${SAME}, 'confirm', 'update')`,
    `WHEN ${SAME} THEN 'unchanged'`,
  ]);

/** A tombstone has no content: against a live row of the same version and time it wins, against a deleted one nothing changes. */
export const planTombstonesSql = (table: LoadTable, rows: string): string =>
  planSql(table, rows, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    `WHEN t."_DELETED" AND ${newer(times('s'), times('t'))} THEN 'confirm'`,
    `WHEN t."_DELETED" THEN 'unchanged'`,
    `WHEN ${newer(times('s'), times('t'), '>=')} THEN 'update'`,
  ]);

export const decision = (cases: readonly string[]): string =>
  ['CASE', ...cases.map((line) => `  ${line}`), "  ELSE 'stale' END"].join('\n');

/** What becomes of the staged rows, counted before any is written. `rows`: a table, or a sub-query. */
export const planSql = ({ target, key }: LoadTable, rows: string, cases: readonly string[]): string =>
  [
    `SELECT "ACTION", count(*) AS "ROWS" FROM (SELECT ${decision(cases)} AS "ACTION"`,
    `FROM ${rows} AS s LEFT JOIN ${target} AS t ON t.${key} = s."K") AS p GROUP BY "ACTION"`,
  ].join('\n');

/** So many rows of each kind are to be written; a kind of which there are none has no clause in the merge. */
export interface Writes {
  inserted: number;
  updated: number;
  confirmed: number;
}

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

/** The staged rows with each value as its target takes it; a sub-query. */
export const typedRows = (columns: readonly StagedColumn[], rows: string): string =>
  columns.every((column) => valueOf(column, 'r') === `r.${quote(column.name)}`)
    ? `(SELECT * FROM ${rows})`
    : `(SELECT ${typedValues(columns, 'r')} FROM ${rows} AS r)`;

/** They move together, as one order tuple: the version of one reading with the confirmation of another would outrank what no reading outranked (I1). */
const CONFIRM = 'UPDATE SET "_VERSION" = s."_VERSION", "_CONFIRMED_AT" = s."_CONFIRMED_AT"';

/** Another writer may have come between plan and merge: each clause compares again, and the newer version stays. */
const merge = (
  { target, key }: LoadTable,
  rows: string,
  clauses: readonly (readonly [rows: number, clause: string])[],
): string =>
  [
    `MERGE INTO ${target} AS t USING ${rows} AS s ON t.${key} = s."K"`,
    ...clauses.flatMap(([count, clause]) => (count > 0 ? [clause] : [])),
  ].join('\n');

/** What the plan counted. Keys are distinct in the staged file. Columns that this load does not write keep their values. */
export function mergeSql(
  table: LoadTable,
  columns: readonly StagedColumn[],
  rows: string,
  { inserted, updated, confirmed, now }: Writes & { now: string },
): string {
  const { names } = written(columns, now);
  const values = [...columns.map(({ name }) => `s.${quote(name)}`), moment(now)];
  const set = names.flatMap((name, at) => (name === table.key ? [] : [`${name} = ${values[at]}`]));
  return merge(table, typedRows(columns, rows), [
    [confirmed, `WHEN MATCHED AND ${SAME} AND ${newer(times('s'), times('t'))} THEN ${CONFIRM}`],
    [updated, `WHEN MATCHED AND ${newer(order('s'), order('t'))} THEN UPDATE SET ${set.join(', ')}`],
    [inserted, `WHEN NOT MATCHED THEN INSERT (${names.join(', ')}) VALUES (${values.join(', ')})`],
  ]);
}

/** The source's values stay under a tombstone. An unknown key gets a row of its own, or a late older update would revive it. */
export function mergeTombstonesSql(
  table: LoadTable,
  rows: string,
  { inserted, updated, confirmed, window, now }: Writes & { window: string; now: string },
): string {
  const facts = `${text(window)}, ${moment(now)}`;
  return merge(table, `(SELECT * FROM ${rows})`, [
    [confirmed, `WHEN MATCHED AND t."_DELETED" AND ${newer(times('s'), times('t'))} THEN ${CONFIRM}`],
    [
      updated,
      `WHEN MATCHED AND NOT COALESCE(t."_DELETED", FALSE) AND ${newer(times('s'), times('t'), '>=')} THEN ${CONFIRM}, "_DELETED" = TRUE, "_WINDOW" = ${text(window)}, "_LOADED_AT" = ${moment(now)}`,
    ],
    [
      inserted,
      `WHEN NOT MATCHED THEN INSERT (${table.key}, "_VERSION", "_CONFIRMED_AT", "_DELETED", "_WINDOW", "_LOADED_AT") VALUES (s."K", s."_VERSION", s."_CONFIRMED_AT", TRUE, ${facts})`,
    ],
  ]);
}

/** JSON that the server does not read (a key twice, too long) is set aside, never dropped unseen. Undefined where there is no such column. */
export function unreadableSql(
  { batch, window }: LoadRequest,
  columns: readonly StagedColumn[],
  rows: string,
  now: string,
): string | undefined {
  const about = [batch.id, window.id, window.connection, window.object].map(text).join(', ');
  const lines = columns
    .filter(({ columnType, field }) => columnType === 'VARIANT' && field !== undefined)
    .map(
      ({ name, field = '' }) =>
        `SELECT ${about}, TO_VARCHAR(s."K"), ${text(field)}, s.${quote(name)}, ${text(NOT_TAKEN)}, NULL, ${moment(now)}, UUID_STRING() ` +
        `FROM ${rows} AS s WHERE s.${quote(name)} IS NOT NULL AND TRY_PARSE_JSON(s.${quote(name)}) IS NULL`,
    );
  if (lines.length === 0) return undefined;
  return `INSERT INTO ${SYSTEM}."QUARANTINE" (${ASIDE})\n${lines.join('\nUNION ALL ')}`;
}

/** present, missing: staged keys that the table holds at a version at least as new. */
export const verifySql = ({ target, key }: LoadTable, rows: string): string =>
  [
    'SELECT COUNT_IF(t."_VERSION" >= s."_VERSION") AS "PRESENT",',
    '  COUNT_IF(t."_VERSION" IS NULL OR t."_VERSION" < s."_VERSION") AS "MISSING"',
    `FROM ${rows} AS s LEFT JOIN ${target} AS t ON t.${key} = s."K"`,
  ].join('\n');
