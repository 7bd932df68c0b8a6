import { describe, expect, test } from '@jest/globals';
import { ORIGIN } from '../../schemas/instant.ts';
import type { WarehouseAudit } from '../../warehouses/warehouse.ts';
import { windowOf } from './warehouse-fixture.ts';
import { NAME, row, signal, T, type Harness } from './warehouse-harness.ts';

const UNTIL = '2026-06-01T00:00:00.000Z';
const LATER = '2026-06-01T00:02:00.000Z';

/** What an audit and a replay of quarantined records ask; a warehouse that has no audit is left out, visibly. */
export function auditTests(h: Harness): void {
  describe('audit', () => {
    const audit = (): WarehouseAudit => {
      const methods = h.warehouse.audit;
      if (methods === undefined) throw new Error('this warehouse cannot be audited');
      return methods;
    };
    const fill = () =>
      h.load({ csv: [row('1', 1, 'a'), row('2', 2, 'b'), row('3', 2, 'c'), row('4', 4, 'd', true)] });

    test('counts by interval, with and without tombstones; no table holds nothing', async () => {
      await fill();
      const intervals = [
        { from: ORIGIN, until: T(2) },
        { from: T(2), until: T(4) },
        { from: T(4), until: UNTIL },
      ];
      expect(await audit().counts('crm', NAME, intervals)).toEqual([
        { all: 1, alive: 1 },
        { all: 2, alive: 2 },
        { all: 1, alive: 0 },
      ]);
      const absent = { ...NAME, table: 'absent' };
      expect(await audit().counts('crm', absent, intervals.slice(1))).toEqual([
        { all: 0, alive: 0 },
        { all: 0, alive: 0 },
      ]);
      expect(await audit().sample('crm', absent, UNTIL, 3, 's')).toEqual([]);
    });

    test('versions come in order, rows of one moment together; too many of one moment are told as such', async () => {
      await fill();
      const all = { from: ORIGIN, until: UNTIL };
      const records = async (interval: typeof all, rowsMax: number) =>
        (await audit().versions('crm', NAME, interval, rowsMax))?.map(({ record }) => record) ?? null;
      expect(await records(all, 10)).toEqual(['1', '2', '3', '4']);
      expect(await records(all, 2)).toEqual(['1', '2', '3']);
      expect(await records({ from: T(2), until: T(4) }, 10)).toEqual(['2', '3']);
      await h.load({ csv: [row('5', 2, 'e')] }, { window: windowOf('w2'), id: 'b2' });
      expect(await records({ from: T(2), until: T(4) }, 1)).toBeNull();
      const held = { record: '4', version: T(4), deleted: true };
      expect(await audit().held('crm', NAME, ['4', 'nobody'])).toEqual([held]);
    });

    test('a sample is living rows before the end, the same for the same seed', async () => {
      await fill();
      const sample = (rows: number, seed: string) => audit().sample('crm', NAME, UNTIL, rows, seed);
      expect((await sample(10, 'a')).toSorted()).toEqual(['1', '2', '3']);
      expect(await sample(2, 'a')).toEqual((await sample(10, 'a')).slice(0, 2));
      const seeds = Array.from({ length: 30 }, (_, index) => sample(1, String(index)));
      expect(new Set((await Promise.all(seeds)).flat()).size).toBe(3);
      expect(await audit().sample('crm', NAME, T(2), 10, 'a')).toEqual(['1']);
    });

    test('each way in which a staged row and the table differ has a name, and the columns are told', async () => {
      await fill();
      const request = await h.make(
        {
          csv: [
            ...[row('1', 1, 'a'), row('2', 3, 'b'), row('3', 2, 'changed'), row('4', 4, 'd')],
            ...[row('5', 5, 'new'), row('6', 6, 'never here', true)],
          ],
        },
        { window: windowOf('byid_1'), id: 'b_byid', confirmedAt: LATER },
      );
      const compared = await audit().compare(request, []);
      const told = compared.map(({ record, state, columns }) => [record, state, columns]);
      expect(told.toSorted()).toEqual([
        ['1', 'same', []],
        ['2', 'outdated', []],
        ['3', 'altered', ['Name']],
        ['4', 'lost', []],
        ['5', 'missing', []],
        ['6', 'same', []],
      ]);
      const without = await audit().compare(request, ['Name']);
      expect(without.find(({ record }) => record === '3')?.state).toBe('same');
      const gone = await h.make(
        { csv: [row('1', 1, 'a', true), row('2', 1, 'b'), row('4', 2, 'd', true)] },
        { window: windowOf('byid_2'), id: 'b_byid2', confirmedAt: LATER },
      );
      expect(
        (await audit().compare(gone, [])).map(({ record, state }) => [record, state]).toSorted(),
      ).toEqual([
        ['1', 'kept'],
        ['2', 'newer'],
        ['4', 'same'],
      ]);
    });

    test('a row in doubt is written again by a load of equal content, any other is not', async () => {
      await fill();
      const again = await h.make(
        { csv: [row('1', 1, 'a'), row('2', 2, 'b')] },
        { window: windowOf('byid_1'), id: 'b_again', confirmedAt: LATER },
      );
      await audit().doubt('crm', NAME, ['1']);
      const { updated, unchanged } = await h.warehouse.load(again, signal);
      expect({ updated, unchanged }).toEqual({ updated: 1, unchanged: 1 });
      expect((await audit().compare(again, [])).every(({ state }) => state === 'same')).toBe(true);
    });

    test('records that were set aside are open until they are resolved, but for entries of the replay itself', async () => {
      const entry = (window: string, record: string, reason: string) => ({
        ...{
          batch: `b_${window}`,
          window,
          connection: 'crm',
          object: 'Contact',
          record,
          field: 'email',
          reason,
        },
      });
      await h.warehouse.setAside([entry('w1', '7', 'no e-mail'), entry('w1', '8', 'no e-mail')]);
      await h.warehouse.setAside([entry('byid_1', '8', 'still none')]);
      const open = () => audit().quarantined('crm', null, 10);
      expect((await open()).map(({ record }) => record)).toEqual(['7', '8']);
      expect(await audit().quarantined('crm', 'Lead', 10)).toEqual([]);
      expect(await audit().quarantined('crm', 'Contact', 1)).toHaveLength(1);
      expect(await audit().resolve('crm', 'Contact', ['7', '8'], T(9), 'byid_1')).toBe(2);
      expect(await open()).toEqual([
        { object: 'Contact', record: '8', reasons: [{ field: 'email', reason: 'still none' }] },
      ]);
      expect(await audit().resolve('crm', 'Contact', ['7', '8'], T(9), 'byid_1')).toBe(0);
    });
  });
}
