/** Finds what a WHERE says about stamp and Id, so that windows and keysets are ranges and not scans. */
import { indexOfId } from './ids.ts';
import { datetimeMs, resolveField } from './soql-filter.ts';
import type { Condition } from './soql-parser.ts';
import { unescapeText } from './soql-tokens.ts';
import type { Table } from './table.ts';

export interface Bounds {
  /** Stamps with from <= stamp < until, epoch milliseconds. */
  stampFrom: number;
  stampUntil: number;
  hasStamp: boolean;
  indexFrom: number;
  indexUntil: number;
  /** Exactly these rows, in index order. */
  indexes: number[] | null;
  /** What the bounds do not express. */
  rest: Condition[];
}

type Test = Extract<Condition, { kind: 'test' }>;

export function boundsOf(table: Table, query: string, where: Condition | null): Bounds {
  const bounds: Bounds = {
    stampFrom: Number.NEGATIVE_INFINITY,
    stampUntil: Number.POSITIVE_INFINITY,
    hasStamp: false,
    indexFrom: 0,
    indexUntil: Number.POSITIVE_INFINITY,
    indexes: null,
    rest: [],
  };
  for (const part of conjuncts(where)) {
    if (part.kind !== 'test' || !narrow(table, query, part, bounds)) bounds.rest.push(part);
  }
  return bounds;
}

function conjuncts(where: Condition | null): readonly Condition[] {
  if (where === null) return [];
  return where.kind === 'and' ? where.parts.flatMap((part) => conjuncts(part)) : [where];
}

/** True when the bounds now say all that the test says. */
function narrow(table: Table, query: string, test: Test, bounds: Bounds): boolean {
  const { name } = resolveField(table, query, test.field);
  if (name === 'Id') return narrowIndex(table, query, test, bounds);
  const isStamp = name === table.spec.stampField;
  // A row's stamp is never before its last modification nor its creation, so those bound it from below.
  const isEarlier = name === 'LastModifiedDate' || name === 'CreatedDate';
  if (!isStamp && !(isEarlier && table.spec.stampField === 'SystemModstamp')) return false;
  const value = test.values[0]!;
  if (test.values.length !== 1 || value.kind !== 'datetime') return false;
  const ms = datetimeMs(value);
  const { operator } = test;
  if (!isStamp && operator !== '>' && operator !== '>=') return false;
  if (operator === '>' || operator === '>=') {
    bounds.stampFrom = Math.max(bounds.stampFrom, operator === '>' ? ms + 1 : ms);
  } else if (operator === '<' || operator === '<=') {
    bounds.stampUntil = Math.min(bounds.stampUntil, operator === '<' ? ms : ms + 1);
  } else if (operator === '=') {
    bounds.stampFrom = Math.max(bounds.stampFrom, ms);
    bounds.stampUntil = Math.min(bounds.stampUntil, ms + 1);
  } else return false;
  bounds.hasStamp = true;
  return isStamp;
}

function narrowIndex(table: Table, query: string, test: Test, bounds: Bounds): boolean {
  const { operator } = test;
  if (test.values.some((value) => value.kind !== 'string')) return false;
  const found = test.values.map((value) => indexOfId(table.spec.prefix, unescapeText(query, value)));
  if (operator === 'IN' || operator === '=') {
    const wanted = new Set(found.filter((index) => index !== undefined));
    const kept = bounds.indexes === null ? [...wanted] : bounds.indexes.filter((index) => wanted.has(index));
    bounds.indexes = kept.toSorted((a, b) => a - b);
    return true;
  }
  const index = found[0];
  if (index === undefined || found.length !== 1) return false;
  if (operator === '>') bounds.indexFrom = Math.max(bounds.indexFrom, index + 1);
  else if (operator === '>=') bounds.indexFrom = Math.max(bounds.indexFrom, index);
  else if (operator === '<') bounds.indexUntil = Math.min(bounds.indexUntil, index);
  else if (operator === '<=') bounds.indexUntil = Math.min(bounds.indexUntil, index + 1);
  else return false;
  return true;
}
