import { HeadwaterError } from '../rules/errors.ts';
import type { FactRow } from './batch-rules.ts';
import { literal } from './sql.ts';
import type { ComparedRow, HeldVersion, OpenQuarantine, RowState } from './warehouse.ts';

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The state of staged row `s` beside row `t` of the table; `absent` is true where the table has no such row. */
export const stateCase = (absent: string): string =>
  [
    // Deleted on both sides, or never here, is the same whenever it was.
    "CASE WHEN s._deleted AND coalesce(t._deleted, true) THEN 'same'",
    `WHEN ${absent} THEN 'missing'`,
    "WHEN t._version IS NULL OR t._version < s._version THEN 'outdated'",
    "WHEN t._version > s._version THEN CASE WHEN coalesce(t._deleted, false) AND NOT s._deleted THEN 'lost' ELSE 'newer' END",
    "WHEN coalesce(t._deleted, false) <> s._deleted THEN CASE WHEN s._deleted THEN 'kept' ELSE 'lost' END",
    "ELSE 'same' END",
  ].join(' ');

/** From `record`, `state`, `version`, `columns` (a JSON list of names) and `gone`. */
export function comparedRow(row: FactRow): ComparedRow {
  const differ: unknown = JSON.parse(textOf(row['columns']) || '[]');
  const names = Array.isArray(differ) ? differ.map(String) : [];
  const same = row['state'] === 'same' && row['gone'] !== true;
  return {
    record: textOf(row['record']),
    state: same && names.length > 0 ? 'altered' : stateOf(textOf(row['state'])),
    version: textOf(row['version']),
    columns: same ? names : [],
  };
}

const STATES: ReadonlySet<string> = new Set<RowState>([
  'same',
  'missing',
  'outdated',
  'kept',
  'lost',
  'newer',
]);

function stateOf(value: string): RowState {
  if (isState(value)) return value;
  throw new HeadwaterError('INTERNAL', `a compared row is "${value}"`);
}

const isState = (value: string): value is RowState => STATES.has(value);

/** One line per record that was set aside, of a staged quarantine; for DuckDB. */
export const asideSql = (path: string): string =>
  `SELECT record, min(field) AS field, min(reason) AS reason FROM read_parquet(${literal(path)}) WHERE record IS NOT NULL GROUP BY record`;

export const asideRow = (row: FactRow): ComparedRow => ({
  record: textOf(row['record']),
  state: 'aside',
  version: null,
  columns: typeof row['field'] === 'string' ? [row['field']] : [],
  reason: textOf(row['reason']),
});

export const heldVersion = (row: FactRow): HeldVersion => ({
  record: textOf(row['record']),
  version: typeof row['version'] === 'string' ? row['version'] : null,
  deleted: row['deleted'] === true,
});

/** From `object`, `record` and `reasons`, a JSON list of field and reason. */
export function openQuarantine(row: FactRow): OpenQuarantine {
  const reasons: OpenQuarantine['reasons'] = JSON.parse(textOf(row['reasons']));
  return { object: textOf(row['object']), record: textOf(row['record']), reasons };
}
