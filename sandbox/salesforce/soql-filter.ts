/** Turns a WHERE tree into a predicate over rows, with Salesforce's rules of type, case and null. */
import type { ApiError } from './api-error.ts';
import { NUMBER_TYPES, type FieldSpec } from './fields.ts';
import { instantText } from '../seeded.ts';
import type { Condition, Operator } from './soql-parser.ts';
import { likePattern, queryError, unescapeText, type Token } from './soql-tokens.ts';
import type { Entry, Table } from './table.ts';

export type Predicate = (entry: Entry) => boolean;

const DAY_MS = 86_400_000;
const FILTERABLE_TEXT_MAX = 255;

/** Milliseconds of a datetime literal; a blank offset sign is a '+' that a URL lost. */
export function datetimeMs(token: Token): number {
  return Date.parse(token.text.replace(/ (\d{2}:?\d{2})$/, '+$1').replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
}

export function resolveField(table: Table, query: string, token: Token): FieldSpec {
  const own = token.text.toLowerCase().startsWith(`${table.name.toLowerCase()}.`)
    ? token.text.slice(table.name.length + 1)
    : token.text;
  const spec = table.fieldNamed(own);
  if (spec !== undefined) return spec;
  if (own.includes('.')) {
    const relation = own.slice(0, own.indexOf('.'));
    throw queryError(
      'INVALID_FIELD',
      query,
      token.at,
      token.text.length,
      `Didn't understand relationship '${relation}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name.`,
    );
  }
  throw queryError(
    'INVALID_FIELD',
    query,
    token.at,
    token.text.length,
    `No such column '${own}' on entity '${table.name}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.`,
  );
}

export function predicateOf(table: Table, query: string, where: Condition, nowMs: number): Predicate {
  if (where.kind === 'not') {
    const inner = predicateOf(table, query, where.part, nowMs);
    return (entry) => !inner(entry);
  }
  if (where.kind !== 'test') {
    const parts = where.parts.map((part) => predicateOf(table, query, part, nowMs));
    return where.kind === 'and'
      ? (entry) => parts.every((part) => part(entry))
      : (entry) => parts.some((part) => part(entry));
  }
  const spec = resolveField(table, query, where.field);
  refuseUnfilterable(query, where.field, spec);
  const read = table.reader(spec.name);
  const tests = where.values.map((value) =>
    valueTest(query, spec, baseOperator(where.operator), value, nowMs),
  );
  const negated = where.operator === 'NOT IN' || where.operator === 'EXCLUDES';
  if (tests.length === 1 && !negated) {
    const test = tests[0]!;
    return (entry) => test(read(entry));
  }
  return (entry) => {
    const value = read(entry);
    return tests.some((test) => test(value)) !== negated;
  };
}

function baseOperator(operator: Operator): Operator {
  if (operator === 'IN' || operator === 'NOT IN') return '=';
  return operator === 'EXCLUDES' ? 'INCLUDES' : operator;
}

function refuseUnfilterable(query: string, token: Token, spec: FieldSpec): void {
  const long = spec.type === 'textarea' && spec.length > FILTERABLE_TEXT_MAX;
  if (!long && spec.type !== 'address' && spec.type !== 'base64') return;
  const reason = `field '${spec.name}' can not be filtered in a query call`;
  throw queryError('INVALID_FIELD', query, token.at, token.text.length, reason);
}

function wrongType(query: string, spec: FieldSpec, token: Token): ApiError {
  const quoted = token.kind === 'string';
  const name = spec.type === 'datetime' ? 'dateTime' : spec.type;
  const rule = quoted ? ' and should not be enclosed in quotes' : ' and should be enclosed in quotes';
  const reason = `value of filter criterion for field '${spec.name}' must be of type ${name}${rule}`;
  return queryError('INVALID_FIELD', query, token.at, token.text.length, reason);
}

type ValueTest = (value: string | null) => boolean;

function valueTest(
  query: string,
  spec: FieldSpec,
  operator: Operator,
  token: Token,
  nowMs: number,
): ValueTest {
  if (token.kind === 'word' && token.text.toUpperCase() === 'NULL') {
    if (operator === '=') return (value) => value === null;
    if (operator === '!=') return (value) => value !== null;
    throw queryError(
      'INVALID_FIELD',
      query,
      token.at,
      4,
      `filter operator '${operator}' does not accept null`,
    );
  }
  if (spec.type === 'datetime' || spec.type === 'date') return timeTest(query, spec, operator, token, nowMs);
  if (NUMBER_TYPES.has(spec.type)) {
    if (token.kind !== 'number') throw wrongType(query, spec, token);
    const wanted = Number(token.text);
    return ordered(operator, (value) => Number(value) - wanted);
  }
  if (spec.type === 'boolean') {
    const word = token.text.toLowerCase();
    if (token.kind !== 'word' || (word !== 'true' && word !== 'false')) throw wrongType(query, spec, token);
    return ordered(operator, (value) => (value === word ? 0 : 1));
  }
  if (token.kind !== 'string') throw wrongType(query, spec, token);
  return textTest(query, spec, operator, token);
}

function textTest(query: string, spec: FieldSpec, operator: Operator, token: Token): ValueTest {
  if (operator === 'LIKE') {
    const pattern = likePattern(token);
    return (value) => value !== null && pattern.test(value);
  }
  const wanted = unescapeText(query, token);
  if (operator === 'INCLUDES') {
    const all = wanted.split(';');
    return (value) => value !== null && all.every((one) => value.split(';').includes(one));
  }
  if (spec.type === 'id' || spec.type === 'reference') {
    const id15 = wanted.slice(0, 15);
    return ordered(operator, (value) => compareText(value.slice(0, 15), id15));
  }
  const folded = wanted.toLowerCase();
  return ordered(operator, (value) => compareText(value.toLowerCase(), folded));
}

function timeTest(
  query: string,
  spec: FieldSpec,
  operator: Operator,
  token: Token,
  nowMs: number,
): ValueTest {
  if (token.kind === 'word') {
    const range = dateLiteral(token.text, nowMs);
    if (range === undefined) throw wrongType(query, spec, token);
    return rangeTest(operator, spec.type === 'date' ? 10 : 24, range);
  }
  if (token.kind !== spec.type || Number.isNaN(datetimeMs(token))) throw wrongType(query, spec, token);
  if (spec.type === 'date') return ordered(operator, (value) => compareText(value, token.text));
  // Canonical texts of instants order as the instants do.
  const wanted = instantText(datetimeMs(token));
  return ordered(operator, (value) => compareText(value, wanted));
}

function dateLiteral(word: string, nowMs: number): readonly [number, number] | undefined {
  const today = Math.floor(nowMs / DAY_MS) * DAY_MS;
  const [name, count] = word.toUpperCase().split(':');
  const days = Number(count ?? 0);
  if (name === 'TODAY') return [today, today + DAY_MS];
  if (name === 'YESTERDAY') return [today - DAY_MS, today];
  if (name === 'TOMORROW') return [today + DAY_MS, today + 2 * DAY_MS];
  if (name === 'LAST_N_DAYS' && count !== undefined) return [today - days * DAY_MS, today + DAY_MS];
  return undefined;
}

function rangeTest(operator: Operator, length: 10 | 24, range: readonly [number, number]): ValueTest {
  const from = instantText(range[0]).slice(0, length);
  const until = instantText(range[1]).slice(0, length);
  return ordered(operator, (value) => (value < from ? -1 : value < until ? 0 : 1));
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Nulls satisfy != and nothing else. */
function ordered(operator: Operator, compare: (value: string) => number): ValueTest {
  switch (operator) {
    case '=':
      return (value) => value !== null && compare(value) === 0;
    case '!=':
      return (value) => value === null || compare(value) !== 0;
    case '<':
      return (value) => value !== null && compare(value) < 0;
    case '<=':
      return (value) => value !== null && compare(value) <= 0;
    case '>':
      return (value) => value !== null && compare(value) > 0;
    case '>=':
      return (value) => value !== null && compare(value) >= 0;
    default:
      return () => false;
  }
}
