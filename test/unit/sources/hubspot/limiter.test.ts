import { expect, test } from '@jest/globals';
import { Limiter } from '../../../../sources/hubspot/limiter.ts';

/** A clock that moves only by the waits it is asked for. */
function manual() {
  let at = 0;
  const waits: number[] = [];
  return {
    waits,
    pass: (ms: number) => {
      at += ms;
    },
    clock: {
      now: () => at,
      sleep: async (ms: number) => {
        waits.push(ms);
        at += ms;
      },
    },
  };
}

test('190 calls in any ten seconds: what may go at once and what flows in are no more together', async () => {
  const time = manual();
  const limiter = new Limiter({ perSecondMax: 17.1, burst: 19 }, time.clock);
  const calls: number[] = [];
  for (let n = 0; n < 600; n++) {
    await limiter.take();
    calls.push(time.clock.now());
  }
  for (const [index, start] of calls.entries()) {
    const end = calls.findIndex((at) => at >= start + 10_000);
    expect((end < 0 ? calls.length : end) - index).toBeLessThanOrEqual(190);
  }
});

test('callers that come at once go one after the other', async () => {
  const time = manual();
  const limiter = new Limiter({ perSecondMax: 10, burst: 1 }, time.clock);
  await Promise.all(Array.from({ length: 5 }, () => limiter.take()));
  expect(time.waits).toEqual([100, 100, 100, 100]);
});

test('after a standstill no crowd goes at once', async () => {
  const time = manual();
  const limiter = new Limiter({ perSecondMax: 4, burst: 1 }, time.clock);
  await limiter.take();
  const waiting = Array.from({ length: 3 }, () => limiter.take());
  time.pass(5000);
  await Promise.all(waiting);
  expect(time.waits.length).toBeGreaterThanOrEqual(2);
});

test('whoever gives up holds up nobody', async () => {
  const control = new AbortController();
  const limiter = new Limiter({ perSecondMax: 20, burst: 1 });
  await limiter.take();
  const gone = limiter.take(control.signal);
  const next = limiter.take();
  control.abort(new Error('cancelled by the test'));
  await expect(gone).rejects.toThrow('cancelled by the test');
  await next;
});

test('a refusal halves the rate and makes everybody wait; granted calls bring it back step by step', async () => {
  const time = manual();
  const limiter = new Limiter({ perSecondMax: 16, burst: 4 }, time.clock);
  limiter.refused(3000);
  expect(limiter.perSecond()).toBe(8);
  await limiter.take();
  expect(time.waits).toEqual([3000]);
  limiter.granted();
  expect(limiter.perSecond()).toBeCloseTo(8.32);
  for (let n = 0; n < 100; n++) limiter.granted();
  expect(limiter.perSecond()).toBe(16);
  for (let n = 0; n < 20; n++) limiter.refused(0);
  expect(limiter.perSecond()).toBe(0.5);
});

test('a cancelled wait ends with the reason', async () => {
  const control = new AbortController();
  const limiter = new Limiter({ perSecondMax: 1, burst: 1 });
  limiter.refused(60_000);
  const waiting = limiter.take(control.signal);
  control.abort(new Error('cancelled by the test'));
  await expect(waiting).rejects.toThrow('cancelled by the test');
});
