import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { nearest } from '../../../config/nearest.ts';
import { formatDuration, parseDurationMs, parseSizeBytes } from '../../../config/quantities.ts';
import { selectObjects } from '../../../config/selection.ts';

describe('durations and sizes', () => {
  test.each([
    ['1h', 3_600_000],
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['7d', 604_800_000],
    ['1w', 604_800_000],
    ['9999999999999d', undefined],
    ['1H', undefined],
    ['0s', 0],
    ['', undefined],
    ['1', undefined],
    ['1x', undefined],
    ['-1h', undefined],
    ['1 h', undefined],
    ['1.5h', undefined],
  ])('%j', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  test('what is formatted is read back', () => {
    fc.assert(fc.property(fc.nat({ max: 1e12 }), (ms) => parseDurationMs(formatDuration(ms)) === ms));
  });

  test.each([
    ['10GB', 10e9],
    ['512MiB', 512 * 2 ** 20],
    ['1.5 kB', 1_500],
    ['10', undefined],
    ['10 G', undefined],
  ])('%j', (text, bytes) => expect(parseSizeBytes(text)).toBe(bytes));
});

describe('the nearest word', () => {
  test.each([
    ['shedule', 'schedule'],
    ['SCHEDULE', 'schedule'],
    ['objetcs', 'objects'],
    ['xyz', undefined],
    ['', undefined],
  ])('%j → %j', (text, word) => expect(nearest(text, ['schedule', 'objects', 'limits'])).toBe(word));

  test('a word is nearest to itself', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1 }), (words) => {
        const [first = ''] = words;
        expect(nearest(first, words)?.toLowerCase()).toBe(first.toLowerCase());
      }),
    );
  });
});

test('what is synced, and why the rest is not', () => {
  const listings = [
    { object: 'Account', syncable: true },
    { object: 'Case', syncable: true },
    { object: 'ContactShare', syncable: false, reason: 'a sharing table' },
    { object: 'Lead', syncable: true },
  ];
  expect(selectObjects({ objects: 'all', exclude: ['Case'] }, listings)).toEqual({
    objects: ['Account', 'Lead'],
    leftOut: [
      { object: 'Case', reason: 'excluded by the configuration' },
      { object: 'ContactShare', reason: 'a sharing table' },
    ],
    unknown: [],
  });
  expect(selectObjects({ objects: ['Lead', 'Acount'], exclude: [] }, listings)).toMatchObject({
    objects: ['Lead'],
    unknown: [{ object: 'Acount', nearest: 'Account' }],
  });
});
