import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { duckdb } from '../../warehouses/duckdb/index.ts';
import { postgres } from '../../warehouses/postgres/index.ts';
import type { Warehouse, WarehouseContext } from '../../warehouses/warehouse.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';

const TEXT = 16 * 1024 ** 2;
const LARGE = 6;
const POLICY = { tables: 'evolve', columns: 'evolve', types: 'evolve' } as const;
const schema = schemaOf([field('Name')]);
const noise = randomBytes((TEXT / 4) * 3).toString('base64');
const T = (second: number) => `2026-01-01T00:00:0${second}.000Z`;

const landed = (id: string): string =>
  `SELECT concat(length(name), ' with ', left(name, 1)) FROM crm.contact WHERE id = '${id}'`;

let bench: Bench;
let folder: string;
let server: TestPostgres;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'warehouse-large-'));
  bench = await openBench(320);
  server = await startPostgres(['-c', 'fsync=off', '-c', 'full_page_writes=off']);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await bench.close();
  await rm(folder, { recursive: true });
});

/** As a worker at its default `worker.memoryMb` does. */
const context = (): WarehouseContext => ({
  ...{ now: Date.now, log: () => undefined, memoryMbMax: 320, threads: 2 },
  tempDirectory: join(folder, 'spill'),
});

const OPEN: Record<string, () => Promise<Warehouse>> = {
  duckdb: () =>
    duckdb.connect(
      duckdb.config.parse({ kind: 'duckdb', path: join(folder, 'warehouse.duckdb') }),
      context(),
    ),
  postgres: () => postgres.connect(postgres.config.parse({ kind: 'postgres', url: server.url }), context()),
};

describe.each(Object.keys(OPEN))('%s', (kind) => {
  test('texts of 16 MB land whole at the default memory, change, and land again', async () => {
    const warehouse = await OPEN[kind]?.();
    if (warehouse === undefined) throw new Error(kind);
    const signal = new AbortController().signal;
    try {
      await warehouse.migrate('crm', schema, POLICY);
      for (const [second, ending] of ['a', 'b'].entries()) {
        const window = windowOf(`w${second}`);
        const rows = Array.from({ length: 500 }, (_, at) => {
          const name = at < LARGE ? `${ending}${noise.slice(1)}` : ending;
          return [`id${at}`, T(second), 'false', name];
        });
        const request = await bench.batch(schema, { csv: rows }, { window });
        expect(await warehouse.load(request, signal)).toMatchObject({ alreadyApplied: false });
        expect(await warehouse.verify(request)).toEqual({ present: 500, missing: 0 });
        for (const id of ['id0', `id${LARGE - 1}`])
          expect((await warehouse.query(landed(id), 10)).rows).toEqual([[`${TEXT} with ${ending}`]]);
      }
    } finally {
      await warehouse.close();
    }
  });
});
