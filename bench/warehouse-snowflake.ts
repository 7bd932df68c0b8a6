/** Loading into Snowflake, on an emulator, against its own bulk path: PUT and COPY of the same file, and a MERGE by hand. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { openClient } from '../warehouses/snowflake/client.ts';
import type { Client } from '../warehouses/snowflake/client.ts';
import { snowflake } from '../warehouses/snowflake/index.ts';
import { SYSTEM_COLUMNS } from '../warehouses/snowflake/schema.ts';
import { copySql, putSql } from '../warehouses/snowflake/staging.ts';
import { tableType } from '../warehouses/snowflake/types.ts';
import { fakesnowMissing, startFakesnow } from '../test/support/fakesnow.ts';
import type { Figure } from './figures.ts';
import type { BenchOptions } from './options.ts';
import { COLUMNS, emulatorFigures, loads, seconds, stage, stageSigned } from './warehouse-rows.ts';

/** The emulator keeps all tables in memory. */
const ROWS_MAX = 1_000_000;

export async function warehouseSnowflake(options: BenchOptions): Promise<Figure[]> {
  const missing = await fakesnowMissing();
  if (missing !== undefined) throw new Error(`fakesnow ${missing}`);
  const rows = Math.min(options.rows, ROWS_MAX);
  const folder = await mkdtemp(join(tmpdir(), 'headwater-bench-snowflake-'));
  const duck = await DuckDBInstance.create(':memory:', { threads: '2', preserve_insertion_order: 'false' });
  const writer = await duck.connect();
  const times: Record<string, number[]> = { own: [], load: [], verify: [], upsert: [], change: [] };
  try {
    await stage(writer, folder, rows);
    // There are no unsigned numbers.
    await stageSigned(writer, folder);
    for (let run = 0; run < options.runs; run += 1) {
      const service = await startFakesnow();
      const config = snowflake.config.parse({
        ...{ kind: 'snowflake', account: 'fakesnow', user: 'bench', password: 'any', database: 'BENCH' },
        accessUrl: service.url,
      });
      const context = {
        ...{ now: Date.now, log: () => {}, tempDirectory: join(folder, 'spill') },
        ...{ memoryMbMax: options.resources.memoryMb, threads: options.resources.threads },
      };
      const client = await openClient(config, context);
      const warehouse = await snowflake.connect(config, context);
      const own = await ownPath(client, folder);
      times['own']?.push(own.first);
      times['upsert']?.push(own.some);
      const mine = await loads(warehouse, folder, rows, run);
      for (const name of ['load', 'verify', 'change'] as const) times[name]?.push(mine[name]);
      options.progress(`run ${run + 1}: own ${own.first.toFixed(1)} s, load ${mine.load.toFixed(1)} s`);
      await warehouse.close();
      await client.close();
      await service.stop();
    }
  } finally {
    duck.closeSync();
    await rm(folder, { recursive: true });
  }
  return emulatorFigures('Snowflake emulator', 'COPY and MERGE of its own', rows, times);
}

/** What a careful hand would write: COPY into a table of its own, then MERGE by version. */
function ownPath(client: Client, folder: string): Promise<{ first: number; some: number }> {
  const columns = [
    ...COLUMNS.map(([name, type]) => [name.toUpperCase(), tableType(type)]),
    ...SYSTEM_COLUMNS.map(({ name, type }) => [name, type]),
  ];
  const names = columns.map(([name]) => `"${name}"`);
  const defined = columns.map(([name, type]) => `"${name}" ${type}`).join(', ');
  return client.use('loading by hand', async (session) => {
    await session.run('CREATE SCHEMA OWN');
    await session.run(`CREATE TABLE OWN.CONTACT (${defined})`);
    await session.run('CREATE TEMPORARY STAGE OWN.LOADS');
    const load = async (name: string): Promise<void> => {
      const staged = `OWN.STAGED_${name.toUpperCase()}`;
      await session.run(`CREATE TRANSIENT TABLE ${staged} (${defined})`);
      await session.run(putSql(join(folder, `${name}-own.parquet`), 'OWN.LOADS', name));
      await session.run(copySql(staged, 'OWN.LOADS', name));
      const set = names.slice(1).map((column) => `${column} = s.${column}`);
      await session.run(
        `MERGE INTO OWN.CONTACT AS t USING (SELECT * FROM ${staged}) AS s ON t."ID" = s."ID"\n` +
          `WHEN MATCHED AND (s."_VERSION" > t."_VERSION" OR (s."_VERSION" = t."_VERSION" AND s."_CONFIRMED_AT" > t."_CONFIRMED_AT")) THEN UPDATE SET ${set.join(', ')}\n` +
          `WHEN NOT MATCHED THEN INSERT (${names.join(', ')}) VALUES (${names.map((column) => `s.${column}`).join(', ')})`,
      );
    };
    return { first: await seconds(() => load('all')), some: await seconds(() => load('some')) };
  });
}
