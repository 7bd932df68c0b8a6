import { describe, expect, test } from '@jest/globals';
import { cellState, gridIntervals, type GridWindow } from '../../../cli/grid.ts';
import { ORIGIN } from '../../../schemas/instant.ts';
import type { Receipt, Verdict } from '../../../schemas/receipt.ts';
import { NO_ROWS } from '../../../rules/receipts.ts';

const at = (time: string) => `2026-11-21T${time}:00.000Z`;

function receipt(verdict: Verdict): Receipt {
  const source = { before: 0, after: 0, moved: 0, late: 0, unexplained: 0 };
  return {
    window: 'w',
    connection: 'c',
    object: 'o',
    from: ORIGIN,
    until: at('09:00'),
    transport: NO_ROWS,
    source,
    destination: null,
    verdict,
    at: at('09:00'),
  };
}

function window(from: string, until: string, verdict: Verdict | null): GridWindow {
  return {
    object: 'o',
    from,
    until,
    state: verdict === null ? 'open' : 'staged',
    receipt: verdict === null ? null : receipt(verdict),
  };
}

const NINE = { from: at('09:00'), until: at('10:00') };
const NOON = at('12:00');

test('what coverage alone still knows is covered, not missing', () => {
  const whole = [{ from: ORIGIN, until: at('11:00') }];
  expect(cellState(NINE, [], NOON, whole)).toBe('covered');
  expect(cellState(NINE, [window(at('09:30'), at('10:00'), 'moved')], NOON, whole)).toBe('covered');
  expect(cellState(NINE, [window(at('08:00'), at('10:00'), 'moved')], NOON, whole)).toBe('moved');
  expect(cellState(NINE, [], NOON, [{ from: ORIGIN, until: at('09:30') }])).toBe('missing');
});

describe('one cell', () => {
  test.each<[string, GridWindow[], string]>([
    ['nothing covers it', [], 'missing'],
    ['one window covers it', [window(at('08:00'), at('10:00'), 'proven')], 'proven'],
    ['the first load covers it', [window(ORIGIN, at('11:00'), 'moved')], 'moved'],
    ['half of it is covered', [window(at('09:00'), at('09:30'), 'proven')], 'missing'],
    [
      'two windows cover it, the worse counts',
      [window(at('09:30'), at('10:00'), 'moved'), window(at('09:00'), at('09:30'), 'proven')],
      'moved',
    ],
    [
      'it was read again, the newest counts',
      [window(at('09:00'), at('10:00'), 'proven'), window(at('09:00'), at('10:00'), 'accepted')],
      'proven',
    ],
    ['a window is open', [window(at('09:00'), at('10:00'), null)], 'open'],
    [
      'only windows beside it',
      [window(at('08:00'), at('09:00'), 'proven'), window(at('10:00'), at('11:00'), 'proven')],
      'missing',
    ],
    [
      'an abandoned window',
      [{ ...window(at('09:00'), at('10:00'), 'proven'), state: 'abandoned' }],
      'missing',
    ],
  ])('%s', (_, windows, state) => expect(cellState(NINE, windows, NOON)).toBe(state));

  test('the interval that is running counts up to now', () => {
    expect(cellState(NINE, [window(at('08:00'), at('09:20'), 'proven')], at('09:40'))).toBe('proven');
  });
});

test('intervals are whole, oldest first, the running one last', () => {
  expect(gridIntervals(Date.parse(at('09:40')), 3_600_000, 2)).toEqual([
    { from: at('08:00'), until: at('09:00') },
    { from: at('09:00'), until: at('10:00') },
  ]);
});
