/** The suite of all warehouses and its laws again, on tables that are partitioned, and what only those have. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { administer, emptyWarehouses, newDatabase, openPostgres } from '../support/postgres-warehouse.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';
import { EVOLVE, NAME, row, signal } from './warehouse-harness.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

const LAW_TABLES = Array.from({ length: 100 }, (_, at) => `law.t${at}`);
const TABLES = ['crm.contact', 'crm.all_types', 'crm.deal', 'crm.other', 'crm.or"der', ...LAW_TABLES];
const partitions = Object.fromEntries(TABLES.map((name) => [name, 3]));

let server: TestPostgres;
let bench: Bench;
beforeAll(async () => {
  [server, bench] = await Promise.all([
    startPostgres(['-c', 'fsync=off', '-c', 'full_page_writes=off']),
    openBench(),
  ]);
}, 60_000);
afterAll(async () => {
  await bench.close();
  await server.stop();
});

const open = emptyWarehouses(() => server, { partitions });
warehouseSuite('postgres with partitions', { open });
warehouseLaws('postgres with partitions', { open }, { runs: 3 });

async function using<T>(work: (warehouse: Warehouse, url: string) => Promise<T>): Promise<T> {
  const url = await newDatabase(server);
  const warehouse = await openPostgres(url, bench.folder, { partitions });
  try {
    return await work(warehouse, url);
  } finally {
    await warehouse.close();
  }
}

test('rows lie in each partition, also those of a first load, and an erasure writes every partition anew', async () => {
  await using(async (warehouse, url) => {
    await warehouse.migrate('crm', NAME, EVOLVE);
    // As many as go straight into an empty table.
    const csv = Array.from({ length: 12_000 }, (_, at) => row(`k${at}`, 1, 'a'));
    const request = await bench.batch(NAME, { csv }, { window: windowOf('first'), id: 'b_first' });
    expect((await warehouse.load(request, signal)).inserted).toBe(12_000);
    expect(await warehouse.verify(request)).toEqual({ present: 12_000, missing: 0 });
    const parts = `SELECT tableoid::regclass::text AS part, count(*)::int AS rows FROM crm.contact GROUP BY 1 ORDER BY 1`;
    const rows = await administer(url, parts);
    expect(rows.map(({ part }) => part)).toEqual(['crm.contact__p0', 'crm.contact__p1', 'crm.contact__p2']);
    for (const part of rows) expect(part['rows']).toBeGreaterThan(3_500);
    const key = { connection: 'crm', object: 'Contact', table: 'contact', key: 'id' };
    const about = { records: [{ ...key, records: ['k1', 'k2', 'k3'] }], texts: [], own: [] };
    await warehouse.purge(about, { dryRun: false });
    const paths =
      "SELECT pg_relation_filepath(relid) AS path FROM pg_partition_tree('crm.contact') WHERE isleaf";
    const before = (await administer(url, paths)).map(({ path }) => path);
    await warehouse.scrub();
    const after = (await administer(url, paths)).map(({ path }) => path);
    expect(after).toHaveLength(3);
    for (const path of after) expect(before).not.toContain(path);
    expect(await warehouse.scrub()).toEqual([]);
    expect(await warehouse.count('crm', 'contact')).toBe(11_997);
  });
});

test('a key whose type may change is refused before anything is made, with the line to take out', async () => {
  await using(async (warehouse, url) => {
    const numbered = schemaOf([field('Name')], { table: 'deal' });
    const fields = numbered.fields.map((each) =>
      each.name === 'Id' ? { ...each, type: { kind: 'integer' as const } } : each,
    );
    await expect(warehouse.migrate('crm', { ...numbered, fields }, EVOLVE)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'warehouse.partitions: the key id of crm.deal is no text',
      remedy: 'Take crm.deal out of warehouse.partitions: the type of its key may still change.',
    });
    expect(await administer(url, "SELECT to_regclass('crm.deal') AS made")).toEqual([{ made: null }]);
  });
});
