import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { baseStamps } from '../../../sandbox/salesforce/stamps.ts';

const until = Date.UTC(2026, 0, 1);

test('base stamps are whole seconds below the end, do not decrease, and windows find them', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(1000),
      (rows, ties, share) => {
        const stamps = baseStamps({ rows, until, spanMs: 5_000_000, ties });
        const all = Array.from({ length: rows }, (_, n) => stamps.at(n));
        expect(
          all.every((stamp, n) => stamp % 1000 === 0 && stamp < until && stamp >= (all[n - 1] ?? 0)),
        ).toBe(true);
        const at = until - 5_000_000 + share * 5000;
        const wanted = all.findIndex((stamp) => stamp >= at);
        expect(stamps.firstAtOrAfter(at)).toBe(wanted === -1 ? rows : wanted);
        expect(new Set(all.slice(0, ties)).size).toBe(1);
      },
    ),
  );
});
