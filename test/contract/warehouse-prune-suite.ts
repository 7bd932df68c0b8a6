import { describe, expect, test } from '@jest/globals';
import { intervalOf, windowOf } from './warehouse-fixture.ts';
import { none, row, signal, T, type Harness } from './warehouse-harness.ts';

const LATER = '2999-01-01T00:00:00.000Z';
const BEFORE = '2000-01-01T00:00:00.000Z';

export function pruneTests(h: Harness): void {
  describe('retention', () => {
    const counts = async () => {
      const [answer] = await h.select(
        `SELECT (SELECT count(*) FROM _headwater.batches), (SELECT count(*) FROM _headwater.runs),
           (SELECT count(*) FROM _headwater.schema_changes), (SELECT count(*) FROM _headwater.intervals)`,
      );
      return answer?.map(Number);
    };
    const run = {
      ...{ connection: 'crm', workflowId: 'sync/crm', runId: 'r1', trigger: 'manual' as const },
      ...{ outcome: 'ok' as const, startedAt: T(1), endedAt: T(2), idle: 0, objects: [] },
    };

    test('I3: old facts of closed windows go; intervals, seq and rows stay, and their keys still prove', async () => {
      const closed = await h.make(
        { csv: [row('1', 1, 'a'), row('2', 1, 'b')] },
        { window: windowOf('w1'), id: 'b_1' },
      );
      await h.warehouse.load(closed, signal);
      const sink = await h.warehouse.closeWindows([intervalOf('w1', ['b_1'])]);
      await h.load({ csv: [row('3', 1, 'c')] }, { window: windowOf('w2'), id: 'b_2' });
      await h.warehouse.recordRun(run);
      const intervals = await h.warehouse.intervals(0);
      const rows = await h.contacts();
      expect(await counts()).toEqual([2, 1, 1, 1]);
      expect(await h.warehouse.prune(BEFORE, 100)).toBe(0);
      // One batch, the run and the applied change; the batch of the open window stays.
      expect(await h.warehouse.prune(LATER, 100)).toBe(3);
      expect(await counts()).toEqual([1, 0, 0, 1]);
      expect(await h.select('SELECT "window" FROM _headwater.batches')).toEqual([['w2']]);
      expect(await h.warehouse.sinkState()).toEqual(sink);
      expect(await h.warehouse.intervals(0)).toEqual(intervals);
      expect(await h.contacts()).toEqual(rows);
      expect(await h.warehouse.verify(closed)).toEqual({ present: 2, missing: 0 });
      expect(await h.warehouse.closeWindows([intervalOf('w1', ['b_1'])])).toEqual(sink);
    });

    test('a batch that lands again after its row is gone changes nothing', async () => {
      const request = await h.make({ csv: [row('1', 1, 'a')] }, { window: windowOf('w1'), id: 'b_1' });
      await h.warehouse.load(request, signal);
      await h.warehouse.closeWindows([intervalOf('w1', ['b_1'])]);
      await h.load({ csv: [row('1', 2, 'newer')] }, { window: windowOf('w2'), id: 'b_2' });
      await h.warehouse.prune(LATER, 100);
      const { inserted, updated, unchanged, stale } = await h.warehouse.load(request, signal);
      expect({ inserted, updated, unchanged, stale }).toEqual({ ...none, stale: 1 });
      expect(await h.contacts()).toEqual([['1', 'newer', false]]);
    });

    test('I5: of an old quarantine the values go, and that the record was set aside is known once', async () => {
      for (const [window, id] of [
        ['w1', 'b_1'],
        ['w2', 'b_2'],
      ] as const) {
        await h.load({ csv: [['9', 'no time', 'false', 'Jane Canary']] }, { window: windowOf(window), id });
        await h.warehouse.closeWindows([intervalOf(window, [id])]);
      }
      const aside = () => h.select('SELECT batch, record, field, value, raw FROM _headwater.quarantine');
      expect(JSON.stringify(await aside())).toContain('no time');
      await h.warehouse.prune(LATER, 100);
      const left = await aside();
      expect(left).toEqual([['b_2', '9', expect.any(String), null, null]]);
      await h.warehouse.prune(LATER, 100);
      expect(await aside()).toEqual(left);
    });

    test('each sweep is bounded', async () => {
      for (const runId of ['a', 'b', 'c']) await h.warehouse.recordRun({ ...run, runId });
      await h.warehouse.prune(LATER, 2);
      expect((await counts())?.[1]).toBe(1);
    });
  });
}
