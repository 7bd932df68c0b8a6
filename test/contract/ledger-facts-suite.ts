import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { RunSummary } from '../../schemas/run.ts';
import type { BucketPolicy, Ledger } from '../../stores/ledger/ledger.ts';
import { CONNECTION, firstLoad, hour, receipt, schema, SINK } from './ledger-fixture.ts';
import type { LedgerFactory } from './ledger-suite.ts';

const policy: BucketPolicy = {
  perSecond: 10,
  burst: 100,
  quotaShareMax: { webhook: 0.98, hourly: 0.9, backfill: 0.2 },
};
const NOON_MS = Date.parse('2026-11-21T12:00:00.000Z');

const run = (name: string, started: number): RunSummary => ({
  connection: name.startsWith('x') ? 'other' : CONNECTION,
  workflowId: `sync/${CONNECTION}`,
  runId: name,
  trigger: 'schedule',
  outcome: 'ok',
  startedAt: hour(started),
  endedAt: null,
  idle: 3,
  objects: [],
});

/** Runs, schemas, tokens and small facts: what every ledger keeps beside its windows. */
export function ledgerFactsSuite(factory: LedgerFactory): void {
  let store: Awaited<ReturnType<LedgerFactory['create']>>;
  let ledger: Ledger;
  beforeEach(async () => {
    store = await factory.create();
    ledger = await store.open();
  });
  afterEach(async () => {
    await ledger.close();
    await store.destroy();
  });

  describe(`${factory.name}: runs, schemas, facts`, () => {
    test('runs, newest first; a repeated start does not take the end back', async () => {
      await ledger.startRun(run('a', 1));
      await ledger.startRun(run('x', 2));
      await ledger.startRun(run('b', 3));
      const ended: RunSummary = { ...run('a', 1), outcome: 'partial', endedAt: hour(2) };
      await ledger.endRun(ended);
      await ledger.startRun(run('a', 1));
      expect(await ledger.runs({ limit: 10 })).toEqual([run('b', 3), run('x', 2), ended]);
      expect(await ledger.runs({ connection: CONNECTION, limit: 1 })).toEqual([run('b', 3)]);
    });

    test('the last schema of an object and when it was seen', async () => {
      expect(await ledger.schema(CONNECTION, 'Contact')).toBeNull();
      await ledger.storeSchema(CONNECTION, schema, hour(1));
      const wider = { ...schema, hash: 'schema-2', table: 'contacts' };
      await ledger.storeSchema(CONNECTION, wider, hour(2));
      expect(await ledger.schema(CONNECTION, 'Contact')).toEqual({ schema: wider, at: hour(2) });
      await ledger.storeSchema(CONNECTION, schema, hour(3));
      expect(await ledger.schema(CONNECTION, 'Contact')).toEqual({ schema, at: hour(3) });
    });

    test('facts survive a reopening', async () => {
      expect(await ledger.meta('stage')).toBeNull();
      await ledger.setMeta('stage', 'one');
      await ledger.setMeta('stage', 'two');
      await ledger.close();
      ledger = await store.open();
      expect(await ledger.meta('stage')).toBe('two');
    });
  });

  describe(`${factory.name}: tokens`, () => {
    test('all processes drain one bucket per connection', async () => {
      const second = await store.open();
      try {
        expect(await ledger.take('a', 60, 'webhook', policy, NOON_MS)).toEqual({ granted: true, waitMs: 0 });
        expect(await second.take('a', 60, 'webhook', policy, NOON_MS)).toEqual({
          granted: false,
          waitMs: 2_000,
        });
        expect(await second.take('b', 60, 'webhook', policy, NOON_MS)).toMatchObject({ granted: true });
        expect(await second.take('a', 60, 'webhook', policy, NOON_MS + 2_000)).toMatchObject({
          granted: true,
        });
      } finally {
        await second.close();
      }
    });

    test('the stop line of the quota, by class; an older report changes nothing', async () => {
      expect(await ledger.quota('a')).toBeNull();
      await ledger.reportQuota('a', { used: 950, limit: 1_000 }, NOON_MS);
      await ledger.reportQuota('a', { used: 1, limit: 1_000 }, NOON_MS - 1);
      expect(await ledger.quota('a')).toEqual({ used: 950, limit: 1_000, at: '2026-11-21T12:00:00.000Z' });
      const take = async (kind: 'hourly' | 'webhook', ms: number) =>
        await ledger.take('a', 1, kind, policy, ms);
      await expect(take('hourly', NOON_MS)).rejects.toEqual(
        expect.objectContaining({ code: 'QUOTA_EXHAUSTED' }),
      );
      expect(await take('webhook', NOON_MS)).toMatchObject({ granted: true });
      expect(await take('hourly', NOON_MS + 12 * 3_600_000)).toMatchObject({ granted: true });
    });

    test('I7: two sinks of one window land by themselves; resetting the further one keeps what the receipt tells of the first', async () => {
      const window = await firstLoad(ledger, hour(1));
      const proof = { ...receipt(window), destination: { present: 3, missing: 0 } };
      const destination = async () =>
        (await ledger.windows({ connection: CONNECTION, limit: 1 }))[0]?.receipt?.destination;
      await ledger.commitSink(SINK, [{ window: window.id, attempt: 1, receipt: proof }], {
        epoch: 'e',
        seq: 1,
      });
      expect(await ledger.undelivered('copy', CONNECTION)).toHaveLength(1);
      await ledger.commitSink('copy', [{ window: window.id, attempt: 1 }], { epoch: 'c', seq: 1 });
      expect(await ledger.undelivered('copy', CONNECTION)).toEqual([]);
      await ledger.resetSink('copy', { keepReceipts: true });
      expect(await ledger.undelivered('copy', CONNECTION)).toHaveLength(1);
      expect(await ledger.undelivered(SINK, CONNECTION)).toEqual([]);
      expect(await destination()).toEqual({ present: 3, missing: 0 });
      await ledger.resetSink(SINK, {});
      expect(await destination()).toBeNull();
    });
  });
}
