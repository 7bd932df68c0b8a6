import { describe, expect, test } from '@jest/globals';
import { EVOLVE, NAME, T, code, row, signal } from './warehouse-harness.ts';
import type { Harness } from './warehouse-harness.ts';
import { field, schemaOf } from './warehouse-fixture.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';

export function schemaTests(h: Harness): void {
  describe('schema', () => {
    const more = schemaOf([field('Name'), field('Age', { kind: 'integer' })]);
    const kinds = (changes: Awaited<ReturnType<Warehouse['migrate']>>) =>
      changes.map((change) => `${change.change} ${change.action}`);

    test('an equal schema is no change', async () => {
      expect(await h.warehouse.migrate('crm', NAME, EVOLVE)).toEqual([]);
    });

    test('evolve adds a column and keeps one that is described no more', async () => {
      await h.warehouse.migrate('crm', more, EVOLVE);
      await h.warehouse.load(await h.bench.batch(more, { csv: [[...row('1', 1, 'a'), '7']] }), signal);
      expect(kinds(await h.warehouse.migrate('crm', NAME, EVOLVE))).toEqual(['remove_column kept']);
      expect(await h.warehouse.migrate('crm', NAME, EVOLVE)).toEqual([]);
      await h.load({ csv: [row('1', 2, 'b'), row('2', 2, 'c')] });
      expect(await h.select('SELECT id, name, age FROM crm.contact ORDER BY id')).toEqual([
        ['1', 'b', '7'],
        ['2', 'c', null],
      ]);
    });

    test('freeze refuses and changes nothing', async () => {
      expect(await code(h.warehouse.migrate('crm', more, { ...EVOLVE, columns: 'freeze' }))).toBe(
        'SCHEMA_FROZEN',
      );
      expect(await h.select('SELECT name FROM crm.contact')).toEqual([]);
      await expect(h.warehouse.query('SELECT age FROM crm.contact', 1)).rejects.toThrow();
      const other = { ...NAME, table: 'other' };
      expect(await code(h.warehouse.migrate('crm', other, { ...EVOLVE, tables: 'freeze' }))).toBe(
        'SCHEMA_FROZEN',
      );
    });

    test.each(['discard', 'quarantine'] as const)('%s leaves a new column out', async (mode) => {
      const policy = { ...EVOLVE, columns: mode };
      expect(kinds(await h.warehouse.migrate('crm', more, policy))).toEqual(['add_column ignored']);
      expect(await h.warehouse.migrate('crm', more, policy)).toEqual([]);
      await h.warehouse.load(await h.bench.batch(more, { csv: [[...row('1', 1, 'a'), '7']] }), signal);
      expect(await h.contacts()).toEqual([['1', 'a', false]]);
      const aside = await h.select('SELECT record, field, value FROM _headwater.quarantine');
      expect(aside).toEqual(mode === 'quarantine' ? [['1', 'Age', '7']] : []);
    });

    test('a type that holds all old values is widened in place', async () => {
      const narrow = schemaOf([field('N', { kind: 'decimal', precision: 10, scale: 2 })], {
        table: 'deal',
      });
      await h.warehouse.migrate('crm', narrow, EVOLVE);
      await h.warehouse.load(
        await h.bench.batch(narrow, { csv: [['1', T(1), 'false', '12345678.90']] }),
        signal,
      );
      const wide = schemaOf([field('N', { kind: 'decimal', precision: 18, scale: 6 })], { table: 'deal' });
      expect(kinds(await h.warehouse.migrate('crm', wide, EVOLVE))).toEqual(['widen_type applied']);
      await h.warehouse.load(await h.bench.batch(wide, { csv: [['2', T(1), 'false', '1.234567']] }), signal);
      expect(await h.select('SELECT id, n FROM crm.deal ORDER BY id')).toEqual([
        ['1', '12345678.900000'],
        ['2', '1.234567'],
      ]);
      // The narrower description that comes later still fits.
      expect(await h.warehouse.migrate('crm', narrow, EVOLVE)).toEqual([]);
    });

    test('another type gets a column of its own and the old values stay', async () => {
      const text = schemaOf([field('V', { kind: 'boolean' })], { table: 'deal' });
      const number = schemaOf([field('V', { kind: 'integer' })], { table: 'deal' });
      await h.warehouse.migrate('crm', text, EVOLVE);
      await h.warehouse.load(await h.bench.batch(text, { csv: [['1', T(1), 'false', 'true']] }), signal);
      expect(kinds(await h.warehouse.migrate('crm', number, EVOLVE))).toEqual(['retype_column applied']);
      expect(await h.warehouse.migrate('crm', number, EVOLVE)).toEqual([]);
      await h.warehouse.load(await h.bench.batch(number, { csv: [['1', T(2), 'false', '5']] }), signal);
      expect(await h.select('SELECT v, v__v2 FROM crm.deal')).toEqual([[true, '5']]);
    });

    test('names with quotes, reserved words and other scripts are safe', async () => {
      const odd = schemaOf(
        ['select', 'a"b', "o'x", 'größe', '客户', 'x'.repeat(80), 'drop table'].map((name) => field(name)),
        { table: 'or"der' },
      );
      await h.warehouse.migrate('crm', odd, EVOLVE);
      await h.warehouse.load(
        await h.bench.batch(odd, { csv: [['1', T(1), 'false', 'a', 'b', 'c', 'd', 'e', 'f', 'g']] }),
        signal,
      );
      expect(await h.warehouse.count('crm', 'or"der')).toBe(1);
    });

    test('columns that differ by case only are refused', async () => {
      const clash = schemaOf([field('Name'), { ...field('NAME'), column: 'NAME' }]);
      expect(await code(h.warehouse.migrate('crm', clash, EVOLVE))).toBe('WAREHOUSE_REJECTED');
    });
  });
}
