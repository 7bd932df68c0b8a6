import type { LoadTable } from '../batch-rules.ts';
import { newer, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import { moment, text } from './names.ts';
import { distributedBy } from './schema.ts';
import { NOT_TAKEN, valueOf } from './staging.ts';
import type { StagedColumn } from './staging.ts';

/** The table of a load; `bare`: quoted without its schema, as UPDATE and DELETE name it behind WHERE. */
export interface Target extends LoadTable {
  bare: string;
}

/** Temporary tables of a load. A source's table has no such name: what begins with _ is ours. */
export const ROWS = '_headwater_rows';
export const GONE = '_headwater_gone';
export const PLAN = '_headwater_plan';
export const KEPT = '_headwater_kept';
export const ASIDE = '_headwater_aside';

const OLD = moment('0001-01-01T00:00:00.000Z');
const HASH_MIN = '-9223372036854775808';

/** The parts of the order tuple, each coalesced; a tombstone and a partial window have the times alone. */
const times = (alias: string): string[] => [
  `COALESCE(${alias}._version, ${OLD})`,
  `COALESCE(${alias}._confirmed_at, ${OLD})`,
];
const order = (alias: string): string[] => [
  ...times(alias),
  `CASE WHEN ${alias}._deleted THEN 1 ELSE 0 END`,
  `COALESCE(${alias}._hash, ${HASH_MIN})`,
];

/**
 * What becomes of each staged row. The whole order tuple decides; a deletion wins against a row of the same version and time.
 * Equal content is unchanged: only its times move.
 */
export const planRowsSql = (table: Target): string =>
  planSql(table, ROWS, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    "WHEN t._hash = s._hash AND t._deleted = s._deleted THEN 'unchanged'",
    `WHEN ${newer(order('s'), order('t'))} THEN 'update'`,
  ]);

/** A tombstone has no content: against a live row of the same version and time it wins, against a deleted one nothing changes. */
export const planTombstonesSql = (table: Target): string =>
  planSql(table, GONE, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    "WHEN t._deleted THEN 'unchanged'",
    `WHEN ${newer(times('s'), times('t'), '>=')} THEN 'update'`,
  ]);

export function planSql({ target, key }: Target, staged: string, cases: readonly string[]): string {
  return [
    `CREATE TEMP TABLE ${PLAN}${distributedBy('"k"')} AS`,
    `SELECT s.${key} AS k, s._version, s._confirmed_at, CASE`,
    ...cases.map((line) => `  ${line}`),
    "  ELSE 'stale' END AS action",
    `FROM ${staged} AS s LEFT JOIN ${target} AS t ON t.${key} = s.${key}`,
  ].join('\n');
}

export const PLAN_COUNTS = `SELECT action, count(*) AS rows FROM ${PLAN} GROUP BY action`;

/**
 * Equal content was seen again: the times move forward, the row does not count as loaded anew. They move together, as one order
 * tuple: the version of one reading with the confirmation of another would outrank what no reading outranked (I1).
 */
export const confirmSql = ({ target, key, bare }: Target): string =>
  [
    `UPDATE ${target} SET _version = ${PLAN}._version, _confirmed_at = ${PLAN}._confirmed_at FROM ${PLAN}`,
    `WHERE ${PLAN}.action = 'unchanged' AND ${bare}.${key} = ${PLAN}.k AND ${newer(times(PLAN), times(bare))}`,
  ].join('\n');

/** Columns that this load does not write keep their values. */
const kept = ({ columns }: Target, staged: readonly StagedColumn[]): string[] => {
  const written = new Set([...staged.map(({ name }) => name), '_loaded_at']);
  return columns.map(({ name }) => name).filter((name) => !written.has(name));
};

/** What the rows that will be replaced hold in columns that this load does not write; undefined where it writes all. */
export function keepSql(table: Target, staged: readonly StagedColumn[]): string | undefined {
  const names = kept(table, staged);
  if (names.length === 0) return undefined;
  return [
    `CREATE TEMP TABLE ${KEPT}${distributedBy('"k"')} AS`,
    `SELECT p.k, ${names.map((name, at) => `t.${quote(name)} AS o${at}`).join(', ')}`,
    `FROM ${PLAN} AS p JOIN ${table.target} AS t ON t.${table.key} = p.k WHERE p.action = 'update'`,
  ].join('\n');
}

/** What is replaced goes first: rows are written once, not changed. */
export const deleteSql = ({ target, key, bare }: Target): string =>
  `DELETE FROM ${target} USING ${PLAN} WHERE ${PLAN}.action = 'update' AND ${bare}.${key} = ${PLAN}.k`;

/** The rows that the plan inserts or updates. */
export function insertSql(table: Target, staged: readonly StagedColumn[], now: string): string {
  const { target, key } = table;
  const old = kept(table, staged);
  const names = [...staged.map(({ name }) => quote(name)), '_loaded_at', ...old.map(quote)];
  const values = [
    ...staged.map((column) => valueOf(column, 's')),
    moment(now),
    ...old.map((_, at) => `o.o${at}`),
  ];
  return [
    `INSERT INTO ${target} (${names.join(', ')})`,
    `SELECT ${values.join(', ')}`,
    `FROM ${ROWS} AS s JOIN ${PLAN} AS p ON p.k = s.${key}${old.length === 0 ? '' : ` LEFT JOIN ${KEPT} AS o ON o.k = s.${key}`}`,
    "WHERE p.action IN ('insert', 'update')",
  ].join('\n');
}

/** Every staged row: for a table that holds none. */
export const insertAllSql = ({ target }: Target, staged: readonly StagedColumn[], now: string): string =>
  `INSERT INTO ${target} (${[...staged.map(({ name }) => quote(name)), '_loaded_at'].join(', ')})\n` +
  `SELECT ${[...staged.map((column) => valueOf(column, 's')), moment(now)].join(', ')} FROM ${ROWS} AS s`;

/** The source's values stay under a tombstone. */
export const markDeletedSql = ({ target, key, bare }: Target, window: string, now: string): string =>
  [
    `UPDATE ${target} SET _deleted = true, _version = ${PLAN}._version, _confirmed_at = ${PLAN}._confirmed_at, _window = ${text(window)}, _loaded_at = ${moment(now)}`,
    `FROM ${PLAN} WHERE ${PLAN}.action = 'update' AND ${bare}.${key} = ${PLAN}.k`,
  ].join('\n');

/** An unknown key gets a row of its own, or a late older update would revive it. */
export const insertTombstonesSql = ({ target, key }: Target, window: string, now: string): string =>
  [
    `INSERT INTO ${target} (${key}, _deleted, _version, _confirmed_at, _window, _loaded_at)`,
    `SELECT k, true, _version, _confirmed_at, ${text(window)}, ${moment(now)} FROM ${PLAN} WHERE action = 'insert'`,
  ].join('\n');

/** JSON that the server does not read is set aside, never dropped unseen. */
export function unreadableSql(
  { batch, window }: LoadRequest,
  { key }: Pick<Target, 'key'>,
  staged: readonly StagedColumn[],
  now: string,
): string[] {
  const about = [batch.id, window.id, window.connection, window.object].map(text).join(', ');
  return staged.flatMap(({ name, type, field }) =>
    type !== 'super' || field === undefined
      ? []
      : [
          [
            'INSERT INTO _headwater.quarantine (batch, "window", connection, object, record, field, value, reason, quarantined_at, id)',
            `SELECT ${about}, CAST(s.${key} AS varchar(65535)), ${text(field)}, s.${quote(name)}, ${text(NOT_TAKEN)}, ${moment(now)}, MD5(${text(`${batch.id} ${field} `)} || CAST(s.${key} AS varchar(65535)))`,
            `FROM ${ROWS} AS s WHERE s.${quote(name)} IS NOT NULL AND NOT CAN_JSON_PARSE(s.${quote(name)})`,
          ].join('\n'),
        ],
  );
}

/** present, missing: staged keys that the table holds at a version at least as new. */
export const verifySql = ({ target, key }: Target): string =>
  [
    'SELECT SUM(CASE WHEN t._version >= s._version THEN 1 ELSE 0 END) AS present,',
    '  SUM(CASE WHEN t._version >= s._version THEN 0 ELSE 1 END) AS missing',
    `FROM ${ROWS} AS s LEFT JOIN ${target} AS t ON t.${key} = s.${key}`,
  ].join('\n');
