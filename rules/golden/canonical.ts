import type { ClaimValue } from '../../schemas/observation.ts';

/** The same text for the same value whatever the order of its keys: what is hashed, compared and stored of a value. */
export function canonicalJson(value: ClaimValue): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const parts = Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`);
  return `{${parts.join(',')}}`;
}

/** Equal to the letter, as two versions of one record are compared: one mapping made both. */
export function identical(left: ClaimValue, right: ClaimValue): boolean {
  if (left === right) return true;
  if (left === null || right === null || typeof left !== 'object' || typeof right !== 'object') return false;
  return canonicalJson(left) === canonicalJson(right);
}
