import { describe, expect, test } from '@jest/globals';
import { EVOLVE, NAME, T, code, none, row, signal, tally } from './warehouse-harness.ts';
import type { Harness } from './warehouse-harness.ts';
import { field, intervalOf, schemaOf, windowOf } from './warehouse-fixture.ts';
import type { Rows } from './warehouse-fixture.ts';

export function loadTests(h: Harness): void {
  describe('load', () => {
    test('the same batch twice is a no-op with the first counts', async () => {
      const request = await h.make({ csv: [row('1', 1, 'a'), row('2', 1, 'b')] });
      expect(tally(await h.warehouse.load(request, signal))).toEqual({ ...none, inserted: 2 });
      expect(tally(await h.warehouse.load(request, signal))).toEqual({
        ...none,
        inserted: 2,
        alreadyApplied: true,
      });
      expect(await h.warehouse.count('crm', 'contact')).toBe(2);
    });

    test('an older version never overwrites a newer one', async () => {
      await h.load({ csv: [row('1', 5, 'new')] });
      expect(await h.load({ csv: [row('1', 4, 'old')] })).toEqual({ ...none, stale: 1 });
      expect(await h.load({ csv: [row('1', 6, 'newest'), row('2', 1, 'x')] })).toEqual({
        ...none,
        inserted: 1,
        updated: 1,
      });
      expect(await h.contacts()).toEqual([
        ['1', 'newest', false],
        ['2', 'x', false],
      ]);
    });

    test('of equal stamps the one confirmed later wins, in either order', async () => {
      const early = { csv: [row('1', 1, 'early')] };
      const late = { csv: [row('1', 1, 'late')] };
      await h.load(early, { confirmedAt: T(10) });
      expect(await h.load(late, { confirmedAt: T(20) })).toEqual({ ...none, updated: 1 });
      expect(await h.load(early, { confirmedAt: T(10) })).toEqual({ ...none, stale: 1 });
      expect(await h.contacts()).toEqual([['1', 'late', false]]);
    });

    test('of equal stamps confirmed at once the hash decides, in either order', async () => {
      const pair = [row('1', 1, 'a'), row('1', 1, 'b')];
      const results: unknown[] = [];
      for (const order of [pair, pair.toReversed()]) {
        const other = await h.another();
        await other.migrate('crm', NAME, EVOLVE);
        for (const one of order) await other.load(await h.make({ csv: [one] }), signal);
        results.push((await other.query('SELECT name FROM crm.contact', 9)).rows);
        await other.close();
      }
      expect(results[0]).toEqual(results[1]);
    });

    test('equal content only moves _confirmed_at', async () => {
      await h.load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(10) });
      const before = await h.select('SELECT _loaded_at, _window FROM crm.contact');
      const again = await h.load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(20), window: windowOf('w2') });
      expect(again).toEqual({ ...none, unchanged: 1 });
      expect(await h.select('SELECT _loaded_at, _window FROM crm.contact')).toEqual(before);
      expect(await h.select('SELECT extract(epoch FROM _confirmed_at)::INTEGER FROM crm.contact')).toEqual([
        [Date.parse(T(20)) / 1000],
      ]);
    });

    test('a file whose rows are not those that were shaped is refused', async () => {
      const request = await h.make({ csv: [row('1', 1, 'a')] });
      request.batch.counts.shaped = 2;
      expect(await code(h.warehouse.load(request, signal))).toBe('WAREHOUSE_REJECTED');
      expect(await h.warehouse.count('crm', 'contact')).toBe(0);
    });

    test('a load that is stopped in its middle is rolled back, and the next one works', async () => {
      const csv = Array.from({ length: 100_000 }, (_, at) => row(String(at), at % 60, `name ${at}`));
      const request = await h.make({ csv });
      const controller = new AbortController();
      const loading = h.warehouse.load(request, controller.signal);
      setTimeout(() => controller.abort(new Error('stop')), 15);
      await expect(loading).rejects.toThrow('stop');
      expect(await h.warehouse.count('crm', 'contact')).toBe(0);
      expect(await h.select('SELECT count(*)::INTEGER FROM _headwater.batches')).toEqual([[0]]);
      expect(tally(await h.warehouse.load(request, signal))).toEqual({ ...none, inserted: 100_000 });
      const sums =
        'SELECT count(*)::INTEGER, count(DISTINCT name)::INTEGER, sum(id::BIGINT)::VARCHAR FROM crm.contact';
      expect(await h.select(sums)).toEqual([[100_000, 100_000, String((100_000 * 99_999) / 2)]]);
    });

    test('a staged file that is gone is told as such', async () => {
      const request = await h.make({ csv: [row('1', 1, 'a')] });
      request.files.rows = ['/nowhere/rows'];
      expect(await code(h.warehouse.load(request, signal))).toBe('STAGE_MISSING');
    });

    test('an aborted load leaves nothing behind', async () => {
      const request = await h.make({ csv: [row('1', 1, 'a')] });
      const controller = new AbortController();
      controller.abort(new Error('stop'));
      await expect(h.warehouse.load(request, controller.signal)).rejects.toThrow('stop');
      expect(await h.warehouse.count('crm', 'contact')).toBe(0);
      expect(tally(await h.warehouse.load(request, signal))).toEqual({ ...none, inserted: 1 });
    });
  });
}

export function deletionTests(h: Harness): void {
  describe('deletions', () => {
    const gone = (id: string, second: number): Rows => ({ tombstones: [{ id, deletedAt: T(second) }] });

    test('a tombstone keeps the values, and a late older update does not revive the row', async () => {
      await h.load({ csv: [row('1', 1, 'a')] });
      expect(await h.load(gone('1', 5))).toEqual({ ...none, updated: 1 });
      expect(await h.load({ csv: [row('1', 3, 'late')] })).toEqual({ ...none, stale: 1 });
      expect(await h.contacts()).toEqual([['1', 'a', true]]);
      expect(await h.warehouse.count('crm', 'contact')).toBe(0);
    });

    test('a tombstone of an unknown key is a row, which an older update does not revive', async () => {
      expect(await h.load(gone('9', 5))).toEqual({ ...none, inserted: 1 });
      expect(await h.load({ csv: [row('9', 4, 'late')] })).toEqual({ ...none, stale: 1 });
      expect(await h.contacts()).toEqual([['9', null, true]]);
    });

    test('an older tombstone changes nothing, a repeated one only its time', async () => {
      await h.load({ csv: [row('1', 5, 'a')] });
      expect(await h.load(gone('1', 4))).toEqual({ ...none, stale: 1 });
      await h.load(gone('1', 6));
      expect(await h.load(gone('1', 6))).toEqual({ ...none, unchanged: 1 });
      expect(await h.contacts()).toEqual([['1', 'a', true]]);
    });

    test('a newer row undeletes, also with the same content but for its stamp', async () => {
      await h.load({ csv: [row('1', 1, 'a')] });
      await h.load(gone('1', 2));
      expect(await h.load({ csv: [row('1', 3, 'a')] })).toEqual({ ...none, updated: 1 });
      expect(await h.contacts()).toEqual([['1', 'a', false]]);
    });

    test('a row that is read again after its tombstone of the same second lives', async () => {
      await h.load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(10) });
      await h.load(gone('1', 1), { confirmedAt: T(20) });
      expect(await h.contacts()).toEqual([['1', 'a', true]]);
      await h.load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(30) });
      expect(await h.contacts()).toEqual([['1', 'a', false]]);
    });

    test('a soft delete comes with its row', async () => {
      await h.load({ csv: [row('1', 1, 'a')] });
      expect(await h.load({ csv: [row('1', 2, 'a', true)] })).toEqual({ ...none, updated: 1 });
      expect(await h.contacts()).toEqual([['1', 'a', true]]);
    });
  });
}

export function attemptTests(h: Harness): void {
  describe('attempts and batches', () => {
    test('a lower attempt than one seen for the window is refused', async () => {
      await h.load({ csv: [row('1', 1, 'a')] }, { window: windowOf('w1', { attempt: 2 }) });
      const zombie = await h.make(
        { csv: [row('2', 1, 'b')] },
        { window: windowOf('w1', { attempt: 1 }), slice: 1 },
      );
      expect(await code(h.warehouse.load(zombie, signal))).toBe('ATTEMPT_OUTDATED');
      expect(await code(h.warehouse.closeWindows([intervalOf('w1', [], 1)]))).toBe('ATTEMPT_OUTDATED');
      expect(await h.warehouse.count('crm', 'contact')).toBe(1);
      expect((await h.warehouse.sinkState()).seq).toBe(0);
    });

    test('a newer batch of a slice replaces the older one, and the older one can come back', async () => {
      const replaced = (): Promise<unknown[][]> =>
        h.select('SELECT batch, replaced_by FROM _headwater.batches ORDER BY batch');
      const first = await h.make({ csv: [row('1', 1, 'a')] }, { id: 'b_a' });
      await h.warehouse.load(first, signal);
      await h.load(
        { csv: [row('1', 1, 'a'), row('2', 1, 'b')] },
        { id: 'b_b', window: windowOf('w1', { attempt: 2 }) },
      );
      expect(await replaced()).toEqual([
        ['b_a', 'b_b'],
        ['b_b', null],
      ]);
      expect(await code(h.warehouse.load(first, signal))).toBe('ATTEMPT_OUTDATED');
      const back = { ...first, window: windowOf('w1', { attempt: 3 }) };
      expect((await h.warehouse.load(back, signal)).alreadyApplied).toBe(true);
      expect(await replaced()).toEqual([
        ['b_a', null],
        ['b_b', 'b_a'],
      ]);
    });

    test('bad rows are set aside with the batch', async () => {
      const schema = schemaOf(
        [field('Name'), field('Amount', { kind: 'decimal', precision: 18, scale: 2 })],
        { table: 'deal' },
      );
      await h.warehouse.migrate('crm', schema, EVOLVE);
      const request = await h.bench.batch(schema, {
        csv: [
          ['1', T(1), 'false', 'a', '1.239'],
          ['2', T(1), 'false', 'b', '1.20'],
        ],
      });
      await h.warehouse.load(request, signal);
      expect(await h.select('SELECT record, field, value FROM _headwater.quarantine')).toEqual([
        ['1', 'Amount', '1.239'],
      ]);
      expect(await h.select('SELECT id, amount FROM crm.deal')).toEqual([['2', '1.20']]);
    });

    test('verify tells what is there at a version at least as new', async () => {
      const request = await h.make({
        csv: [row('1', 5, 'a'), row('2', 5, 'b')],
        tombstones: [{ id: '3', deletedAt: T(1) }],
      });
      expect(await h.warehouse.verify(request)).toEqual({ present: 0, missing: 3 });
      await h.load({ csv: [row('1', 6, 'a'), row('2', 4, 'b')] });
      expect(await h.warehouse.verify(request)).toEqual({ present: 1, missing: 2 });
      await h.warehouse.load(request, signal);
      expect(await h.warehouse.verify(request)).toEqual({ present: 3, missing: 0 });
    });
  });
}

export function intervalTests(h: Harness): void {
  describe('intervals', () => {
    test('closing windows raises seq by one each, and a second time changes nothing', async () => {
      const start = await h.warehouse.sinkState();
      expect(start.seq).toBe(0);
      const rows = [intervalOf('w1', ['b_1']), intervalOf('w2', [])];
      expect(await h.warehouse.closeWindows(rows)).toEqual({ epoch: start.epoch, seq: 2 });
      expect(await h.warehouse.closeWindows([...rows, intervalOf('w3', ["it's", '"b"'])])).toEqual({
        epoch: start.epoch,
        seq: 3,
      });
      expect(await h.warehouse.sinkState()).toEqual({ epoch: start.epoch, seq: 3 });
      const after = await h.warehouse.intervals(1);
      expect(after.map(({ seq, ...interval }) => [seq, interval])).toEqual([
        [2, rows[1]],
        [3, intervalOf('w3', ["it's", '"b"'])],
      ]);
    });
  });
}
