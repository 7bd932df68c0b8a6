import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { FieldType } from '../../schemas/object-schema.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { field, openBench, schemaOf, windowOf } from './warehouse-fixture.ts';
import type { Bench } from './warehouse-fixture.ts';
import { EVOLVE } from './warehouse-harness.ts';
import type { WarehouseFixture } from './warehouse-harness.ts';

let bench: Bench;
let warehouse: Warehouse;
let runsMax: number;
let inOwnWords: (sql: string) => string;
let normalJson: boolean;
const signal = new AbortController().signal;

/** Laws over random versions, and a record of all types; runs on every warehouse. */
export function warehouseLaws(
  name: string,
  fixture: WarehouseFixture,
  options: { runs: number } = { runs: 25 },
): void {
  runsMax = options.runs;
  inOwnWords = (sql) => fixture.sql?.(sql) ?? sql;
  normalJson = fixture.normalJson === true;
  describe(`laws of warehouse ${name}`, () => {
    beforeAll(async () => {
      bench = await openBench();
      warehouse = await fixture.open(bench.folder);
    });
    afterAll(async () => {
      await warehouse.close();
      await bench.close();
    });
    test('a record of all types comes back as it was sent', allTypes);
    test('the times of equal content move together, so no reading outranks a later one', timesTogether);
    test(
      'any order, slicing and repetition of versions gives the newest per key (I1, I2)',
      anyOrder,
      120_000,
    );
  });
}

const T = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;

async function allTypes(): Promise<void> {
  const kinds: [string, FieldType, string | null, unknown][] = [
    ['Text', { kind: 'string' }, '007 NULL "q" 😀\n', '007 NULL "q" 😀\n'],
    ['Empty', { kind: 'string' }, '', ''],
    ['Null', { kind: 'string' }, null, null],
    ['Word', { kind: 'string' }, 'NULL', 'NULL'],
    ['Yes', { kind: 'boolean' }, 'true', true],
    ['Whole', { kind: 'integer' }, '-9223372036854775808', '-9223372036854775808'],
    [
      'Money',
      { kind: 'decimal', precision: 38, scale: 10 },
      '1234567890123456789012345678.0123456789',
      '1234567890123456789012345678.0123456789',
    ],
    ['Share', { kind: 'double' }, '0.1', 0.1],
    ['Day', { kind: 'date' }, '0099-12-31', '0099-12-31'],
    ['Clock', { kind: 'time' }, '23:59:59.999999', '23:59:59.999999'],
    ['Moment', { kind: 'timestamp' }, '2026-02-03T04:05:06.123456Z', '2026-02-03 04:05:06.123456+00'],
    ['Tree', { kind: 'json' }, '{"a":[1.10,null],"b":"é"}', '{"a":[1.10,null],"b":"é"}'],
  ];
  const schema = schemaOf(
    kinds.map(([name, type]) => field(name, type)),
    { table: 'all_types' },
  );
  await warehouse.migrate('crm', schema, EVOLVE);
  const record = {
    Id: '1',
    Stamp: T(1),
    Deleted: false,
    ...Object.fromEntries(kinds.map(([name, , sent]) => [name, sent])),
  };
  const json = { ...record, Tree: { a: [1.1, null], b: 'é' } };
  await warehouse.load(await bench.batch(schema, { json: [json] }), signal);
  const columns = kinds
    .map(([name, type]) =>
      type.kind === 'timestamp' ? `${name.toLowerCase()}::VARCHAR` : name.toLowerCase(),
    )
    .join(', ');
  const select = async (sql: string) => (await warehouse.query(inOwnWords(sql), 1)).rows[0];
  const fromJson = await select(`SELECT ${columns} FROM crm.all_types`);
  expect(fromJson).toEqual(
    kinds.map(([name, , , expected]) => (name === 'Tree' ? '{"a":[1.1,null],"b":"é"}' : expected)),
  );
  const csv = [['2', T(1), 'false', ...kinds.map(([, , sent]) => sent)]];
  await warehouse.load(await bench.batch(schema, { csv }), signal);
  const fromCsv = await select(`SELECT ${columns} FROM crm.all_types WHERE id='2'`);
  // CSV has no way to tell an empty text from null.
  const same = new Map(kinds.map(([name, , , expected]) => [name, expected])).set('Empty', null);
  if (normalJson) same.set('Tree', '{"a":[1.1,null],"b":"é"}');
  expect(fromCsv).toEqual([...same.values()]);
}

interface Version {
  id: string;
  stamp: number;
  confirmed: number;
  value: string;
  deleted: boolean;
  gone: boolean;
}

const version: fc.Arbitrary<Version> = fc.record({
  id: fc.constantFrom('1', '2'),
  stamp: fc.integer({ min: 1, max: 3 }),
  confirmed: fc.integer({ min: 10, max: 11 }),
  value: fc.constantFrom('a', 'b', 'c'),
  deleted: fc.boolean(),
  gone: fc.boolean(),
});

const schema = schemaOf([field('Name')]);

/** Loads slices of versions, each slice in one batch per confirmation time, into a table of its own. */
async function landed(slices: Version[][], table: string): Promise<unknown[][]> {
  const own = { ...schema, table };
  await warehouse.migrate('law', own, EVOLVE);
  for (const slice of slices) {
    for (const [confirmed, versions] of Map.groupBy(slice, (one) => one.confirmed)) {
      const csv = versions
        .filter((one) => !one.gone)
        .map((one) => [one.id, T(one.stamp), String(one.deleted), one.value]);
      const tombstones = versions
        .filter((one) => one.gone)
        .map((one) => ({ id: one.id, deletedAt: T(one.stamp) }));
      const window = { ...windowOf(`w${loads++}`), connection: 'law' };
      const rows = { ...(csv.length > 0 ? { csv } : {}), ...(tombstones.length > 0 ? { tombstones } : {}) };
      const request = await bench.batch(own, rows, { window, confirmedAt: T(confirmed), id: `b${loads}` });
      const { inserted, updated, unchanged, stale } = await warehouse.load(request, signal);
      expect(inserted + updated + unchanged + stale).toBe(
        request.batch.counts.shaped + request.batch.counts.tombstones,
      );
      expect((await warehouse.verify(request)).missing).toBe(0);
    }
  }
  const sql = `SELECT id, CASE WHEN NOT _deleted THEN name END, _deleted, extract(epoch FROM _version)::INTEGER, extract(epoch FROM _confirmed_at)::INTEGER FROM law."${table}" ORDER BY id`;
  return (await warehouse.query(inOwnWords(sql), 100)).rows;
}
let loads = 0;
let tables = 0;

/** Newest stamp, then newest confirmation, then a deletion before a live row. */
function newest(versions: Version[]): Map<string, Version[]> {
  const rank = (one: Version): number =>
    one.stamp * 1_000 + one.confirmed * 10 + Number(one.deleted || one.gone);
  return new Map(
    [...Map.groupBy(versions, (one) => one.id)].map(([id, all]) => {
      const best = Math.max(...all.map(rank));
      return [id, all.filter((one) => rank(one) === best)];
    }),
  );
}

async function timesTogether(): Promise<void> {
  const one = { id: '1', value: 'a', deleted: false };
  const rows = await landed(
    [
      [{ ...one, stamp: 1, confirmed: 11, gone: true }],
      [{ ...one, stamp: 3, confirmed: 10, gone: true }],
      [{ ...one, stamp: 3, confirmed: 11, gone: false }],
    ],
    `t${tables++}`,
  );
  expect(rows.map((row) => row.slice(0, 3))).toEqual([['1', 'a', false]]);
}

async function anyOrder(): Promise<void> {
  const runs = fc.array(version, { minLength: 1, maxLength: 12 }).chain((versions) =>
    fc.record({
      versions: fc.constant(versions),
      shuffled: fc.shuffledSubarray([...versions, ...versions], {
        minLength: versions.length * 2,
        maxLength: versions.length * 2,
      }),
      cut: fc.integer({ min: 0, max: versions.length * 2 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(runs, async ({ versions, shuffled, cut }) => {
      const once = await landed([versions], `t${tables++}`);
      const again = await landed([shuffled.slice(0, cut), shuffled.slice(cut)], `t${tables++}`);
      const best = newest(versions);
      for (const rows of [once, again]) {
        expect(rows.map((row) => row[0])).toEqual([...best.keys()].toSorted());
        for (const [id, value, deleted, stamp] of rows) {
          const candidates = best.get(String(id)) ?? [];
          expect(stamp).toBe(Date.parse(T(candidates[0]?.stamp ?? 0)) / 1_000);
          expect(
            candidates.map((one) => [one.deleted || one.gone ? null : one.value, one.deleted || one.gone]),
          ).toContainEqual([value, deleted]);
        }
      }
      expect(again.map((row) => row.slice(0, 4))).toEqual(once.map((row) => row.slice(0, 4)));
    }),
    { numRuns: runsMax },
  );
}
