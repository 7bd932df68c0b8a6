import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ORIGIN } from '../../rules/time.ts';
import type { Ledger, PlanRequest } from '../../stores/ledger/ledger.ts';
import {
  batch,
  CONNECTION,
  firstLoad,
  hour,
  load,
  owner,
  page,
  planned,
  receipt,
  request,
  schema,
  SINK,
  slice,
  withPlan,
} from './ledger-fixture.ts';

export interface LedgerFactory {
  name: string;
  /** A fresh, empty store. `open` may be called several times, as several processes would. */
  create(): Promise<{ open(): Promise<Ledger>; destroy(): Promise<void> }>;
}

const outdated = expect.objectContaining({ code: 'ATTEMPT_OUTDATED' });
const internal = expect.objectContaining({ code: 'INTERNAL' });

/** What every ledger must do; a new back end passes it unchanged. */
export function ledgerSuite(factory: LedgerFactory): void {
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

  describe(`${factory.name}: windows`, () => windowTests(() => ledger));
  describe(`${factory.name}: slices and pages`, () => sliceTests(() => ledger));
  describe(`${factory.name}: commits`, () => commitTests(() => ledger));

  test(`${factory.name}: a second connection sees what the first has committed, and they never plan the same window`, async () => {
    const second = await store.open();
    try {
      await firstLoad(ledger, hour(1));
      const asks = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => request(hour(2), { owner: owner(name) }));
      const plans = await Promise.all(
        asks.map((ask, index) => (index % 2 === 0 ? ledger : second).planWindow(ask)),
      );
      expect(plans.filter((one) => one.kind === 'window')).toHaveLength(1);
      expect(plans.filter((one) => one.kind === 'in-progress')).toHaveLength(5);
      expect(await second.openWindows(CONNECTION)).toEqual(await ledger.openWindows(CONNECTION));
    } finally {
      await second.close();
    }
  });
}

function windowTests(get: () => Ledger): void {
  test('the first window, then the head, then nothing', async () => {
    const first = await planned(get(), request(hour(1)));
    expect(first).toMatchObject({
      kind: 'first',
      from: ORIGIN,
      readFrom: ORIGIN,
      until: hour(1),
      attempt: 1,
      state: 'open',
    });
    expect(first.id).toMatch(/^w_[0-9a-f]+$/);
    await get().commitSource(first.id, 1, receipt(first));
    const head = await planned(get(), request(hour(2)));
    expect(head).toMatchObject({
      kind: 'head',
      from: hour(1),
      readFrom: '2026-11-01T00:55:00.000Z',
      until: hour(2),
    });
    await get().commitSource(head.id, 1, receipt(head));
    expect(await get().planWindow(request(hour(2)))).toEqual({ kind: 'current', checkpoint: hour(2) });
    expect(await get().coverage(CONNECTION, 'Contact')).toEqual([{ from: ORIGIN, until: hour(2) }]);
    expect(await get().openWindows(CONNECTION)).toEqual([]);
    expect((await get().windows({ connection: CONNECTION, limit: 10 })).map((one) => one.id)).toEqual([
      head.id,
      first.id,
    ]);
    expect((await get().windows({ object: 'Contact', limit: 1 }))[0]).toMatchObject({
      state: 'staged',
      receipt: receipt(head),
    });
    expect(await get().windows({ connection: 'other', limit: 10 })).toEqual([]);
  });

  test('a live owner keeps its window, a closed one loses it: same bounds and slices, attempt + 1', async () => {
    const window = await withPlan(get(), request(hour(1)), 2);
    await get().commitPage(window.id, 1, 0, page(0, 0), { at: 'p1' });
    const two = { owner: owner('two') };
    expect(await get().planWindow(request(hour(1), two))).toEqual({
      kind: 'in-progress',
      owner: owner('one'),
    });
    const taken = await get().planWindow(request(hour(1), { ...two, closedOwners: [owner('one')] }));
    expect(taken).toEqual({
      kind: 'window',
      resumed: true,
      window: { ...window, attempt: 2, owner: owner('two'), slices: [slice(0), slice(1)] },
    });
    expect((await get().progress(window.id)).slices[0]).toMatchObject({
      cursor: { at: 'p1' },
      pages: [page(0, 0)],
    });
  });

  test('every write of the former attempt is refused', async () => {
    const window = await withPlan(get(), request(hour(1)));
    await planned(get(), request(hour(1), { owner: owner('two'), closedOwners: [owner('one')] }));
    const ledger = get();
    const writes: [string, () => Promise<void>][] = [
      [
        'storePlan',
        () => ledger.storePlan(window.id, 1, { schema, slices: [], countBefore: null, readAt: hour(1) }),
      ],
      ['commitPage', () => ledger.commitPage(window.id, 1, 0, page(0, 0), {})],
      ['sliceExtracted', () => ledger.sliceExtracted(window.id, 1, 0)],
      ['restartSlice', () => ledger.restartSlice(window.id, 1, 0)],
      ['storeBatch', () => ledger.storeBatch(window.id, 1, 0, batch(window.id, 0))],
      ['storeLoad', () => ledger.storeLoad(SINK, window.id, 1, load('b_0'))],
      ['commitSource', () => ledger.commitSource(window.id, 1, receipt(window))],
      [
        'commitSink',
        () => ledger.commitSink(SINK, [{ window: window.id, attempt: 1 }], { epoch: 'e', seq: 1 }),
      ],
    ];
    for (const [name, write] of writes) {
      await expect(write().then(() => `${name} was accepted`)).rejects.toEqual(outdated);
    }
    expect(await ledger.coverage(CONNECTION, 'Contact')).toEqual([]);
    expect(await ledger.sinkState(SINK)).toBeNull();
  });

  test('unknown windows, attempts that were never given and slices that do not exist are defects', async () => {
    const window = await withPlan(get(), request(hour(1)));
    await expect(get().progress('w_none')).rejects.toEqual(internal);
    await expect(get().commitSource('w_none', 1, receipt(window))).rejects.toEqual(internal);
    await expect(get().commitSource(window.id, 2, receipt(window))).rejects.toEqual(internal);
    await expect(get().sliceExtracted(window.id, 1, 7)).rejects.toEqual(internal);
  });

  test('many objects in one transaction, answers in the order of the requests', async () => {
    await firstLoad(get(), hour(1), { object: 'b' });
    const asks: PlanRequest[] = ['a', 'b', 'c'].map((object) => request(hour(1), { object }));
    const results = await get().planWindows(asks);
    expect(results.map((one) => (one.kind === 'window' ? one.window.object : one.kind))).toEqual([
      'a',
      'current',
      'c',
    ]);
  });

  test('a backfill reads a past interval; inside a live window it is in progress; without coverage it is refused', async () => {
    const past = { from: hour(1), until: hour(2) };
    const ask = request(hour(2), { past, owner: owner('backfill') });
    expect(await get().planWindow(ask)).toEqual({ kind: 'first-load-missing' });
    await firstLoad(get(), hour(5));
    const window = await planned(get(), ask);
    expect(window).toMatchObject({ kind: 'past', ...past, readFrom: '2026-11-01T00:55:00.000Z' });
    expect(await get().planWindow({ ...ask, owner: owner('second') })).toEqual({
      kind: 'in-progress',
      owner: owner('backfill'),
    });
    await get().commitSource(window.id, 1, receipt(window));
    expect(await get().coverage(CONNECTION, 'Contact')).toEqual([{ from: ORIGIN, until: hour(5) }]);
  });

  test('an abandoned window is planned anew and takes no writes; a staged one cannot be abandoned', async () => {
    const window = await withPlan(get(), request(hour(1)));
    await get().abandonWindow(window.id, 'asked for');
    await get().abandonWindow(window.id, 'asked for again');
    await expect(get().commitPage(window.id, 1, 0, page(0, 0), {})).rejects.toEqual(outdated);
    await expect(get().commitSource(window.id, 1, receipt(window))).rejects.toEqual(outdated);
    const again = await planned(get(), request(hour(1)));
    expect(again.id).not.toBe(window.id);
    await get().commitSource(again.id, 1, receipt(again));
    await expect(get().abandonWindow(again.id, 'too late')).rejects.toEqual(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
  });
}

function sliceTests(get: () => Ledger): void {
  test('progress shows plan, pages, cursors and batches', async () => {
    const window = await planned(get(), request(hour(1)));
    await expect(get().progress(window.id)).rejects.toEqual(internal);
    const plan = { schema, slices: [slice(0), slice(1)], countBefore: null, readAt: hour(1) };
    await get().storePlan(window.id, 1, plan);
    await get().commitPage(window.id, 1, 1, null, { job: 'j1' });
    await get().commitPage(window.id, 1, 0, page(0, 0), { next: 1 });
    await get().commitPage(window.id, 1, 0, page(0, 1, 'b'), { next: 2 });
    await get().sliceExtracted(window.id, 1, 0);
    await get().storeBatch(window.id, 1, 0, batch(window.id, 0));
    expect(await get().progress(window.id)).toEqual({
      window: { ...window, slices: plan.slices },
      schema,
      readAt: hour(1),
      countBefore: null,
      receipt: null,
      slices: [
        {
          slice: slice(0),
          cursor: { next: 2 },
          pages: [page(0, 0), page(0, 1, 'b')],
          extracted: true,
          batch: batch(window.id, 0),
        },
        { slice: slice(1), cursor: { job: 'j1' }, pages: [], extracted: false, batch: null },
      ],
    });
  });

  test('a page that is stored already moves nothing; other content or a gap is refused', async () => {
    const { id } = await withPlan(get(), request(hour(1)));
    await get().commitPage(id, 1, 0, page(0, 0), { next: 1 });
    await get().commitPage(id, 1, 0, page(0, 1), { next: 2 });
    await get().commitPage(id, 1, 0, page(0, 0), { next: 1 });
    expect((await get().progress(id)).slices[0]).toMatchObject({
      cursor: { next: 2 },
      pages: [page(0, 0), page(0, 1)],
    });
    await expect(get().commitPage(id, 1, 0, page(0, 1, 'z'), { next: 9 })).rejects.toEqual(outdated);
    await expect(get().commitPage(id, 1, 0, page(0, 3), { next: 9 })).rejects.toEqual(internal);
    await expect(get().commitPage(id, 1, 0, page(1, 2), { next: 9 })).rejects.toEqual(internal);
    expect((await get().progress(id)).slices[0]).toMatchObject({ cursor: { next: 2 } });
  });

  test('the same plan keeps the progress; another plan, or a reset, starts anew', async () => {
    const { id } = await withPlan(get(), request(hour(1)));
    const plan = { schema, slices: [slice(0)], countBefore: 11, readAt: hour(1) };
    await get().commitPage(id, 1, 0, page(0, 0), { next: 1 });
    await get().storePlan(id, 1, plan);
    expect(await get().progress(id)).toMatchObject({ countBefore: 11, slices: [{ pages: [page(0, 0)] }] });
    await get().storePlan(id, 1, { ...plan, reset: true });
    expect((await get().progress(id)).slices).toMatchObject([{ pages: [], cursor: null }]);
    await get().commitPage(id, 1, 0, page(0, 0), { next: 1 });
    await get().storePlan(id, 1, { ...plan, slices: [slice(0), slice(1)] });
    expect((await get().progress(id)).slices).toMatchObject([{ pages: [] }, { pages: [] }]);
  });

  test('a restarted slice forgets its pages, its batch and what was loaded of it; the others stay', async () => {
    const { id } = await withPlan(get(), request(hour(1)), 2);
    for (const index of [0, 1]) {
      await get().commitPage(id, 1, index, page(index, 0), { next: 1 });
      await get().sliceExtracted(id, 1, index);
      await get().storeBatch(id, 1, index, batch(id, index));
      await get().storeLoad(SINK, id, 1, load(`b_${index}`));
    }
    await get().restartSlice(id, 1, 0);
    const { slices } = await get().progress(id);
    expect(slices[0]).toEqual({ slice: slice(0), cursor: null, pages: [], extracted: false, batch: null });
    expect(slices[1]).toMatchObject({ extracted: true, batch: batch(id, 1), pages: [page(1, 0)] });
    expect(await get().loads(SINK, id)).toEqual([load('b_1')]);
  });

  test('a newer batch takes the older one’s load away; a repeated load keeps the first receipt', async () => {
    const { id } = await withPlan(get(), request(hour(1)));
    await get().storeBatch(id, 1, 0, batch(id, 0, 'b_old'));
    await get().storeLoad(SINK, id, 1, load('b_old'));
    await get().storeLoad(SINK, id, 1, load('b_old', { alreadyApplied: true, inserted: 0, unchanged: 10 }));
    expect(await get().loads(SINK, id)).toEqual([load('b_old')]);
    await get().storeBatch(id, 1, 0, batch(id, 0, 'b_new'));
    expect(await get().loads(SINK, id)).toEqual([]);
    await get().storeLoad(SINK, id, 1, load('b_new'));
    await get().storeLoad('other', id, 1, load('b_new', { updated: 1 }));
    expect(await get().loads(SINK, id)).toEqual([load('b_new')]);
  });
}

function commitTests(get: () => Ledger): void {
  test('commits repeat without effect, and nothing is written to a proven window', async () => {
    const window = await withPlan(get(), request(hour(1)));
    await get().commitSource(window.id, 1, receipt(window));
    await get().commitSource(window.id, 1, { ...receipt(window), verdict: 'moved' });
    expect((await get().progress(window.id)).receipt).toEqual(receipt(window));
    await expect(get().commitPage(window.id, 1, 0, page(0, 0), {})).rejects.toEqual(outdated);
    await get().storeLoad(SINK, window.id, 1, load('b_0'));
  });

  test('a failed receipt is never committed', async () => {
    const window = await planned(get(), request(hour(1)));
    await expect(get().commitSource(window.id, 1, { ...receipt(window), verdict: 'failed' })).rejects.toEqual(
      internal,
    );
    expect(await get().coverage(CONNECTION, 'Contact')).toEqual([]);
  });

  test('one refused window refuses the whole group', async () => {
    const [a, b] = [
      await planned(get(), request(hour(1), { object: 'a' })),
      await planned(get(), request(hour(1), { object: 'b' })),
    ];
    await planned(
      get(),
      request(hour(1), { object: 'b', owner: owner('two'), closedOwners: [owner('one')] }),
    );
    const group = [a, b].map((window) => ({ window: window.id, attempt: 1, receipt: receipt(window) }));
    await expect(get().commitSources(group)).rejects.toEqual(outdated);
    expect(await get().coverage(CONNECTION, 'a')).toEqual([]);
    await get().commitSources(group.slice(0, 1));
    expect(await get().coverage(CONNECTION, 'a')).toEqual([{ from: ORIGIN, until: hour(1) }]);
  });

  test('windows may be proven in any order; the coverage joins them', async () => {
    await firstLoad(get(), hour(1));
    const second = await planned(get(), request(hour(2)));
    const third = await planned(get(), request(hour(3), { owner: owner('two') }));
    expect(third).toMatchObject({ from: hour(2), until: hour(3) });
    await get().commitSource(third.id, 1, receipt(third));
    expect(await get().coverage(CONNECTION, 'Contact')).toEqual([
      { from: ORIGIN, until: hour(1) },
      { from: hour(2), until: hour(3) },
    ]);
    await get().commitSource(second.id, 1, receipt(second));
    expect(await get().coverage(CONNECTION, 'Contact')).toEqual([{ from: ORIGIN, until: hour(3) }]);
  });

  test('a sink lands staged windows only; its state never moves back within an epoch', async () => {
    const window = await planned(get(), request(hour(1)));
    const landing = [{ window: window.id, attempt: 1 }];
    await expect(get().commitSink(SINK, landing, { epoch: 'e', seq: 1 })).rejects.toEqual(internal);
    await get().commitSource(window.id, 1, receipt(window));
    expect(await get().undelivered(SINK, CONNECTION)).toMatchObject([{ id: window.id }]);
    await get().commitSink(SINK, landing, { epoch: 'e', seq: 5 });
    await get().commitSink(SINK, landing, { epoch: 'e', seq: 4 });
    expect(await get().sinkState(SINK)).toEqual({ epoch: 'e', seq: 5 });
    await get().commitSink(SINK, [], { epoch: 'f', seq: 1 });
    expect(await get().sinkState(SINK)).toEqual({ epoch: 'f', seq: 1 });
    expect(await get().sinkCoverage(SINK, CONNECTION, 'Contact')).toEqual([{ from: ORIGIN, until: hour(1) }]);
    expect(await get().undelivered(SINK, CONNECTION)).toEqual([]);
    expect(await get().undelivered('other', CONNECTION)).toHaveLength(1);
  });

  test('a later reading of the same interval that has landed stands for the older one', async () => {
    const first = await firstLoad(get(), hour(3));
    const past = { from: ORIGIN, until: hour(3) };
    const again = await planned(get(), request(hour(3), { past, owner: owner('backfill') }));
    await get().commitSource(again.id, 1, receipt(again));
    expect((await get().undelivered(SINK, CONNECTION)).map((one) => one.id)).toEqual([first.id, again.id]);
    await get().commitSink(SINK, [{ window: again.id, attempt: 1 }], { epoch: 'e', seq: 1 });
    expect(await get().undelivered(SINK, CONNECTION)).toEqual([]);
  });

  test('a reset sink has landed nothing, of one connection or of all', async () => {
    const landing = async (connection: string) => {
      const window = await firstLoad(get(), hour(1), { connection });
      await get().commitSink(SINK, [{ window: window.id, attempt: 1 }], { epoch: 'e', seq: 1 });
    };
    await landing(CONNECTION);
    await landing('other');
    await get().resetSink(SINK, { connection: CONNECTION });
    expect(await get().undelivered(SINK, CONNECTION)).toHaveLength(1);
    expect(await get().undelivered(SINK, 'other')).toHaveLength(0);
    expect(await get().sinkCoverage(SINK, CONNECTION, 'Contact')).toEqual([]);
    await get().resetSink(SINK, {});
    expect(await get().undelivered(SINK, 'other')).toHaveLength(1);
    expect(await get().sinkState(SINK)).toBeNull();
    expect(await get().coverage('other', 'Contact')).toHaveLength(1);
  });

  test('an older ledger takes over what the warehouse proves', async () => {
    const stale = await planned(get(), request(hour(1)));
    const rows = [stale, { ...stale, id: 'w_unknown', from: hour(1), until: hour(2) }].map((window) => ({
      connection: CONNECTION,
      object: 'Contact',
      from: window.from,
      until: window.until,
      window: window.id,
      receipt: receipt(window),
    }));
    await get().adoptIntervals(SINK, rows, { epoch: 'e', seq: 9 });
    await get().adoptIntervals(SINK, rows, { epoch: 'e', seq: 9 });
    expect(await get().coverage(CONNECTION, 'Contact')).toEqual([{ from: ORIGIN, until: hour(2) }]);
    expect(await get().sinkCoverage(SINK, CONNECTION, 'Contact')).toEqual([{ from: ORIGIN, until: hour(2) }]);
    expect(await get().sinkState(SINK)).toEqual({ epoch: 'e', seq: 9 });
    expect(await get().undelivered(SINK, CONNECTION)).toEqual([]);
    expect(await get().openWindows(CONNECTION)).toEqual([]);
    expect(await get().planWindow(request(hour(3)))).toMatchObject({
      window: { from: hour(2), until: hour(3) },
    });
  });
}
