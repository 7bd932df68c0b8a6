import type { ClaimValue, RecordRef } from '../../schemas/observation.ts';
import { canonicalJson } from './canonical.ts';
import { compareDecimals, decimalKey, toDecimal } from './decimal.ts';

/** Two sources write one value differently (10.50 and 10.5, a date and its midnight), so values are compared by their kind. */
const MOMENT = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d+))?Z)?$/;

export function isBlank(value: ClaimValue): boolean {
  return value === null || value === '';
}

/** Equal as quantities, as moments, else to the letter. */
export function sameValue(left: ClaimValue, right: ClaimValue): boolean {
  if (left === right) return true;
  if (isWord(left) || isWord(right)) return false;
  return valueKey(left) === valueKey(right);
}

/** Begins with no digit, so it is neither quantity nor moment and equals itself only: most texts, and quick to see. */
function isWord(value: ClaimValue): boolean {
  if (typeof value !== 'string') return false;
  const first = value.charCodeAt(0);
  return !(first >= 48 && first <= 57) && first !== 45;
}

/** One text for all values that are the same by their kind. */
export function valueKey(value: ClaimValue): string {
  if (typeof value === 'number' || typeof value === 'string') {
    const decimal = toDecimal(value);
    if (decimal) return `n${decimalKey(decimal)}`;
    const moment = momentKey(value);
    if (moment !== undefined) return `t${moment}`;
  }
  return canonicalJson(value);
}

/** A total order up to `sameValue`: blanks, booleans, quantities, moments, texts, lists, objects; each by its own kind. */
export function compareValues(left: ClaimValue, right: ClaimValue): number {
  if (left === right) return 0;
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  const rank = rankOf(left) - rankOf(right);
  if (rank !== 0) return rank;
  const a = toDecimal(left);
  const b = toDecimal(right);
  if (a && b) return compareDecimals(a, b);
  if (Array.isArray(left) && Array.isArray(right) && left.length !== right.length) {
    return left.length - right.length;
  }
  return compareText(orderKey(left), orderKey(right));
}

/** Characters of a text, entries of a list, digits of a number; for an object the sum of its parts. A blank has none. */
export function lengthOf(value: ClaimValue): number {
  if (value === null) return 0;
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  if (typeof value === 'object') {
    return Object.values(value).reduce<number>((sum, part) => sum + lengthOf(part), 0);
  }
  return String(value).length;
}

/** By code unit, never by a locale: the same on every machine. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

export function compareRefs(left: RecordRef, right: RecordRef): number {
  return (
    compareText(left.source, right.source) ||
    compareText(left.object, right.object) ||
    compareText(left.record, right.record)
  );
}

function rankOf(value: ClaimValue): number {
  if (isBlank(value)) return 0;
  if (typeof value === 'boolean') return 1;
  if (toDecimal(value)) return 2;
  if (typeof value === 'string') return momentKey(value) === undefined ? 4 : 3;
  return Array.isArray(value) ? 5 : 6;
}

function orderKey(value: ClaimValue): string {
  return typeof value === 'string' ? (momentKey(value) ?? value) : canonicalJson(value);
}

/** Comparable as text, whatever the number of decimals. */
function momentKey(value: ClaimValue): string | undefined {
  const [, day, time = '00:00:00', fraction = ''] =
    typeof value === 'string' ? (MOMENT.exec(value) ?? []) : [];
  return day === undefined ? undefined : `${day}T${time}.${fraction.replace(/0+$/, '')}`;
}
