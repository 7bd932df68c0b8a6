import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { decideRemovals } from '../../../rules/retention.ts';

const now = '2026-11-21T12:00:00.000Z';
const staged = (window: string, day: number, bytes = 10) => ({
  window,
  bytes,
  newest: `2026-11-${String(day).padStart(2, '0')}T00:00:00.000Z`,
});
const none: ReadonlySet<string> = new Set();

test('past the age everything goes but what is being worked on', () => {
  const list = [staged('old', 13), staged('working', 12), staged('young', 15)];
  expect(decideRemovals(list, { applied: none, open: new Set(['working']), now })).toEqual(['old']);
});

test('too large: applied windows first, then the oldest, until it fits', () => {
  const list = [staged('a', 18), staged('b', 19), staged('c', 20), staged('d', 21)];
  const options = { applied: new Set(['b', 'd']), open: none, now };
  expect(decideRemovals(list, { ...options, bytesMax: 40 })).toEqual([]);
  expect(decideRemovals(list, { ...options, bytesMax: 39 })).toEqual(['b']);
  expect(decideRemovals(list, { ...options, bytesMax: 15 })).toEqual(['b', 'd', 'a']);
});

test('what stays fits, or all that stays is being worked on; nothing goes twice', () => {
  const windows = fc.uniqueArray(
    fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 21 }), fc.nat(100), fc.nat(2)),
    {
      selector: ([name]) => name,
      maxLength: 20,
    },
  );
  fc.assert(
    fc.property(windows, fc.nat(600), (list, bytesMax) => {
      const all = list.map(([name, day, bytes]) => staged(`w${name}`, day, bytes));
      const named = (kind: number) =>
        new Set(list.filter((one) => one[3] === kind).map(([name]) => `w${name}`));
      const [applied, open] = [named(1), named(2)];
      const removed = decideRemovals(all, { applied, open, now, bytesMax });
      expect(new Set(removed).size).toBe(removed.length);
      expect(removed.some((one) => open.has(one))).toBe(false);
      const rest = all.filter((one) => !removed.includes(one.window));
      const bytes = rest.reduce((sum, one) => sum + one.bytes, 0);
      expect(bytes <= bytesMax || rest.every((one) => open.has(one.window))).toBe(true);
    }),
  );
});
