import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Instant } from '../../schemas/instant.ts';
import type { Window } from '../../schemas/window.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import {
  batch,
  CONNECTION,
  hour,
  load,
  owner,
  page,
  planned,
  receipt,
  request,
  SINK,
  withPlan,
} from './ledger-fixture.ts';
import type { LedgerFactory } from './ledger-suite.ts';

/** Retention and the receipts that it leaves. */
export function ledgerPruneSuite(factory: LedgerFactory): void {
  let store: Awaited<ReturnType<LedgerFactory['create']>>;
  let ledger: Ledger;
  let seq = 0;
  beforeEach(async () => {
    store = await factory.create();
    ledger = await store.open();
    seq = 0;
  });
  afterEach(async () => {
    await ledger.close();
    await store.destroy();
  });

  async function stage(window: Window): Promise<Window> {
    await ledger.commitPage(window.id, 1, 0, page(0, 0), { position: 'end' });
    await ledger.sliceExtracted(window.id, 1, 0);
    await ledger.storeBatch(window.id, 1, 0, batch(window.id, 0));
    await ledger.commitSource(window.id, 1, { ...receipt(window), destination: null });
    return window;
  }
  async function landWindow(window: Window): Promise<Window> {
    seq += 1;
    await ledger.storeLoad(SINK, window.id, 1, load('b_0'));
    await ledger.commitSink(SINK, [{ window: window.id, attempt: 1, receipt: receipt(window) }], {
      epoch: 'e',
      seq,
    });
    return window;
  }
  /** One window per hour, each landed with pages, batch and receipt. */
  async function hours(count: number, object = 'Contact'): Promise<Window[]> {
    const windows: Window[] = [];
    for (let index = 1; index <= count; index += 1)
      windows.push(await landWindow(await stage(await withPlan(ledger, request(hour(index), { object })))));
    return windows;
  }
  const ids = async () => (await ledger.windows({ limit: 100 })).map((window) => window.id).toSorted();
  const idsOf = (windows: (Window | undefined)[]) => windows.map((window) => window?.id).toSorted();
  const pruneBefore = (before: Instant, rowsMax = 100) => ledger.prune({ sink: SINK, before, rowsMax });
  const claims = async () => ({
    source: await ledger.coverage(CONNECTION, 'Contact'),
    sink: await ledger.sinkCoverage(SINK, CONNECTION, 'Contact'),
    state: await ledger.sinkState(SINK),
    waiting: await ledger.undelivered(SINK, CONNECTION),
    open: await ledger.openWindows(CONNECTION),
  });

  describe(`${factory.name}: receipts and retention`, () => {
    test('the receipt that a window lands with is the one that is kept; a lost warehouse takes its part back', async () => {
      const window = await stage(await withPlan(ledger, request(hour(1))));
      const kept = async () => (await ledger.progress(window.id)).receipt;
      expect(await kept()).toMatchObject({ destination: null });
      await landWindow(window);
      expect(await kept()).toEqual(receipt(window));
      await ledger.resetSink(SINK, {});
      expect(await kept()).toEqual({ ...receipt(window), destination: null });
      const row = { ...window, window: window.id, receipt: receipt(window) };
      await ledger.adoptIntervals(SINK, [row], { epoch: 'e', seq: 1 });
      expect(await kept()).toEqual(receipt(window));
    });

    test('I3: old windows go with all that is theirs; coverage, sink state and what is planned next stay', async () => {
      const windows = await hours(6);
      const before = await claims();
      expect(await ledger.prunable({ sink: SINK, before: hour(5), rowsMax: 100 })).toEqual({
        windows: 3,
        runs: 0,
      });
      expect(await pruneBefore(hour(5))).toEqual({ windows: 3, runs: 0 });
      // The first load, and what was made since.
      expect(await ids()).toEqual(idsOf([windows[0], windows[4], windows[5]]));
      expect(await claims()).toEqual(before);
      expect(await ledger.prunable({ sink: SINK, before: hour(5), rowsMax: 100 })).toEqual({
        windows: 0,
        runs: 0,
      });
      for (const one of [windows[0]!, windows[5]!]) {
        const { receipt: proof, slices } = await ledger.progress(one.id);
        expect(proof).toEqual(receipt(one));
        expect(slices).toMatchObject([{ extracted: true, pages: [page(0, 0)], batch: { id: 'b_0' } }]);
      }
      await expect(ledger.progress(windows[1]!.id)).rejects.toThrow();
      expect(await planned(ledger, request(hour(7)))).toMatchObject({
        kind: 'head',
        from: hour(6),
        until: hour(7),
      });
    });

    test('each object keeps its newest window, whatever its age', async () => {
      const contacts = await hours(3);
      const accounts = await hours(2, 'Account');
      await pruneBefore(hour(1_000));
      expect(await ids()).toEqual(idsOf([contacts[0], contacts[2], ...accounts]));
    });

    test('open windows and those that wait for the sink stay, and so does what stands for one that waits', async () => {
      await landWindow(await stage(await withPlan(ledger, request(hour(1)))));
      const waiting = await stage(await withPlan(ledger, request(hour(2))));
      const behind = await landWindow(await stage(await withPlan(ledger, request(hour(3)))));
      await landWindow(await stage(await withPlan(ledger, request(hour(4)))));
      const open = await withPlan(ledger, request(hour(5)));
      const before = await claims();
      expect(await pruneBefore(hour(1_000))).toEqual({ windows: 0, runs: 0 });
      expect(await claims()).toEqual(before);
      expect(await ids()).toEqual(expect.arrayContaining([waiting.id, behind.id, open.id]));
    });

    test('a window that was read again goes with its successor, never after it', async () => {
      await landWindow(await stage(await withPlan(ledger, request(hour(1)))));
      const replaced = await stage(await withPlan(ledger, request(hour(2))));
      const past = { from: hour(1), until: hour(2) };
      const again = await withPlan(ledger, request(hour(2), { past, owner: owner('backfill') }));
      await landWindow(await stage(again));
      await landWindow(await stage(await withPlan(ledger, request(hour(3)))));
      expect(await ledger.undelivered(SINK, CONNECTION)).toEqual([]);
      // Each sweep is bounded: one window at a time, and none of them wakes the replaced one.
      for (const gone of [replaced, again]) {
        expect(await pruneBefore(hour(1_000), 1)).toEqual({ windows: 1, runs: 0 });
        expect(await ids()).not.toContain(gone.id);
        expect(await ledger.undelivered(SINK, CONNECTION)).toEqual([]);
      }
      expect(await pruneBefore(hour(1_000), 1)).toEqual({ windows: 0, runs: 0 });
    });

    test('of the runs each connection keeps its last', async () => {
      const run = (connection: string, started: number) => ({
        ...{
          connection,
          workflowId: `sync/${connection}`,
          runId: `${started}`,
          trigger: 'schedule' as const,
        },
        ...{ outcome: 'ok' as const, startedAt: hour(started), endedAt: hour(started), idle: 1, objects: [] },
      });
      for (const started of [1, 2, 3]) await ledger.endRun(run(CONNECTION, started));
      await ledger.endRun(run('other', 1));
      expect(await pruneBefore(hour(3))).toEqual({ windows: 0, runs: 2 });
      expect(await pruneBefore(hour(1_000))).toEqual({ windows: 0, runs: 0 });
      expect(await ledger.runs({ limit: 10 })).toMatchObject([{ runId: '3' }, { connection: 'other' }]);
    });
  });
}
