import { describe, expect, test } from '@jest/globals';
import { ORIGIN } from '../../schemas/instant.ts';
import type { Source } from '../../sources/source.ts';
import { MINUTE_MS, REST, connect, now, sandbox, worldOf } from './salesforce-fixture.ts';
import { load } from './source-suite.ts';

describe('what Salesforce remembers and when it shows it', () => {
  const probe = async (source: Source, readFrom: number, object = 'Contact') => {
    const request = { object, readFrom: new Date(readFrom).toISOString(), until: now() };
    return (await source.probe([request], new AbortController().signal))[0]!;
  };

  test('an open transaction holds visibleUntil back, so its rows are not missed', async () => {
    const source = connect({ lag: '1s' });
    sandbox.clock.advance(10 * MINUTE_MS);
    const from = sandbox.clock.now();
    sandbox.clock.advance(MINUTE_MS);
    const at = sandbox.clock.now();
    sandbox.data.update('Contact', 5, { Title: 'late' }, { at, visibleAt: at + 5 * MINUTE_MS });
    sandbox.clock.advance(2 * MINUTE_MS);
    const before = await probe(source, from);
    expect(Date.parse(before.visibleUntil)).toBeLessThanOrEqual(at);
    sandbox.clock.advance(5 * MINUTE_MS);
    const after = await probe(source, Date.parse(before.visibleUntil));
    expect(after.idle).toBe(false);
    const schema = await source.describe('Contact');
    const window = { from: before.visibleUntil, readFrom: before.visibleUntil, until: after.visibleUntil };
    const loaded = await load(worldOf(source), { schema, ...window });
    expect(loaded.ids).toEqual([sandbox.data.idOf('Contact', 5)]);
  });

  test.each([true, false])(
    'idle is never claimed over a change, at any second (minutes only: %s)',
    async (minutes) => {
      sandbox.behaviour.minuteResolution = minutes;
      const source = connect({ lag: '0s' });
      sandbox.clock.set(Date.parse('2027-01-01T10:00:00.000Z'));
      for (const second of [1, 29, 59, 61, 119]) {
        const from = sandbox.clock.now();
        sandbox.clock.advance(second * 1000);
        sandbox.data.update('Contact', second, { Title: 'x' });
        sandbox.clock.advance((180 - second) * 1000 + 13_000);
        expect(await probe(source, from)).toMatchObject({ idle: false });
      }
    },
  );

  test('a record erased in the last seconds of a window is in its tombstones', async () => {
    sandbox.behaviour.minuteResolution = true;
    const source = connect({ thresholds: REST });
    sandbox.clock.set(Date.parse('2027-01-01T10:00:00.000Z'));
    const from = now();
    sandbox.clock.advance(5 * MINUTE_MS + 30_000);
    sandbox.data.delete('Contact', 7);
    sandbox.data.purge('Contact', 7);
    sandbox.clock.advance(10_000);
    const until = now();
    sandbox.clock.advance(2000);
    sandbox.data.delete('Contact', 8);
    sandbox.clock.advance(10 * MINUTE_MS);
    const schema = await source.describe('Contact');
    const loaded = await load(worldOf(source), { schema, from, readFrom: from, until });
    expect(loaded.tombstones).toEqual([sandbox.data.idOf('Contact', 7)]);
  });

  test('deletions forgotten since the last window are told, and end idleness', async () => {
    const source = connect();
    sandbox.clock.advance(10 * MINUTE_MS);
    const from = sandbox.clock.now();
    sandbox.clock.advance(20 * MINUTE_MS);
    sandbox.data.forgetDeletions('Contact', from + 10 * MINUTE_MS);
    const answer = await probe(source, from);
    expect(answer.idle).toBe(false);
    expect(Math.abs(Date.parse(answer.deletionsKnownFrom ?? '') - from - 10 * MINUTE_MS)).toBeLessThanOrEqual(
      MINUTE_MS,
    );
  });

  test('after an outage of more than 30 days a probe still answers, not idle', async () => {
    const source = connect();
    const from = sandbox.clock.now();
    sandbox.clock.advance(45 * 24 * 3_600_000);
    const answer = await probe(source, from);
    expect(answer.idle).toBe(false);
    expect(answer.deletionsKnownFrom).toBeDefined();
    const schema = await source.describe('Contact');
    const window = {
      from: new Date(from).toISOString(),
      readFrom: new Date(from).toISOString(),
      until: now(),
    };
    expect((await load(worldOf(source), { schema, ...window })).ids).toEqual([]);
  });

  test('a window that ended more than 30 days ago is settled, and its deletions are unknown', async () => {
    const source = connect();
    await source.list();
    const until = sandbox.clock.now() - 60 * 24 * 3_600_000;
    const readFrom = new Date(until - 3_600_000).toISOString();
    const request = { object: 'Contact', readFrom, until: new Date(until).toISOString() };
    const [answer] = await source.probe([request], new AbortController().signal);
    expect(answer).toMatchObject({ visibleUntil: request.until, idle: false });
    expect(answer?.deletionsKnownFrom && answer.deletionsKnownFrom > request.until).toBe(true);
  });

  test('an object without a stamp is read whole and is never idle', async () => {
    const source = connect();
    const schema = await source.describe('ColorDefinition');
    expect(schema.stamp).toBeNull();
    expect((await probe(source, sandbox.clock.now() - MINUTE_MS, 'ColorDefinition')).idle).toBe(false);
    const window = { from: now(), readFrom: now(), until: now() };
    expect((await load(worldOf(source), { schema, ...window })).ids).toHaveLength(25);
    const rest = connect({ thresholds: { bulkRowsMin: 1000 } });
    expect((await load(worldOf(rest), { schema, ...window })).ids).toHaveLength(25);
  });

  test('the clock of the source decides, not ours', async () => {
    const source = connect({ lag: '5m' });
    sandbox.clock.advance(-20 * MINUTE_MS);
    const until = new Date(sandbox.clock.now() + 20 * MINUTE_MS).toISOString();
    const request = { object: 'LoginHistory', readFrom: ORIGIN, until };
    const [answer] = await source.probe([request], new AbortController().signal);
    expect(Date.parse(answer?.visibleUntil ?? '')).toBeLessThanOrEqual(sandbox.clock.now() - 5 * MINUTE_MS);
  });

  test('an object that is gone or hidden does not stop the others', async () => {
    const source = connect();
    sandbox.clock.advance(10 * MINUTE_MS);
    const readFrom = new Date(sandbox.clock.now() - 9 * MINUTE_MS).toISOString();
    sandbox.faults.add({
      match: { path: '/Account/updated' },
      action: { status: 403, body: '[{"errorCode":"INSUFFICIENT_ACCESS","message":"no"}]' },
    });
    const requests = ['Nope__c', 'Account', 'Contact'].map((object) => ({ object, readFrom, until: now() }));
    const answers = await source.probe(requests, new AbortController().signal);
    expect(answers.map(({ object, idle }) => [object, idle])).toEqual([
      ['Nope__c', false],
      ['Account', false],
      ['Contact', true],
    ]);
    sandbox.faults.add({ match: { path: '/Contact/updated' }, action: { status: 500 } });
    await expect(source.probe(requests, new AbortController().signal)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    });
  });

  test('50 idle objects cost two calls each and one for all', async () => {
    const source = connect();
    sandbox.clock.advance(10 * MINUTE_MS);
    await source.list();
    sandbox.stats.reset();
    const readFrom = new Date(sandbox.clock.now() - 5 * MINUTE_MS).toISOString();
    const requests = Array.from({ length: 50 }, () => ({ object: 'Contact', readFrom, until: now() }));
    const answers = await source.probe(requests, new AbortController().signal);
    expect(answers.every((answer) => answer.idle)).toBe(true);
    expect(sandbox.stats.report().apiRequests).toBe(100);
  });
});
