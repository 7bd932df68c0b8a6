import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { EvolutionPolicy, LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import { field, openBench, schemaOf } from './warehouse-fixture.ts';
import type { BatchOptions, Bench, Rows } from './warehouse-fixture.ts';

export const EVOLVE: EvolutionPolicy = { tables: 'evolve', columns: 'evolve', types: 'evolve' };
export const NAME = schemaOf([field('Name')]);
export const signal = new AbortController().signal;
export const none = { inserted: 0, updated: 0, unchanged: 0, stale: 0 };

/** What the suite needs: an empty warehouse that keeps its data in the given folder. */
export interface WarehouseFixture {
  open(folder: string): Promise<Warehouse>;
  /** False while the warehouse has no `audit`. */
  audit?: false;
  /** A statement of the suites, in this warehouse's own words; absent: it takes them as they are. */
  sql?(statement: string): string;
  /** True where JSON is kept as what it means, not as it was written: 1.10 comes back as 1.1. */
  normalJson?: true;
}

export const T = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;

export const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: HeadwaterError) => error.code,
  );

export const row = (id: string, second: number, text: string | null, deleted = false): (string | null)[] => [
  ...[id, T(second), String(deleted), text],
];

export const tally = (receipt: Awaited<ReturnType<Warehouse['load']>>) => {
  const { inserted, updated, unchanged, stale, alreadyApplied } = receipt;
  return { inserted, updated, unchanged, stale, ...(alreadyApplied ? { alreadyApplied } : {}) };
};

/** One test's warehouse with an empty `crm.contact`, and short ways to fill and read it. */
export interface Harness {
  readonly bench: Bench;
  readonly warehouse: Warehouse;
  /** Another empty warehouse. */
  another(): Promise<Warehouse>;
  make(rows: Rows, options?: BatchOptions): Promise<LoadRequest>;
  load(rows: Rows, options?: BatchOptions): Promise<ReturnType<typeof tally>>;
  select(sql: string): Promise<unknown[][]>;
  contacts(): Promise<unknown[][]>;
}

export function useWarehouse(fixture: WarehouseFixture): Harness {
  let bench: Bench;
  let warehouse: Warehouse;
  let opened = 0;
  const another = (): Promise<Warehouse> => fixture.open(`${bench.folder}/warehouse-${opened++}`);
  beforeAll(async () => {
    bench = await openBench();
  });
  afterAll(() => bench.close());
  beforeEach(async () => {
    warehouse = await another();
    await warehouse.migrate('crm', NAME, EVOLVE);
  });
  afterEach(() => warehouse.close());
  const make: Harness['make'] = (rows, options) => bench.batch(NAME, rows, options);
  const select: Harness['select'] = async (sql) =>
    (await warehouse.query(fixture.sql?.(sql) ?? sql, 1_000)).rows;
  return {
    get bench() {
      return bench;
    },
    get warehouse() {
      return warehouse;
    },
    another,
    make,
    load: async (rows, options) => tally(await warehouse.load(await make(rows, options), signal)),
    select,
    contacts: () => select('SELECT id, name, _deleted FROM crm.contact ORDER BY id'),
  };
}
