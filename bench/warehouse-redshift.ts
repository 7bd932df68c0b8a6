/** Loading into Redshift's stand-in, a real Postgres and an object store, against its own bulk path: the same file, COPY, and a merge by hand. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Client, ClientConfig } from 'pg';
import { openLoadBucket } from '../warehouses/redshift/bucket.ts';
import { redshiftConfigSchema } from '../warehouses/redshift/config.ts';
import { distributedBy, SYSTEM_COLUMNS } from '../warehouses/redshift/schema.ts';
import { copySql } from '../warehouses/redshift/staging.ts';
import { tableType } from '../warehouses/redshift/types.ts';
import { redshiftDriver } from '../test/support/redshift-driver.ts';
import { configOf, redshiftMissing, startRedshift, type TestRedshift } from '../test/support/redshift.ts';
import type { Figure } from './figures.ts';
import type { BenchOptions } from './options.ts';
import { COLUMNS, emulatorFigures, loads, seconds, stage, stageSigned } from './warehouse-rows.ts';

/** As a small server of its own would have it; both ways write to it alike. */
const FLAGS = ['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB', '-c', 'fsync=off'];
/** The object store keeps all files in memory. */
const ROWS_MAX = 1_000_000;

export async function warehouseRedshift(options: BenchOptions): Promise<Figure[]> {
  const missing = await redshiftMissing();
  if (missing !== undefined) throw new Error(`Redshift's stand-in ${missing}`);
  const rows = Math.min(options.rows, ROWS_MAX);
  const folder = await mkdtemp(join(tmpdir(), 'headwater-bench-redshift-'));
  const duck = await DuckDBInstance.create(':memory:', { threads: '2', preserve_insertion_order: 'false' });
  const writer = await duck.connect();
  const server = await startRedshift(FLAGS);
  const times: Record<string, number[]> = { own: [], load: [], verify: [], upsert: [], change: [] };
  try {
    await stage(writer, folder, rows);
    await stageSigned(writer, folder);
    for (let run = 0; run < options.runs; run += 1) {
      const url = await server.newDatabase();
      const own = await ownPath(server, url, folder);
      times['own']?.push(own.first);
      times['upsert']?.push(own.some);
      const { memoryMb, threads } = options.resources;
      const warehouse = await server.open(url, folder, { memoryMbMax: memoryMb, threads });
      const mine = await loads(warehouse, folder, rows, run);
      for (const name of ['load', 'verify', 'change'] as const) times[name]?.push(mine[name]);
      options.progress(`run ${run + 1}: own ${own.first.toFixed(1)} s, load ${mine.load.toFixed(1)} s`);
      await warehouse.close();
      await server.dropDatabase(url);
    }
  } finally {
    duck.closeSync();
    await server.stop();
    await rm(folder, { recursive: true });
  }
  return emulatorFigures('Redshift on Postgres', 'COPY and merge of its own', rows, times);
}

/** What Amazon's own guide writes ("Performing a merge operation"): COPY into a temporary table, then replace in one transaction. */
async function ownPath(
  server: TestRedshift,
  url: string,
  folder: string,
): Promise<{ first: number; some: number }> {
  const columns = [
    ...COLUMNS.map(([name, type]) => `"${name}" ${tableType(type)}`),
    ...SYSTEM_COLUMNS.map(({ name, type }) => `"${name}" ${type}`),
  ].join(', ');
  const bucket = await openLoadBucket(redshiftConfigSchema.parse(configOf(url, server.s3)));
  const driver: new (config: ClientConfig) => Client = redshiftDriver({ s3: server.s3.url, folder });
  const client = new driver({ connectionString: url });
  await client.connect();
  await client.query('CREATE SCHEMA own');
  await client.query(`CREATE TABLE own.contact (${columns})${distributedBy('"id"')}`);
  const load = async (name: string): Promise<void> => {
    const key = await bucket.put(`${name}-own.parquet`, join(folder, `${name}-own.parquet`));
    const run = [
      'BEGIN',
      `CREATE TEMP TABLE "staged" (${columns})${distributedBy('"id"')}`,
      copySql('staged', bucket.url(key), 'default'),
      'DELETE FROM staged USING own.contact WHERE contact."id" = staged."id" AND contact."_version" > staged."_version"',
      'DELETE FROM own.contact USING staged WHERE contact."id" = staged."id"',
      'INSERT INTO own.contact SELECT * FROM staged',
      'DROP TABLE staged',
      'COMMIT',
    ];
    for (const sql of run) await client.query(sql);
    await bucket.remove(key);
  };
  try {
    return { first: await seconds(() => load('all')), some: await seconds(() => load('some')) };
  } finally {
    await client.end();
    bucket.close();
  }
}
