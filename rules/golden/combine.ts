import type { FieldRule } from '../../schemas/conflicts.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import { canonicalJson } from './canonical.ts';
import type { CustomRule } from './compile.ts';
import { newestFirst, type Contender } from './contender.ts';
import { addDecimals, formatDecimal, toDecimal } from './decimal.ts';
import { compareText, compareValues } from './values.ts';

export type CombineRule = Extract<FieldRule, { combine: unknown }>;

export interface Combination {
  value: ClaimValue;
  decidedBy: string;
}

/** Entries of a union, where the rule sets no limit. */
const UNION_ENTRIES_MAX = 10_000;

/** One value made of all claims that count. Null when all of them are blank, or of a kind that cannot be combined so. */
export function combine(
  contenders: readonly Contender[],
  rule: CombineRule,
  custom: CustomRule | null,
  asOf: Instant,
): Combination {
  const sorted = contenders.toSorted(newestFirst);
  if (rule.combine === 'custom') {
    const claims = sorted.map(({ ref, value, kind, confidence, changedAt }) => ({
      source: ref.source,
      value,
      kind,
      confidence,
      changedAt,
    }));
    return runCustom(rule.fn, () => custom?.(claims, asOf));
  }
  const values = sorted.filter(({ blank }) => !blank).map(({ value }) => value);
  const decidedBy = `${rule.combine} of ${values.length}`;
  const blanks = sorted.length > values.length;
  return { value: VALUES[rule.combine](values, rule.limit ?? UNION_ENTRIES_MAX, blanks), decidedBy };
}

/** One field's function must not stop the whole profile, and its error may hold personal values (I5): it is seen in `decidedBy`. */
function runCustom(name: string, run: () => ClaimValue | undefined): Combination {
  try {
    return { value: run() ?? null, decidedBy: `custom ${name}` };
  } catch {
    return { value: null, decidedBy: `custom ${name} failed` };
  }
}

type Combine = (values: readonly ClaimValue[], limit: number, blanks: boolean) => ClaimValue;

const VALUES: Record<Exclude<CombineRule['combine'], 'custom'>, Combine> = {
  union,
  sum,
  // Where blanks count, a blank is an unknown: the answer stays open unless a known value settles it.
  any: (values, _, blanks) => settle(values, true, blanks),
  all: (values, _, blanks) => settle(values, false, blanks),
  max: (values) => values.reduce<ClaimValue>((best, next) => pick(best, next, 1), null),
  min: (values) => values.reduce<ClaimValue>((best, next) => pick(best, next, -1), null),
};

function pick(best: ClaimValue, next: ClaimValue, sign: number): ClaimValue {
  return best === null || compareValues(next, best) * sign > 0 ? next : best;
}

/** Each entry once; beyond the limit those of the newest claims stay. Sorted, since a set has no order of its own. */
function union(values: readonly ClaimValue[], limit: number): ClaimValue {
  if (values.length === 0) return null;
  const entries = new Map<string, ClaimValue>();
  for (const value of values) {
    for (const entry of Array.isArray(value) ? value : [value]) {
      if (entries.size >= limit) break;
      const key = canonicalJson(entry);
      if (!entries.has(key)) entries.set(key, entry);
    }
  }
  return [...entries].toSorted(([left], [right]) => compareText(left, right)).map(([, entry]) => entry);
}

/** Exact. A decimal text when one of the claims is one, else a number; what is no quantity adds nothing. */
function sum(values: readonly ClaimValue[]): ClaimValue {
  const decimals = values.flatMap((value) => toDecimal(value) ?? []);
  if (decimals.length === 0) return null;
  const text = formatDecimal(decimals.reduce(addDecimals));
  return values.some((value) => typeof value === 'string' && toDecimal(value)) ? text : Number(text);
}

function settle(values: readonly ClaimValue[], decisive: boolean, blanks: boolean): ClaimValue {
  const known = values.filter((value) => typeof value === 'boolean');
  if (known.includes(decisive)) return decisive;
  return blanks || known.length === 0 ? null : !decisive;
}
