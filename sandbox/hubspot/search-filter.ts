/** Filters of a search: what they accept, and the predicate and bounds that they come to. */
import { invalid } from './hub-error.ts';
import type { PropertySpec } from './property.ts';
import type { Entry, Table } from './table.ts';

export interface Filter {
  readonly propertyName: string;
  readonly operator: string;
  readonly value?: string;
  readonly highValue?: string;
  readonly values?: readonly string[];
}

export type Predicate = (entry: Entry) => boolean;

/** A group's filters: the time range that they demand, and what is left to check row by row. */
export interface Group {
  readonly from: number;
  readonly until: number;
  readonly rest: readonly Predicate[];
}

const GROUPS_MAX = 5;
const FILTERS_IN_GROUP_MAX = 6;
const FILTERS_MAX = 18;
const VALUES_MAX = 100;
const OPERATORS = [
  ...['EQ', 'NEQ', 'LT', 'LTE', 'GT', 'GTE', 'BETWEEN', 'IN', 'NOT_IN', 'HAS_PROPERTY', 'NOT_HAS_PROPERTY'],
  ...['CONTAINS_TOKEN', 'NOT_CONTAINS_TOKEN'],
];

export function groupsOf(
  table: Table,
  given: readonly { readonly filters: readonly Filter[] }[],
): readonly Group[] {
  if (given.length > GROUPS_MAX)
    throw invalid(`Too many filter groups: at most ${GROUPS_MAX} are supported.`);
  const all = given.reduce((sum, group) => sum + group.filters.length, 0);
  if (all > FILTERS_MAX) throw invalid(`Too many filters: at most ${FILTERS_MAX} are supported in total.`);
  return given.map(({ filters }) => {
    if (filters.length > FILTERS_IN_GROUP_MAX)
      throw invalid(`Too many filters in a group: at most ${FILTERS_IN_GROUP_MAX} are supported.`);
    return groupOf(table, filters);
  });
}

function groupOf(table: Table, filters: readonly Filter[]): Group {
  let from = Number.NEGATIVE_INFINITY;
  let until = Number.POSITIVE_INFINITY;
  const rest: Predicate[] = [];
  for (const filter of filters) {
    if (!OPERATORS.includes(filter.operator)) {
      throw invalid(
        `Invalid input JSON: Cannot deserialize value of type \`FilterOperatorEnum\` from String "${filter.operator}"`,
      );
    }
    const name = filter.propertyName.toLowerCase();
    const spec = table.property(name);
    if (spec === undefined) {
      // The modified date of another object type is no error: it just never matches.
      if (name !== 'lastmodifieddate' && name !== 'hs_lastmodifieddate')
        throw invalid('There was a problem with the request.', {
          errors: [{ message: `Unable to infer object type from: ${name}`, code: 'INVALID_PROPERTY' }],
        });
      rest.push(() => false);
      continue;
    }
    const range = spec.system === 'modified' ? rangeOf(spec, filter) : undefined;
    if (range === undefined) rest.push(predicateOf(table, spec, filter));
    else {
      from = Math.max(from, range[0]);
      until = Math.min(until, range[1]);
    }
  }
  return { from, until, rest };
}

/** Half-open range of milliseconds, for the operators that come to one. */
function rangeOf(spec: PropertySpec, filter: Filter): readonly [number, number] | undefined {
  const low = Number.NEGATIVE_INFINITY;
  const high = Number.POSITIVE_INFINITY;
  const at = (text: string | undefined): number => comparable(spec, needed(filter, text));
  switch (filter.operator) {
    case 'GT':
      return [at(filter.value) + 1, high];
    case 'GTE':
      return [at(filter.value), high];
    case 'LT':
      return [low, at(filter.value)];
    case 'LTE':
      return [low, at(filter.value) + 1];
    case 'EQ':
      return [at(filter.value), at(filter.value) + 1];
    case 'BETWEEN':
      return [at(filter.value), at(filter.highValue) + 1];
    default:
      return undefined;
  }
}

function needed(filter: Filter, text: string | undefined): string {
  if (text === undefined || text === '')
    throw invalid(`A value is needed for the operator ${filter.operator} on ${filter.propertyName}.`);
  return text;
}

/** Numbers and times as a number; times are given as epoch milliseconds or as ISO 8601. */
export function comparable(spec: PropertySpec, text: string): number {
  const isTime = spec.type === 'datetime' || spec.type === 'date';
  const number = isTime && !/^-?\d+$/.test(text) ? Date.parse(text) : Number(text);
  if (Number.isNaN(number)) throw invalid(`"${text}" is not a value of ${spec.name} (${spec.type}).`);
  return number;
}

const isOrdered = (spec: PropertySpec): boolean =>
  spec.type === 'datetime' || spec.type === 'date' || spec.type === 'number';

function predicateOf(table: Table, spec: PropertySpec, filter: Filter): Predicate {
  const read = table.reader(spec.name);
  const has: Predicate = (entry) => (read(entry) ?? '') !== '';
  switch (filter.operator) {
    case 'HAS_PROPERTY':
      return has;
    case 'NOT_HAS_PROPERTY':
      return (entry) => !has(entry);
    case 'IN':
    case 'NOT_IN':
      return oneOfPredicate(spec, filter, read);
    case 'CONTAINS_TOKEN':
    case 'NOT_CONTAINS_TOKEN': {
      const token = needed(filter, filter.value).toLowerCase().replaceAll('*', '');
      const wanted = filter.operator === 'CONTAINS_TOKEN';
      return (entry) => (read(entry) ?? '').toLowerCase().includes(token) === wanted;
    }
    default:
      return comparison(spec, filter, read);
  }
}

function oneOfPredicate(
  spec: PropertySpec,
  filter: Filter,
  read: (entry: Entry) => string | null,
): Predicate {
  const given = filter.values ?? [];
  if (given.length === 0 || given.length > VALUES_MAX)
    throw invalid(`${filter.operator} on ${filter.propertyName} takes 1 to ${VALUES_MAX} values.`);
  const values = new Set(given.map((value) => keyOf(spec, value)));
  const wanted = filter.operator === 'IN';
  return (entry) => {
    const value = read(entry);
    if (value === null || value === '') return false;
    return values.has(keyOf(spec, value)) === wanted;
  };
}

const keyOf = (spec: PropertySpec, value: string): string =>
  isOrdered(spec) ? String(comparable(spec, value)) : value.toLowerCase();

function comparison(spec: PropertySpec, filter: Filter, read: (entry: Entry) => string | null): Predicate {
  const text = needed(filter, filter.value);
  if (!isOrdered(spec)) {
    if (filter.operator !== 'EQ' && filter.operator !== 'NEQ' && spec.type !== 'string')
      throw invalid(`Operator ${filter.operator} is not supported by ${spec.name}.`);
    const low = text.toLowerCase();
    const high = (filter.highValue ?? text).toLowerCase();
    return withValue(read, (value) => compares(filter.operator, value.toLowerCase(), low, high));
  }
  const low = comparable(spec, text);
  const high = filter.operator === 'BETWEEN' ? comparable(spec, needed(filter, filter.highValue)) : low;
  return withValue(read, (value) => compares(filter.operator, comparable(spec, value), low, high));
}

/** A record without a value matches no comparison, not even NEQ. */
const withValue =
  (read: (entry: Entry) => string | null, matches: (value: string) => boolean): Predicate =>
  (entry) => {
    const value = read(entry);
    return value !== null && value !== '' && matches(value);
  };

function compares<T extends string | number>(operator: string, value: T, low: T, high: T): boolean {
  switch (operator) {
    case 'EQ':
      return value === low;
    case 'NEQ':
      return value !== low;
    case 'LT':
      return value < low;
    case 'LTE':
      return value <= low;
    case 'GT':
      return value > low;
    case 'GTE':
      return value >= low;
    default:
      return value >= low && value <= high;
  }
}
