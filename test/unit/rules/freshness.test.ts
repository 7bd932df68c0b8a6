import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { freshnessLimits, freshnessOf, isStale, worstOf } from '../../../rules/freshness.ts';
import { resyncDue, resyncText } from '../../../rules/resync.ts';

const HOUR = 3_600_000;
const NINE = '2026-11-21T09:00:00.000Z';
const at = (hours: number) => new Date(Date.parse(NINE) + hours * HOUR).toISOString();

describe('limits', () => {
  const policy = { objects: {} };
  test.each([
    ['nothing is configured', policy, { warnMs: 1.5 * HOUR, errorMs: 2 * HOUR }],
    [
      'a connection',
      { ...policy, warnAfter: HOUR, errorAfter: 6 * HOUR },
      { warnMs: HOUR, errorMs: 6 * HOUR },
    ],
    ['a later warning alone', { ...policy, warnAfter: 5 * HOUR }, { warnMs: 5 * HOUR, errorMs: 5 * HOUR }],
    ['an earlier error alone', { ...policy, errorAfter: HOUR }, { warnMs: HOUR, errorMs: HOUR }],
    [
      'an object goes before its connection',
      { errorAfter: HOUR, objects: { Contact: { warnAfter: HOUR, errorAfter: 9 * HOUR } } },
      { warnMs: HOUR, errorMs: 9 * HOUR },
    ],
  ])('%s', (_, given, limits) => expect(freshnessLimits(given, 'Contact', HOUR)).toEqual(limits));

  test('a warning never comes after the error', () => {
    const ms = fc.option(fc.nat({ max: 100 * HOUR }), { nil: undefined });
    fc.assert(
      fc.property(ms, ms, ms, ms, (warnAfter, errorAfter, ownWarn, ownError) => {
        const objects = { Contact: { warnAfter: ownWarn, errorAfter: ownError } };
        const { warnMs, errorMs } = freshnessLimits({ warnAfter, errorAfter, objects }, 'Contact', HOUR);
        expect(warnMs).toBeLessThanOrEqual(errorMs);
      }),
    );
  });
});

describe('states', () => {
  const limits = { warnMs: HOUR, errorMs: 2 * HOUR };
  test.each([
    [at(1), 'fresh'],
    [at(2), 'late'],
    [at(2.1), 'stale'],
  ])('%s is %s', (now, state) => {
    const later = new Date(Date.parse(now) + (state === 'late' ? -1 : 0)).toISOString();
    expect(freshnessOf(NINE, later, limits, false).state).toBe(state);
  });

  test('the clock of the source may be ahead of ours', () =>
    expect(freshnessOf(at(1), NINE, limits, false)).toEqual({ state: 'fresh', lagMs: 0 }));

  test('without a first load there is nothing fresh; a pause is nobody’s alarm', () => {
    expect(isStale(freshnessOf(null, NINE, limits, false))).toBe(true);
    expect(isStale(freshnessOf(null, NINE, limits, true))).toBe(false);
    expect(freshnessOf(NINE, at(9), limits, true)).toEqual({ state: 'paused', lagMs: 9 * HOUR });
  });

  test('a source is as fresh as its worst object', () => {
    expect(worstOf(['fresh', 'late', 'paused'])).toBe('late');
    expect(worstOf(['fresh', 'stale', 'never'])).toBe('stale');
    expect(worstOf([])).toBe('never');
  });
});

describe('a periodic re-sync', () => {
  const look = { wholeAt: NINE, tried: null, everyMs: 24 * HOUR, run: 'r1' };
  test('is due when the last whole reading is old enough, or unknown', () => {
    expect(resyncDue({ ...look, now: at(23.9) })).toBe(false);
    expect(resyncDue({ ...look, now: at(24) })).toBe(true);
    expect(resyncDue({ ...look, wholeAt: null, now: NINE })).toBe(true);
  });
  test('is started once a day at most, but by a repeated plan of the same run again', () => {
    const tried = { at: at(24), run: 'r1' };
    expect(resyncDue({ ...look, tried, now: at(25) })).toBe(true);
    expect(resyncDue({ ...look, tried, run: 'r2', now: at(25) })).toBe(false);
    expect(resyncDue({ ...look, tried, run: 'r2', now: at(48) })).toBe(true);
  });
  test('says when the last one was', () => {
    expect(resyncText(NINE)).toBe('full re-sync is due, the last whole reading was at 2026-11-21 09:00');
  });
});
