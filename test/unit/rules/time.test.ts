import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { addMs, earliest, fromMs, gridFloor, latest, ORIGIN, toMs } from '../../../rules/time.ts';
import { instantSchema, ORIGIN as SCHEMA_ORIGIN } from '../../../schemas/instant.ts';

const HOUR = 3_600_000;
const instants = fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });

test('ORIGIN is the value of the schemas', () => {
  expect(ORIGIN).toBe(SCHEMA_ORIGIN);
});

describe('instants', () => {
  test.each([
    '2026-11-21',
    '2026-11-21T08:00:00Z',
    '2026-13-21T08:00:00.000Z',
    '2026-11-21T08:00:00.000+01:00',
    '',
  ])('refuses "%s"', (text) => {
    expect(() => toMs(text)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });

  test('adding keeps ORIGIN, and nothing comes before it', () => {
    expect(addMs(ORIGIN, HOUR)).toBe(ORIGIN);
    expect(addMs('0001-01-01T00:00:01.000Z', -HOUR)).toBe(ORIGIN);
    expect(addMs('2026-01-01T00:00:00.000Z', -1)).toBe('2025-12-31T23:59:59.999Z');
    expect(() => fromMs(Number.NaN)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });

  test('texts and milliseconds are the same order and lose nothing', () => {
    fc.assert(
      fc.property(instants, instants, (a, b) => {
        const [first, second] = [fromMs(a.getTime()), fromMs(b.getTime())];
        expect(instantSchema.parse(first)).toBe(first);
        expect(toMs(first)).toBe(a.getTime());
        expect(first < second).toBe(a.getTime() < b.getTime());
        expect(toMs(earliest(first, second))).toBe(Math.min(a.getTime(), b.getTime()));
        expect(toMs(latest(first, second))).toBe(Math.max(a.getTime(), b.getTime()));
      }),
    );
  });
});

describe('grid', () => {
  test('hours and days are the clock’s', () => {
    expect(gridFloor('2026-11-21T08:59:59.999Z', HOUR)).toBe('2026-11-21T08:00:00.000Z');
    expect(gridFloor('2026-11-21T09:00:00.000Z', HOUR)).toBe('2026-11-21T09:00:00.000Z');
    expect(gridFloor('2026-11-21T09:00:00.000Z', 24 * HOUR)).toBe('2026-11-21T00:00:00.000Z');
    expect(gridFloor(ORIGIN, HOUR)).toBe(ORIGIN);
    expect(() => gridFloor('2026-11-21T09:00:00.000Z', 0)).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
  });

  test('the floor is the nearest multiple before', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 1, max: 30 * 24 * HOUR }), (date, everyMs) => {
        const at = fromMs(date.getTime());
        const floor = gridFloor(at, everyMs);
        expect(floor <= at).toBe(true);
        expect(toMs(floor) % everyMs).toBe(0);
        expect(toMs(at) - toMs(floor)).toBeLessThan(everyMs);
        expect(gridFloor(floor, everyMs)).toBe(floor);
      }),
    );
  });
});
