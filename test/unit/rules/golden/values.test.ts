import { describe, expect, test } from '@jest/globals';
import { compareValues, sameValue } from '../../../../rules/golden/values.ts';
import type { ClaimValue } from '../../../../schemas/observation.ts';

describe('values of their kind', () => {
  test.each<[ClaimValue, ClaimValue]>([
    [9, '10'],
    ['-2', '1.5'],
    ['2026-01-01', '2026-01-01T00:00:00.001Z'],
    ['2026-01-01T00:00:00.45Z', '2026-01-01T00:00:00.5Z'],
    [false, true],
    [null, false],
    [1e21, 2e21],
    [5e-324, 1],
    [['x'], ['a', 'b']],
    ['10', '007'],
  ])('%j is less than %j', (less, more) => {
    expect(Math.sign(compareValues(less, more))).toBe(-1);
    expect(Math.sign(compareValues(more, less))).toBe(1);
    expect(sameValue(less, more)).toBe(false);
  });

  test.each<[ClaimValue, ClaimValue, boolean]>([
    ['10.50', 10.5, true],
    ['-0.0', 0, true],
    ['100', 1e2, true],
    ['007', 7, false],
    ['2026-01-01', '2026-01-01T00:00:00.000Z', true],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    ['', null, false],
    ['true', true, false],
  ])('%j and %j are the same: %j', (left, right, same) => expect(sameValue(left, right)).toBe(same));
});
