import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { dayText, decimalText, instantText } from '../../../sandbox/seeded.ts';

test('instants and days read as Date writes them', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), (date) => {
      expect(instantText(date.getTime())).toBe(date.toISOString());
      expect(dayText(date.getTime())).toBe(date.toISOString().slice(0, -14));
    }),
  );
});

test('decimals keep one digit after the point, and lose only zeros', () => {
  fc.assert(
    fc.property(fc.nat(10_000_000), fc.integer({ min: 0, max: 6 }), (units, scale) => {
      const text = decimalText(units, scale);
      expect(Number(text)).toBeCloseTo(units / 10 ** scale, 8);
      expect(text).toMatch(scale === 0 ? /^\d+$/ : /^\d+\.(?:\d|\d*[1-9])$/);
    }),
  );
});
