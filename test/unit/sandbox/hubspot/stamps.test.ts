import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { baseStamps } from '../../../../sandbox/hubspot/stamps.ts';

const plans = fc.record({
  rows: fc.integer({ min: 0, max: 500 }),
  until: fc.constant(1_700_000_000_123),
  spanMs: fc.integer({ min: 1, max: 1_000_000 }),
  ties: fc.integer({ min: 1, max: 7 }),
});

test('places visit each row once, with stamps that do not decrease and that the row knows itself', () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const stamps = baseStamps(plan);
      const rows = Array.from({ length: plan.rows }, (_, place) => stamps.rowAt(place));
      expect(new Set(rows).size).toBe(plan.rows);
      const times = rows.map(stamps.at);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      for (const time of times) expect(time).toBeLessThan(plan.until);
      for (const row of rows) expect(stamps.created(row)).toBeLessThanOrEqual(stamps.at(row));
    }),
  );
});

test('the first place at or after a time is where a scan finds it', () => {
  fc.assert(
    fc.property(plans, fc.integer({ min: -10, max: 1_000_010 }), (plan, back) => {
      const stamps = baseStamps(plan);
      const ms = plan.until - back;
      const times = Array.from({ length: plan.rows }, (_, place) => stamps.at(stamps.rowAt(place)));
      const found = times.findIndex((time) => time >= ms);
      expect(stamps.firstAtOrAfter(ms)).toBe(found === -1 ? plan.rows : found);
    }),
  );
});

test('the order in time is not the order of the ids', () => {
  const stamps = baseStamps({ rows: 1000, until: 1e12, spanMs: 1e9, ties: 1 });
  const rows = Array.from({ length: 1000 }, (_, place) => stamps.rowAt(place));
  expect(rows.filter((row, place) => place > 0 && row > rows[place - 1]!).length).toBeLessThan(900);
});
