/** Loading into BigQuery, on an emulator, against its own bulk path: a load job of the same file, and a MERGE by hand. */
import { tmpdir } from 'node:os';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { openClient } from '../warehouses/bigquery/client.ts';
import type { Client } from '../warehouses/bigquery/client.ts';
import { bigqueryConfigSchema } from '../warehouses/bigquery/config.ts';
import { bigquery } from '../warehouses/bigquery/index.ts';
import { tableType } from '../warehouses/bigquery/types.ts';
import { bqemulatorMissing, startBqemulator } from '../test/support/bqemulator.ts';
import type { Figure } from './figures.ts';
import type { BenchOptions } from './options.ts';
import { COLUMNS, emulatorFigures, loads, seconds, stage, stageSigned } from './warehouse-rows.ts';

/** The emulator keeps all tables in memory. */
const ROWS_MAX = 1_000_000;
const PROJECT = 'bench-project';
const SYSTEM = [
  ['_deleted', 'BOOL'],
  ['_version', 'TIMESTAMP'],
  ['_confirmed_at', 'TIMESTAMP'],
  ['_hash', 'INT64'],
  ['_window', 'STRING'],
] as const;

export async function warehouseBigquery(options: BenchOptions): Promise<Figure[]> {
  const missing = await bqemulatorMissing();
  if (missing !== undefined) throw new Error(`bqemulator ${missing}`);
  const rows = Math.min(options.rows, ROWS_MAX);
  const folder = await mkdtemp(join(tmpdir(), 'headwater-bench-bigquery-'));
  const duck = await DuckDBInstance.create(':memory:', { threads: '2', preserve_insertion_order: 'false' });
  const writer = await duck.connect();
  const times: Record<string, number[]> = { own: [], load: [], verify: [], upsert: [], change: [] };
  try {
    await stage(writer, folder, rows);
    // The emulator has no unsigned numbers either.
    await stageSigned(writer, folder);
    for (let run = 0; run < options.runs; run += 1) {
      const service = await startBqemulator();
      const config = bigqueryConfigSchema.parse({
        kind: 'bigquery',
        project: PROJECT,
        endpoint: service.endpoint,
      });
      const context = {
        ...{ now: Date.now, log: () => {}, tempDirectory: join(folder, 'spill') },
        ...{ memoryMbMax: options.resources.memoryMb, threads: options.resources.threads },
      };
      const client = await openClient(config, context);
      const warehouse = await bigquery.connect(config, context);
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
  return emulatorFigures('BigQuery emulator', 'load job and MERGE of its own', rows, times);
}

/** What a careful hand would write: a load job into a table of its own, then MERGE by version. */
async function ownPath(client: Client, folder: string): Promise<{ first: number; some: number }> {
  const columns: (readonly [string, string])[] = [
    ...COLUMNS.map(([name, type]) => [name, tableType(type)] as const),
    ...SYSTEM,
  ];
  const names = columns.map(([name]) => name);
  await client.createDataset('own');
  await client.script([
    `CREATE TABLE own.contact (${columns.map(([name, type]) => `${name} ${type}`).join(', ')}) CLUSTER BY id`,
  ]);
  const load = async (name: string): Promise<void> => {
    const destinationTable = { projectId: PROJECT, datasetId: 'own', tableId: name };
    const fields = columns.map(([column, type]) => ({ name: column, type: type.replace(/\(.*/, '') }));
    const configuration = { load: { destinationTable, sourceFormat: 'PARQUET', schema: { fields } } };
    await client.jobs.load({ configuration }, join(folder, `${name}-own.parquet`));
    await client.script([
      `MERGE INTO own.contact AS t USING own.${name} AS s ON t.id = s.id
WHEN MATCHED AND (s._version > t._version OR (s._version = t._version AND s._confirmed_at > t._confirmed_at)) THEN UPDATE SET ${names
        .slice(1)
        .map((column) => `${column} = s.${column}`)
        .join(', ')}
WHEN NOT MATCHED THEN INSERT (${names.join(', ')}) VALUES (${names.map((column) => `s.${column}`).join(', ')})`,
    ]);
  };
  return { first: await seconds(() => load('all')), some: await seconds(() => load('some')) };
}
