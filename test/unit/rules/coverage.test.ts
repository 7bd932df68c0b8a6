import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  add,
  coalesce,
  contains,
  gapFreeEnd,
  intersect,
  normalize,
  overlaps,
  subtract,
  union,
} from '../../../rules/coverage.ts';
import { fromMs, ORIGIN } from '../../../rules/time.ts';
import type { Interval } from '../../../schemas/window.ts';

/** A small line of moments, so that intervals often touch, nest and repeat; moment 0 is ORIGIN. */
const MOMENTS = 24;
const at = (moment: number) => (moment === 0 ? ORIGIN : fromMs(moment * 3_600_000));
const intervals = fc
  .tuple(fc.nat(MOMENTS - 1), fc.integer({ min: 1, max: 6 }))
  .map(([from, length]): Interval => ({ from: at(from), until: at(from + length) }));
const lists = fc.array(intervals, { maxLength: 8 });
const sets = lists.map(normalize);

/** The oracle: the cells of the line, one by one. */
const cells = (list: readonly Interval[]) =>
  Array.from({ length: MOMENTS + 8 }, (_, moment) =>
    list.some((one) => one.from <= at(moment) && at(moment) < one.until),
  );

function expectNormal(list: readonly Interval[]): void {
  for (const [index, one] of list.entries()) {
    expect(one.from < one.until).toBe(true);
    const before = list[index - 1];
    if (before !== undefined) expect(before.until < one.from).toBe(true);
  }
}

test('normalize keeps every moment, sorted, disjoint and not touching', () => {
  fc.assert(
    fc.property(lists, (list) => {
      const normal = normalize(list);
      expectNormal(normal);
      expect(cells(normal)).toEqual(cells(list));
      expect(normalize(normal)).toEqual(normal);
    }),
  );
  expect(
    normalize([
      { from: at(3), until: at(3) },
      { from: at(5), until: at(4) },
    ]),
  ).toEqual([]);
});

test('add is commutative, associative and idempotent', () => {
  fc.assert(
    fc.property(sets, intervals, intervals, (set, one, other) => {
      expect(add(add(set, one), other)).toEqual(add(add(set, other), one));
      expect(add(set, one)).toEqual(union(set, add([], one)));
      expect(add(add(set, one), one)).toEqual(add(set, one));
      expect(contains(add(set, one), one)).toBe(true);
    }),
  );
});

test('missing and covered together are what was asked, and share nothing', () => {
  fc.assert(
    fc.property(sets, sets, (asked, coverage) => {
      const missing = subtract(asked, coverage);
      const covered = intersect(asked, coverage);
      expectNormal(missing);
      expectNormal(covered);
      expect(union(missing, covered)).toEqual(asked);
      expect(intersect(missing, coverage)).toEqual([]);
      const [a, c] = [cells(asked), cells(coverage)];
      expect(cells(missing)).toEqual(a.map((asks, moment) => asks && c[moment] !== true));
      expect(cells(covered)).toEqual(a.map((asks, moment) => asks && c[moment] === true));
    }),
  );
});

test('intersect is commutative; contains and overlaps agree with it', () => {
  fc.assert(
    fc.property(sets, sets, intervals, intervals, (first, second, one, other) => {
      expect(intersect(first, second)).toEqual(intersect(second, first));
      expect(contains(first, one)).toBe(subtract([one], first).length === 0);
      expect(overlaps(one, other)).toBe(intersect([one], [other]).length > 0);
    }),
  );
});

test('the gap-free end starts at the beginning of time and never moves back by adding', () => {
  expect(gapFreeEnd([])).toBeNull();
  expect(gapFreeEnd([{ from: at(1), until: at(2) }])).toBeNull();
  expect(
    gapFreeEnd([
      { from: at(0), until: at(2) },
      { from: at(3), until: at(4) },
    ]),
  ).toBe(at(2));
  fc.assert(
    fc.property(sets, intervals, (set, one) => {
      expect((gapFreeEnd(add(set, one)) ?? '') >= (gapFreeEnd(set) ?? '')).toBe(true);
    }),
  );
});

test('coalesce joins touching neighbours up to the size and loses no row', () => {
  const sized = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat(50)), { maxLength: 12 })
    .map((steps) => {
      let start = 0;
      return steps.map(([gap, rows]) => {
        const from = start + (gap === 0 ? 0 : gap);
        start = from + 1;
        return { from: at(from + 1), until: at(start + 1), rows };
      });
    });
  fc.assert(
    fc.property(sized, fc.integer({ min: 1, max: 100 }), (list, rowsMax) => {
      const joined = coalesce(list, rowsMax);
      const sum = (all: readonly { rows: number }[]) => all.reduce((total, one) => total + one.rows, 0);
      expect(sum(joined)).toBe(sum(list));
      expect(normalize(joined)).toEqual(normalize(list));
      for (const one of joined) {
        const single = list.some((other) => other.from === one.from && other.until === one.until);
        expect(single || one.rows <= rowsMax).toBe(true);
      }
      for (const [index, one] of joined.entries()) {
        const next = joined[index + 1];
        if (next === undefined || next.from !== one.until) continue;
        const head = list.find((other) => other.from === next.from);
        expect(one.rows + (head?.rows ?? 0)).toBeGreaterThan(rowsMax);
      }
    }),
  );
});
