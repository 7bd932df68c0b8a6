import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { assertQuota, type Bucket, RESERVE_SHARE, takeTokens } from '../../../rules/tokens.ts';
import type { CallClass } from '../../../schemas/quota.ts';

const NOON = Date.parse('2026-11-21T12:00:00.000Z');
const rule = { perSecond: 10, burst: 20 };

describe('bucket', () => {
  test('a new bucket is full; an empty one says when to ask again', () => {
    const first = takeTokens(null, 20, 'webhook', rule, NOON);
    expect(first).toMatchObject({ granted: true, waitMs: 0, bucket: { tokens: 0 } });
    const second = takeTokens(first.bucket, 5, 'webhook', rule, NOON);
    expect(second).toMatchObject({ granted: false, waitMs: 500 });
    expect(takeTokens(second.bucket, 5, 'webhook', rule, NOON + 499).granted).toBe(false);
    expect(takeTokens(second.bucket, 5, 'webhook', rule, NOON + 500).granted).toBe(true);
  });

  test('a class leaves its reserve to those before it', () => {
    const bucket = { tokens: 6, atMs: NOON };
    expect(takeTokens(bucket, 1, 'backfill', rule, NOON).granted).toBe(false);
    expect(takeTokens(bucket, 4, 'hourly', rule, NOON).granted).toBe(true);
    expect(takeTokens(bucket, 5, 'hourly', rule, NOON).granted).toBe(false);
    expect(takeTokens(bucket, 6, 'webhook', rule, NOON).granted).toBe(true);
  });

  test('more than the bucket holds is granted on a full one, as a debt', () => {
    const granted = takeTokens(null, 100, 'backfill', rule, NOON);
    expect(granted).toMatchObject({ granted: true, bucket: { tokens: -80 } });
    expect(takeTokens(granted.bucket, 1, 'webhook', rule, NOON).waitMs).toBe(8_100);
  });

  test('a rate of nothing is a mistake in the configuration', () => {
    expect(() => takeTokens(null, 1, 'hourly', { perSecond: 0, burst: 5 }, NOON)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  test('never more than the burst and the rate, however the clock jumps; whoever waits as told is served', () => {
    const asks = fc.array(
      fc.record({
        calls: fc.integer({ min: 1, max: 12 }),
        stepMs: fc.integer({ min: -500, max: 1_500 }),
        callClass: fc.constantFrom<CallClass>('webhook', 'hourly', 'backfill'),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(asks, (list) => {
        let bucket: Bucket | null = null;
        let [nowMs, latestMs, taken] = [NOON, NOON, 0];
        for (const ask of list) {
          nowMs += ask.stepMs;
          latestMs = Math.max(latestMs, nowMs);
          const answer = takeTokens(bucket, ask.calls, ask.callClass, rule, nowMs);
          bucket = answer.bucket;
          if (answer.granted) {
            taken += ask.calls;
            expect(bucket.tokens).toBeGreaterThanOrEqual(
              rule.burst * RESERVE_SHARE[ask.callClass] - ask.calls - 1e-6,
            );
          } else {
            const later = Math.max(nowMs, bucket.atMs) + answer.waitMs;
            expect(takeTokens(bucket, ask.calls, ask.callClass, rule, later).granted).toBe(true);
          }
          const firstMs = NOON + Math.min(0, list[0]?.stepMs ?? 0);
          expect(taken).toBeLessThanOrEqual(
            rule.burst + ((latestMs - firstMs) * rule.perSecond) / 1_000 + 1e-6,
          );
        }
      }),
    );
  });
});

describe('quota', () => {
  const shareMax = { webhook: 0.98, hourly: 0.9, backfill: 0.2 };
  const ask = (used: number, callClass: CallClass, atMs = NOON, nowMs = NOON) =>
    assertQuota('crm', { used, limit: 1_000, atMs }, callClass, shareMax, nowMs);

  test('each class stops at its line', () => {
    expect(() => ask(899, 'hourly')).not.toThrow();
    expect(() => ask(200, 'backfill')).toThrow(expect.objectContaining({ code: 'QUOTA_EXHAUSTED' }));
    expect(() => ask(900, 'hourly')).toThrow(
      expect.objectContaining({ code: 'QUOTA_EXHAUSTED', retryAfterMs: 12 * 3_600_000 }),
    );
    expect(() => ask(900, 'webhook')).not.toThrow();
  });

  test('yesterday’s report says nothing about today; no report, no line', () => {
    const midnight = NOON + 12 * 3_600_000;
    expect(() => ask(1_000, 'hourly', midnight - 1_000, midnight - 1)).toThrow();
    expect(() => ask(1_000, 'hourly', midnight - 1_000, midnight)).not.toThrow();
    expect(() => assertQuota('crm', null, 'backfill', shareMax, NOON)).not.toThrow();
    expect(() =>
      assertQuota('crm', { used: 5, limit: 0, atMs: NOON }, 'hourly', shareMax, NOON),
    ).not.toThrow();
  });

  test('an old report is asked anew: a rolling quota may have room again', () => {
    expect(() => ask(1_000, 'hourly', NOON, NOON + 29 * 60_000)).toThrow();
    expect(() => ask(1_000, 'hourly', NOON, NOON + 31 * 60_000)).not.toThrow();
  });
});
