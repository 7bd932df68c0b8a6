/** Resolves a parsed query against an object and finds its rows; a result keeps the versions it saw, so it is a snapshot. */
import { ApiError, malformed } from './api-error.ts';
import { NUMBER_TYPES, type FieldSpec } from './fields.ts';
import { boundsOf, type Bounds } from './soql-bounds.ts';
import { predicateOf, resolveField, type Predicate } from './soql-filter.ts';
import type { Condition, Query } from './soql-parser.ts';
import { queryError } from './soql-tokens.ts';
import { indexOfEntry, type Entry, type Reader, type Table } from './table.ts';

export interface BoundQuery {
  readonly query: Query;
  readonly table: Table;
  readonly columns: readonly FieldSpec[];
  readonly includeDeleted: boolean;
  /** Bound once, so that a change of the schema does not reach answers already begun. */
  readonly readers: readonly Reader[];
  readonly schemaVersion: number;
}

const OFFSET_MAX = 2000;
const FIELDS_LIMIT_MAX = 200;

/** Checks names and rules that hold for REST and Bulk alike. */
export function bindQuery(query: Query, table: Table | undefined, includeDeleted: boolean): BoundQuery {
  const { from } = query;
  if (table === undefined || !table.spec.flags.queryable) {
    throw queryError(
      'INVALID_TYPE',
      query.text,
      from.at,
      from.text.length,
      `sObject type '${from.text}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.`,
    );
  }
  if (query.offset !== null && query.offset > OFFSET_MAX) {
    throw new ApiError(400, 'NUMBER_OUTSIDE_VALID_RANGE', `Maximum SOQL offset allowed is ${OFFSET_MAX}`);
  }
  const needed = table.spec.flags.needsFilter;
  if (needed !== null && !hasEquality(query.where, needed)) {
    throw malformed(
      `Implementation restriction: ${table.name} requires a filter by a single Id on ${needed} using the equals operator or multiple Id's using the IN operator.`,
    );
  }
  const columns = columnsOf(query, table);
  for (const ordering of query.orderBy) resolveField(table, query.text, ordering.token);
  const readers = columns.map((spec) => table.reader(spec.name));
  return { query, table, columns, includeDeleted, readers, schemaVersion: table.schemaVersion };
}

function hasEquality(where: Condition | null, name: string): boolean {
  if (where === null || where.kind === 'not') return false;
  if (where.kind !== 'test')
    return where.kind === 'and' && where.parts.some((part) => hasEquality(part, name));
  return (
    where.field.text.toLowerCase() === name.toLowerCase() &&
    (where.operator === '=' || where.operator === 'IN')
  );
}

function columnsOf(query: Query, table: Table): FieldSpec[] {
  const columns: FieldSpec[] = [];
  for (const item of query.selected) {
    if (item.kind === 'field') {
      const spec = resolveField(table, query.text, item.token);
      if (columns.includes(spec)) throw malformed(`duplicate field selected: ${spec.name}`);
      columns.push(spec);
    } else if (item.kind === 'fields') {
      if (item.group !== 'STANDARD' && (query.limit === null || query.limit > FIELDS_LIMIT_MAX)) {
        throw malformed(`The SOQL FIELDS function must have a LIMIT of at most ${FIELDS_LIMIT_MAX}`);
      }
      columns.push(...table.fields().filter((f) => inGroup(f, item.group)));
    } else if (item.kind === 'unsupported') {
      throw malformed(`the sandbox does not answer queries with ${item.what}`);
    } else if (item.kind === 'aggregate') resolveField(table, query.text, item.token);
  }
  return columns;
}

function inGroup(spec: FieldSpec, group: string): boolean {
  return group === 'ALL' || spec.name.endsWith('__c') === (group === 'CUSTOM');
}

/** The matching rows in the query's order, OFFSET and LIMIT applied. */
export function runQuery(bound: BoundQuery, nowMs: number): Entry[] {
  const { query, table } = bound;
  const order = orderOf(query, table);
  const offset = query.offset ?? 0;
  const limit = query.limit ?? Number.POSITIVE_INFINITY;
  const inOrder = order === 'index' || order === 'stamp';
  const wanted = inOrder ? offset + limit : Number.POSITIVE_INFINITY;
  const found: Entry[] = [];
  if (wanted > 0) {
    for (const entry of matches(bound, nowMs, order === 'stamp')) {
      found.push(entry);
      if (found.length >= wanted) break;
    }
  }
  if (typeof order === 'function') found.sort(order);
  return offset === 0 && found.length <= limit ? found : found.slice(offset, offset + limit);
}

export function countQuery(bound: BoundQuery, nowMs: number): number {
  const { query, table } = bound;
  if (query.where === null) return table.liveRows + (bound.includeDeleted ? table.deletedRows : 0);
  return matches(bound, nowMs, false).reduce<number>((count) => count + 1, 0);
}

function orderOf(query: Query, table: Table): 'index' | 'stamp' | ((a: Entry, b: Entry) => number) {
  const [first, second] = query.orderBy;
  if (first === undefined) return 'index';
  const rising = query.orderBy.every((ordering) => !ordering.descending);
  const names = query.orderBy.map((ordering) => resolveField(table, query.text, ordering.token).name);
  if (rising && names[0] === 'Id') return 'index';
  if (rising && names[0] === table.spec.stampField && (second === undefined || names[1] === 'Id'))
    return 'stamp';
  return comparator(query, table);
}

function comparator(query: Query, table: Table): (a: Entry, b: Entry) => number {
  const steps = query.orderBy.map((ordering) => {
    const spec = resolveField(table, query.text, ordering.token);
    const read = table.reader(spec.name);
    const exact = spec.type === 'id' || spec.type === 'reference';
    const key = (value: string): string | number =>
      NUMBER_TYPES.has(spec.type) ? Number(value) : exact ? value : value.toLowerCase();
    return (a: Entry, b: Entry): number => {
      const [left, right] = [read(a), read(b)];
      if (left === null || right === null) {
        if (left === right) return 0;
        return (left === null) === ordering.nullsLast ? 1 : -1;
      }
      const [x, y] = [key(left), key(right)];
      return (x < y ? -1 : x > y ? 1 : 0) * (ordering.descending ? -1 : 1);
    };
  });
  return (a, b) => {
    for (const step of steps) {
      const difference = step(a, b);
      if (difference !== 0) return difference;
    }
    return indexOfEntry(a) - indexOfEntry(b);
  };
}

/** Rows by index, or by (stamp, index) when asked. */
function* matches(bound: BoundQuery, nowMs: number, byStamp: boolean): Generator<Entry> {
  const { query, table, includeDeleted } = bound;
  // The whole tree is checked, for its errors, before a part of it becomes bounds.
  if (query.where !== null) predicateOf(table, query.text, query.where, nowMs);
  const bounds = boundsOf(table, query.text, query.where);
  const tests = bounds.rest.map((part) => predicateOf(table, query.text, part, nowMs));
  for (const entry of candidates(table, bounds, byStamp)) {
    if (isSeen(entry, includeDeleted) && passes(tests, entry)) yield entry;
  }
}

function passes(tests: readonly Predicate[], entry: Entry): boolean {
  for (const test of tests) if (!test(entry)) return false;
  return true;
}

export function isSeen(entry: Entry, includeDeleted: boolean): boolean {
  return typeof entry === 'number' || entry.deletedAt === null || (includeDeleted && !entry.purged);
}

function* candidates(table: Table, bounds: Bounds, byStamp: boolean): Generator<Entry> {
  const indexUntil = Math.min(bounds.indexUntil, table.next);
  if (bounds.indexes !== null) {
    const entries = bounds.indexes.flatMap((index) => table.entry(index) ?? []);
    const kept = entries.filter((entry) => {
      const [index, stamp] = [indexOfEntry(entry), table.stampOf(entry)];
      return (
        index >= bounds.indexFrom &&
        index < indexUntil &&
        stamp >= bounds.stampFrom &&
        stamp < bounds.stampUntil
      );
    });
    yield* byStamp ? kept.toSorted((a, b) => table.stampOf(a) - table.stampOf(b)) : kept;
    return;
  }
  if (!byStamp && !bounds.hasStamp) {
    const { overlay } = table;
    for (let index = bounds.indexFrom; index < indexUntil; index++) {
      // A created row that is not visible yet has a number and no version.
      const entry = overlay.get(index) ?? (index < table.baseRows ? index : undefined);
      if (entry !== undefined) yield entry;
    }
    return;
  }
  yield* windowRows(table, bounds, indexUntil, byStamp);
}

/** Merges the base rows of a stamp window with its changed rows. */
function* windowRows(table: Table, bounds: Bounds, indexUntil: number, byStamp: boolean): Generator<Entry> {
  const { overlay, stamps } = table;
  const first = Math.max(stamps.firstAtOrAfter(bounds.stampFrom), bounds.indexFrom);
  const end = Math.min(stamps.firstAtOrAfter(bounds.stampUntil), indexUntil);
  const changed = [...table.byStamp.range(bounds.stampFrom, bounds.stampUntil)].filter(
    (key) => key.index >= bounds.indexFrom && key.index < indexUntil,
  );
  if (!byStamp) changed.sort((a, b) => a.index - b.index);
  let at = 0;
  for (let index = first; index < end; index++) {
    if (overlay.has(index)) continue;
    for (; at < changed.length; at++) {
      const key = changed[at]!;
      if (byStamp ? key.time > stamps.at(index) : key.index > index) break;
      if (byStamp && key.time === stamps.at(index) && key.index > index) break;
      yield overlay.get(key.index)!;
    }
    yield index;
  }
  for (; at < changed.length; at++) yield overlay.get(changed[at]!.index)!;
}
