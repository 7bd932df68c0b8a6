import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { SortedIndex, type TimeKey } from '../../../sandbox/sorted-index.ts';

const ordered = (keys: TimeKey[]): TimeKey[] => keys.toSorted((a, b) => a.time - b.time || a.index - b.index);

test('it equals a sorted list under any inserts and removals', () => {
  const key = fc.record({ time: fc.integer({ min: 0, max: 50 }), index: fc.nat(10_000) });
  fc.assert(
    fc.property(
      fc.array(key, { maxLength: 400 }),
      fc.array(fc.nat(400)),
      fc.nat(50),
      (keys, removed, from) => {
        const index = new SortedIndex<TimeKey>();
        const model = new Map(keys.map((one) => [`${one.time}/${one.index}`, one]));
        for (const one of model.values()) index.insert(one);
        for (const at of removed) {
          const one = keys[at];
          if (one === undefined) continue;
          expect(index.remove(one)).toBe(model.delete(`${one.time}/${one.index}`));
        }
        const wanted = ordered([...model.values()].filter((one) => one.time >= from && one.time < from + 20));
        expect([...index.range(from, from + 20)]).toEqual(wanted);
      },
    ),
  );
});

test('it stays ordered over many chunks', () => {
  const index = new SortedIndex<TimeKey>();
  for (let n = 0; n < 20_000; n++) index.insert({ time: (n * 7919) % 5000, index: n });
  for (let n = 0; n < 20_000; n += 3) expect(index.remove({ time: (n * 7919) % 5000, index: n })).toBe(true);
  const all = [...index.range(0, 5000)];
  expect(all).toHaveLength(20_000 - Math.ceil(20_000 / 3));
  expect(all).toEqual(ordered(all));
});
