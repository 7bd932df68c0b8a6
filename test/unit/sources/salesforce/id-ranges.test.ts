import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { idBoundaries, stampBoundaries } from '../../../../sources/salesforce/id-ranges.ts';

const id = fc.stringMatching(/^003[0-9A-Za-z]{12}$/);

test('boundaries are ascending by ASCII, inside the range, and of the form of an id', () => {
  fc.assert(
    fc.property(id, id, fc.integer({ min: 1, max: 50 }), (a, b, parts) => {
      const [least, greatest] = a < b ? [a, b] : [b, a];
      const boundaries = idBoundaries(least, greatest, parts);
      expect(boundaries.length).toBeLessThanOrEqual(parts - 1);
      let before = least;
      for (const boundary of boundaries) {
        expect(boundary).toMatch(/^003[0-9A-Za-z]{12}$/);
        expect(boundary > before && boundary <= greatest).toBe(true);
        before = boundary;
      }
    }),
  );
});

test('a wide range is cut into as many parts as asked, of about one size', () => {
  expect(idBoundaries('003000000000000AAA', '00300000000001eAAA', 4)).toEqual([
    '00300000000000P',
    '00300000000000p',
    '00300000000001E',
  ]);
});

test('ids of different prefixes are not cut', () => {
  expect(idBoundaries('003000000000000', '001zzzzzzzzzzzz', 5)).toEqual([]);
  expect(idBoundaries('003000000000005', '003000000000005', 5)).toEqual([]);
});

test('stamps are cut into ascending instants', () => {
  expect(stampBoundaries('2026-11-21T08:00:00.000Z', '2026-11-21T09:00:00.000Z', 4)).toEqual([
    '2026-11-21T08:15:00.000Z',
    '2026-11-21T08:30:00.000Z',
    '2026-11-21T08:45:00.000Z',
  ]);
  expect(stampBoundaries('2026-11-21T08:00:00.000Z', '2026-11-21T08:00:00.002Z', 5)).toEqual([
    '2026-11-21T08:00:00.001Z',
  ]);
});
