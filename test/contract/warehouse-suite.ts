import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { EvolutionPolicy, LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import { field, intervalOf, openBench, schemaOf, windowOf } from './warehouse-fixture.ts';
import type { Bench, BatchOptions, Rows } from './warehouse-fixture.ts';

export const EVOLVE: EvolutionPolicy = { tables: 'evolve', columns: 'evolve', types: 'evolve' };

/** What the suite needs: an empty warehouse that keeps its data in the given folder. */
export interface WarehouseFixture {
  open(folder: string): Promise<Warehouse>;
}

const NAME = schemaOf([field('Name')]);
const signal = new AbortController().signal;
const T = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: HeadwaterError) => error.code,
  );

export function warehouseSuite(name: string, fixture: WarehouseFixture): void {
  describe(`warehouse ${name}`, () => {
    let bench: Bench;
    let warehouse: Warehouse;
    beforeAll(async () => {
      bench = await openBench();
    });
    afterAll(() => bench.close());
    let opened = 0;
    beforeEach(async () => {
      warehouse = await fixture.open(`${bench.folder}/warehouse-${opened++}`);
      await warehouse.migrate('crm', NAME, EVOLVE);
    });
    afterEach(() => warehouse.close());

    const row = (id: string, second: number, text: string | null, deleted = false): (string | null)[] => [
      id,
      T(second),
      String(deleted),
      text,
    ];
    const make = (rows: Rows, options?: BatchOptions): Promise<LoadRequest> =>
      bench.batch(NAME, rows, options);
    const load = async (rows: Rows, options?: BatchOptions) => {
      const request = await make(rows, options);
      return tally(await warehouse.load(request, signal));
    };
    const tally = ({
      inserted,
      updated,
      unchanged,
      stale,
      alreadyApplied,
    }: Awaited<ReturnType<Warehouse['load']>>) => ({
      ...{ inserted, updated, unchanged, stale },
      ...(alreadyApplied ? { alreadyApplied } : {}),
    });
    const none = { inserted: 0, updated: 0, unchanged: 0, stale: 0 };
    const select = async (sql: string): Promise<unknown[][]> => (await warehouse.query(sql, 1_000)).rows;
    const contacts = (): Promise<unknown[][]> =>
      select('SELECT id, name, _deleted FROM crm.contact ORDER BY id');

    describe('load', () => {
      test('the same batch twice is a no-op with the first counts', async () => {
        const request = await make({ csv: [row('1', 1, 'a'), row('2', 1, 'b')] });
        expect(tally(await warehouse.load(request, signal))).toEqual({ ...none, inserted: 2 });
        expect(tally(await warehouse.load(request, signal))).toEqual({
          ...none,
          inserted: 2,
          alreadyApplied: true,
        });
        expect(await warehouse.count('crm', 'contact')).toBe(2);
      });

      test('an older version never overwrites a newer one', async () => {
        await load({ csv: [row('1', 5, 'new')] });
        expect(await load({ csv: [row('1', 4, 'old')] })).toEqual({ ...none, stale: 1 });
        expect(await load({ csv: [row('1', 6, 'newest'), row('2', 1, 'x')] })).toEqual({
          ...none,
          inserted: 1,
          updated: 1,
        });
        expect(await contacts()).toEqual([
          ['1', 'newest', false],
          ['2', 'x', false],
        ]);
      });

      test('of equal stamps the one confirmed later wins, in either order', async () => {
        const early = { csv: [row('1', 1, 'early')] };
        const late = { csv: [row('1', 1, 'late')] };
        await load(early, { confirmedAt: T(10) });
        expect(await load(late, { confirmedAt: T(20) })).toEqual({ ...none, updated: 1 });
        expect(await load(early, { confirmedAt: T(10) })).toEqual({ ...none, stale: 1 });
        expect(await contacts()).toEqual([['1', 'late', false]]);
      });

      test('of equal stamps confirmed at once the hash decides, in either order', async () => {
        const pair = [row('1', 1, 'a'), row('1', 1, 'b')];
        const results: unknown[] = [];
        for (const order of [pair, pair.toReversed()]) {
          const other = await fixture.open(`${bench.folder}/order-${opened++}`);
          await other.migrate('crm', NAME, EVOLVE);
          for (const one of order) await other.load(await make({ csv: [one] }), signal);
          results.push((await other.query('SELECT name FROM crm.contact', 9)).rows);
          await other.close();
        }
        expect(results[0]).toEqual(results[1]);
      });

      test('equal content only moves _confirmed_at', async () => {
        await load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(10) });
        const before = await select('SELECT _loaded_at, _window FROM crm.contact');
        const again = await load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(20), window: windowOf('w2') });
        expect(again).toEqual({ ...none, unchanged: 1 });
        expect(await select('SELECT _loaded_at, _window FROM crm.contact')).toEqual(before);
        expect(await select('SELECT epoch(_confirmed_at) FROM crm.contact')).toEqual([
          [Date.parse(T(20)) / 1000],
        ]);
      });

      test('a file whose rows are not those that were shaped is refused', async () => {
        const request = await make({ csv: [row('1', 1, 'a')] });
        request.batch.counts.shaped = 2;
        expect(await code(warehouse.load(request, signal))).toBe('WAREHOUSE_REJECTED');
        expect(await warehouse.count('crm', 'contact')).toBe(0);
      });

      test('an aborted load leaves nothing behind', async () => {
        const request = await make({ csv: [row('1', 1, 'a')] });
        const controller = new AbortController();
        controller.abort(new Error('stop'));
        await expect(warehouse.load(request, controller.signal)).rejects.toThrow('stop');
        expect(await warehouse.count('crm', 'contact')).toBe(0);
        expect(tally(await warehouse.load(request, signal))).toEqual({ ...none, inserted: 1 });
      });
    });

    describe('deletions', () => {
      const gone = (id: string, second: number): Rows => ({ tombstones: [{ id, deletedAt: T(second) }] });

      test('a tombstone keeps the values, and a late older update does not revive the row', async () => {
        await load({ csv: [row('1', 1, 'a')] });
        expect(await load(gone('1', 5))).toEqual({ ...none, updated: 1 });
        expect(await load({ csv: [row('1', 3, 'late')] })).toEqual({ ...none, stale: 1 });
        expect(await contacts()).toEqual([['1', 'a', true]]);
        expect(await warehouse.count('crm', 'contact')).toBe(0);
      });

      test('a tombstone of an unknown key is a row, which an older update does not revive', async () => {
        expect(await load(gone('9', 5))).toEqual({ ...none, inserted: 1 });
        expect(await load({ csv: [row('9', 4, 'late')] })).toEqual({ ...none, stale: 1 });
        expect(await contacts()).toEqual([['9', null, true]]);
      });

      test('an older tombstone changes nothing, a repeated one only its time', async () => {
        await load({ csv: [row('1', 5, 'a')] });
        expect(await load(gone('1', 4))).toEqual({ ...none, stale: 1 });
        await load(gone('1', 6));
        expect(await load(gone('1', 6))).toEqual({ ...none, unchanged: 1 });
        expect(await contacts()).toEqual([['1', 'a', true]]);
      });

      test('a newer row undeletes, also with the same content but for its stamp', async () => {
        await load({ csv: [row('1', 1, 'a')] });
        await load(gone('1', 2));
        expect(await load({ csv: [row('1', 3, 'a')] })).toEqual({ ...none, updated: 1 });
        expect(await contacts()).toEqual([['1', 'a', false]]);
      });

      test('a row that is read again after its tombstone of the same second lives', async () => {
        await load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(10) });
        await load(gone('1', 1), { confirmedAt: T(20) });
        expect(await contacts()).toEqual([['1', 'a', true]]);
        await load({ csv: [row('1', 1, 'a')] }, { confirmedAt: T(30) });
        expect(await contacts()).toEqual([['1', 'a', false]]);
      });

      test('a soft delete comes with its row', async () => {
        await load({ csv: [row('1', 1, 'a')] });
        expect(await load({ csv: [row('1', 2, 'a', true)] })).toEqual({ ...none, updated: 1 });
        expect(await contacts()).toEqual([['1', 'a', true]]);
      });
    });

    describe('attempts and batches', () => {
      test('a lower attempt than one seen for the window is refused', async () => {
        await load({ csv: [row('1', 1, 'a')] }, { window: windowOf('w1', { attempt: 2 }) });
        const zombie = await make(
          { csv: [row('2', 1, 'b')] },
          { window: windowOf('w1', { attempt: 1 }), slice: 1 },
        );
        expect(await code(warehouse.load(zombie, signal))).toBe('ATTEMPT_OUTDATED');
        expect(await code(warehouse.closeWindows([intervalOf('w1', [], 1)]))).toBe('ATTEMPT_OUTDATED');
        expect(await warehouse.count('crm', 'contact')).toBe(1);
        expect((await warehouse.sinkState()).seq).toBe(0);
      });

      test('a newer batch of a slice replaces the older one, and the older one can come back', async () => {
        const replaced = (): Promise<unknown[][]> =>
          select('SELECT batch, replaced_by FROM _headwater.batches ORDER BY batch');
        const first = await make({ csv: [row('1', 1, 'a')] }, { id: 'b_a' });
        await warehouse.load(first, signal);
        await load(
          { csv: [row('1', 1, 'a'), row('2', 1, 'b')] },
          { id: 'b_b', window: windowOf('w1', { attempt: 2 }) },
        );
        expect(await replaced()).toEqual([
          ['b_a', 'b_b'],
          ['b_b', null],
        ]);
        expect(await code(warehouse.load(first, signal))).toBe('ATTEMPT_OUTDATED');
        const back = { ...first, window: windowOf('w1', { attempt: 3 }) };
        expect((await warehouse.load(back, signal)).alreadyApplied).toBe(true);
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
        await warehouse.migrate('crm', schema, EVOLVE);
        const request = await bench.batch(schema, {
          csv: [
            ['1', T(1), 'false', 'a', '1.239'],
            ['2', T(1), 'false', 'b', '1.20'],
          ],
        });
        await warehouse.load(request, signal);
        expect(await select('SELECT record, field, value FROM _headwater.quarantine')).toEqual([
          ['1', 'Amount', '1.239'],
        ]);
        expect(await select('SELECT id, amount FROM crm.deal')).toEqual([['2', '1.20']]);
      });

      test('verify tells what is there at a version at least as new', async () => {
        const request = await make({
          csv: [row('1', 5, 'a'), row('2', 5, 'b')],
          tombstones: [{ id: '3', deletedAt: T(1) }],
        });
        expect(await warehouse.verify(request)).toEqual({ present: 0, missing: 3 });
        await load({ csv: [row('1', 6, 'a'), row('2', 4, 'b')] });
        expect(await warehouse.verify(request)).toEqual({ present: 1, missing: 2 });
        await warehouse.load(request, signal);
        expect(await warehouse.verify(request)).toEqual({ present: 3, missing: 0 });
      });
    });

    describe('intervals', () => {
      test('closing windows raises seq by one each, and a second time changes nothing', async () => {
        const start = await warehouse.sinkState();
        expect(start.seq).toBe(0);
        const rows = [intervalOf('w1', ['b_1']), intervalOf('w2', [])];
        expect(await warehouse.closeWindows(rows)).toEqual({ epoch: start.epoch, seq: 2 });
        expect(await warehouse.closeWindows([...rows, intervalOf('w3', ["it's", '"b"'])])).toEqual({
          epoch: start.epoch,
          seq: 3,
        });
        expect(await warehouse.sinkState()).toEqual({ epoch: start.epoch, seq: 3 });
        const after = await warehouse.intervals(1);
        expect(after.map(({ seq, ...interval }) => [seq, interval])).toEqual([
          [2, rows[1]],
          [3, intervalOf('w3', ["it's", '"b"'])],
        ]);
      });
    });

    describe('schema', () => {
      const more = schemaOf([field('Name'), field('Age', { kind: 'integer' })]);
      const kinds = (changes: Awaited<ReturnType<Warehouse['migrate']>>) =>
        changes.map((change) => `${change.change} ${change.action}`);

      test('an equal schema is no change', async () => {
        expect(await warehouse.migrate('crm', NAME, EVOLVE)).toEqual([]);
      });

      test('evolve adds a column and keeps one that is described no more', async () => {
        await warehouse.migrate('crm', more, EVOLVE);
        await warehouse.load(await bench.batch(more, { csv: [[...row('1', 1, 'a'), '7']] }), signal);
        expect(kinds(await warehouse.migrate('crm', NAME, EVOLVE))).toEqual(['remove_column kept']);
        expect(await warehouse.migrate('crm', NAME, EVOLVE)).toEqual([]);
        await load({ csv: [row('1', 2, 'b'), row('2', 2, 'c')] });
        expect(await select('SELECT id, name, age FROM crm.contact ORDER BY id')).toEqual([
          ['1', 'b', '7'],
          ['2', 'c', null],
        ]);
      });

      test('freeze refuses and changes nothing', async () => {
        expect(await code(warehouse.migrate('crm', more, { ...EVOLVE, columns: 'freeze' }))).toBe(
          'SCHEMA_FROZEN',
        );
        expect(await select('SELECT name FROM crm.contact')).toEqual([]);
        await expect(warehouse.query('SELECT age FROM crm.contact', 1)).rejects.toThrow();
        const other = { ...NAME, table: 'other' };
        expect(await code(warehouse.migrate('crm', other, { ...EVOLVE, tables: 'freeze' }))).toBe(
          'SCHEMA_FROZEN',
        );
      });

      test.each(['discard', 'quarantine'] as const)('%s leaves a new column out', async (mode) => {
        const policy = { ...EVOLVE, columns: mode };
        expect(kinds(await warehouse.migrate('crm', more, policy))).toEqual(['add_column ignored']);
        expect(await warehouse.migrate('crm', more, policy)).toEqual([]);
        await warehouse.load(await bench.batch(more, { csv: [[...row('1', 1, 'a'), '7']] }), signal);
        expect(await contacts()).toEqual([['1', 'a', false]]);
        const aside = await select('SELECT record, field, value FROM _headwater.quarantine');
        expect(aside).toEqual(mode === 'quarantine' ? [['1', 'Age', '7']] : []);
      });

      test('a type that holds all old values is widened in place', async () => {
        const narrow = schemaOf([field('N', { kind: 'decimal', precision: 10, scale: 2 })], {
          table: 'deal',
        });
        await warehouse.migrate('crm', narrow, EVOLVE);
        await warehouse.load(
          await bench.batch(narrow, { csv: [['1', T(1), 'false', '12345678.90']] }),
          signal,
        );
        const wide = schemaOf([field('N', { kind: 'decimal', precision: 18, scale: 6 })], { table: 'deal' });
        expect(kinds(await warehouse.migrate('crm', wide, EVOLVE))).toEqual(['widen_type applied']);
        await warehouse.load(await bench.batch(wide, { csv: [['2', T(1), 'false', '1.234567']] }), signal);
        expect(await select('SELECT id, n FROM crm.deal ORDER BY id')).toEqual([
          ['1', '12345678.900000'],
          ['2', '1.234567'],
        ]);
        // The narrower description that comes later still fits.
        expect(await warehouse.migrate('crm', narrow, EVOLVE)).toEqual([]);
      });

      test('another type gets a column of its own and the old values stay', async () => {
        const text = schemaOf([field('V', { kind: 'boolean' })], { table: 'deal' });
        const number = schemaOf([field('V', { kind: 'integer' })], { table: 'deal' });
        await warehouse.migrate('crm', text, EVOLVE);
        await warehouse.load(await bench.batch(text, { csv: [['1', T(1), 'false', 'true']] }), signal);
        expect(kinds(await warehouse.migrate('crm', number, EVOLVE))).toEqual(['retype_column applied']);
        expect(await warehouse.migrate('crm', number, EVOLVE)).toEqual([]);
        await warehouse.load(await bench.batch(number, { csv: [['1', T(2), 'false', '5']] }), signal);
        expect(await select('SELECT v, v__v2 FROM crm.deal')).toEqual([[true, '5']]);
      });

      test('names with quotes, reserved words and other scripts are safe', async () => {
        const odd = schemaOf(
          ['select', 'a"b', "o'x", 'größe', '客户', 'x'.repeat(80), 'drop table'].map((name) => field(name)),
          { table: 'or"der' },
        );
        await warehouse.migrate('crm', odd, EVOLVE);
        await warehouse.load(
          await bench.batch(odd, { csv: [['1', T(1), 'false', 'a', 'b', 'c', 'd', 'e', 'f', 'g']] }),
          signal,
        );
        expect(await warehouse.count('crm', 'or"der')).toBe(1);
      });

      test('columns that differ by case only are refused', async () => {
        const clash = schemaOf([field('Name'), { ...field('NAME'), column: 'NAME' }]);
        expect(await code(warehouse.migrate('crm', clash, EVOLVE))).toBe('WAREHOUSE_REJECTED');
      });
    });

    describe('query', () => {
      test.each([
        ...[
          'DELETE FROM crm.contact',
          'DROP TABLE crm.contact',
          'SELECT 1; DELETE FROM crm.contact',
          "ATTACH 'x.db'",
          'SET threads=1',
        ],
        ...[
          "SELECT * FROM read_text('/etc/hostname')",
          "SELECT * FROM '/etc/hostname'",
          'SELECT * FROM "x.csv"',
          "COPY (SELECT 1) TO '/tmp/x.csv'",
        ],
        ...[
          "SELECT (SELECT content FROM read_text('/etc/hostname'))",
          "SELECT * FROM glob('/*')",
          "SELECT getenv('HOME')",
          'CALL pragma_version()',
        ],
        ...[
          "WITH a AS (SELECT * FROM read_blob('/etc/hostname')) SELECT * FROM a",
          "SELECT * FROM query('SELECT 1')",
          "SUMMARIZE '/etc/hostname'",
        ],
        ...['WITH csv AS (SELECT 1) SELECT * FROM x.csv', 'not sql', ''],
      ])('refuses %s', async (sql) => {
        expect(await code(warehouse.query(sql, 10))).toBe('INPUT_INVALID');
      });

      test('bounds the rows and says so', async () => {
        await load({ csv: Array.from({ length: 30 }, (_, at) => row(String(at), 1, 'x')) });
        const answer = await warehouse.query('SELECT id FROM crm.contact ORDER BY id', 10);
        expect(answer.rows).toHaveLength(10);
        expect(answer.truncated).toBe(true);
        expect(
          (await warehouse.query('WITH n AS (SELECT count(*) AS c FROM crm.contact) SELECT c FROM n', 10))
            .rows,
        ).toEqual([['30']]);
      });

      test('exports to a file by its ending', async () => {
        await load({ csv: [row('1', 1, 'a')] });
        for (const ending of ['parquet', 'csv', 'json']) {
          expect(
            await warehouse.export(
              'SELECT id, name FROM crm.contact -- all',
              `${bench.folder}/out.${ending}`,
            ),
          ).toBe(1);
        }
        expect(await code(warehouse.export('SELECT 1', `${bench.folder}/out.exe`))).toBe('INPUT_INVALID');
      });
    });

    test('a run has one row, the last summary', async () => {
      const run = {
        ...{
          connection: 'crm',
          workflowId: 'sync/crm',
          runId: 'r1',
          trigger: 'manual' as const,
          outcome: 'failed' as const,
        },
        ...{ startedAt: T(1), endedAt: null, idle: 3, objects: [] },
      };
      await warehouse.recordRun(run);
      await warehouse.recordRun({ ...run, outcome: 'ok', endedAt: T(9) });
      expect(await select('SELECT outcome, ended_at, idle FROM _headwater.runs')).toEqual([['ok', T(9), 3]]);
    });

    test('check reports the file, its version and the disk', async () => {
      expect((await warehouse.check()).every((result) => result.ok)).toBe(true);
    });
  });
}
