/** COUNT(field), COUNT_DISTINCT, MIN, MAX, SUM and AVG, with GROUP BY over plain fields. */
import { malformed } from './api-error.ts';
import { NUMBER_TYPES, type FieldSpec } from './fields.ts';
import { jsonCell } from './render.ts';
import { resolveField } from './soql-filter.ts';
import type { Query } from './soql-parser.ts';
import type { BoundQuery } from './soql-run.ts';
import type { Entry, Table } from './table.ts';
import type { Value } from './makers.ts';

const GROUPS_MAX = 2000;

export function isAggregate(query: Query): boolean {
  return query.groupBy.length > 0 || query.selected.some((item) => item.kind === 'aggregate');
}

export function aggregateJson(bound: BoundQuery, entries: readonly Entry[]): string {
  const { query, table } = bound;
  const keys = query.groupBy.map((token) => resolveField(table, query.text, token));
  for (const column of bound.columns) {
    if (!keys.includes(column)) throw malformed(`Field must be grouped or aggregated: ${column.name}`);
  }
  const groups = grouped(table, keys, entries);
  if (groups.size > GROUPS_MAX) {
    throw malformed(
      `Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch`,
    );
  }
  const limited = [...groups.values()].slice(
    query.offset ?? 0,
    (query.offset ?? 0) + (query.limit ?? GROUPS_MAX),
  );
  const records = limited.map((group) => recordJson(bound, group));
  return `{"totalSize":${records.length},"done":true,"records":[${records.join(',')}]}`;
}

function grouped(table: Table, keys: readonly FieldSpec[], entries: readonly Entry[]): Map<string, Entry[]> {
  if (keys.length === 0) return new Map([['', [...entries]]]);
  const readers = keys.map((spec) => table.reader(spec.name));
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const key = JSON.stringify(readers.map((read) => read(entry)));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [entry]);
    else group.push(entry);
  }
  return groups;
}

function recordJson(bound: BoundQuery, group: readonly Entry[]): string {
  const { query, table } = bound;
  const parts: string[] = [];
  for (const item of query.selected) {
    if (item.kind === 'field') {
      const spec = resolveField(table, query.text, item.token);
      parts.push(`"${spec.name}":${jsonCell(spec)(table.reader(spec.name)(group[0]!))}`);
    } else if (item.kind === 'aggregate') {
      const spec = resolveField(table, query.text, item.token);
      parts.push(`"${item.alias}":${computed(item.operation, spec, group.map(table.reader(spec.name)))}`);
    }
  }
  return `{"attributes":{"type":"AggregateResult"},${parts.join(',')}}`;
}

function computed(operation: string, spec: FieldSpec, values: readonly Value[]): string {
  const present = values.filter((value) => value !== null);
  if (operation === 'COUNT') return String(present.length);
  if (operation === 'COUNT_DISTINCT')
    return String(new Set(present.map((value) => value.toLowerCase())).size);
  if (present.length === 0) return 'null';
  const isNumber = NUMBER_TYPES.has(spec.type);
  if (operation === 'SUM' || operation === 'AVG') {
    const sum = present.reduce((total, value) => total + Number(value), 0);
    return String(operation === 'SUM' ? sum : sum / present.length);
  }
  const before = (a: string, b: string): boolean => (isNumber ? Number(a) < Number(b) : a < b);
  const chosen = present.reduce((best, value) =>
    before(value, best) === (operation === 'MIN') ? value : best,
  );
  return jsonCell(spec)(chosen);
}
