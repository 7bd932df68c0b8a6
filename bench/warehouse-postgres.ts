/** Loading into a Postgres warehouse against the server's own bulk path: COPY of the same rows, and an upsert of them. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { Client } from 'pg';
import { from } from 'pg-copy-streams';
import { postgres } from '../warehouses/postgres/index.ts';
import { tableType } from '../warehouses/postgres/types.ts';
import { startPostgres } from '../test/support/postgres.ts';
import type { Figure } from './figures.ts';
import type { BenchOptions } from './options.ts';
import { COLUMNS, loads, RATIO_MAX, seconds, stage } from './warehouse-rows.ts';

/** As a small server of its own would have it. */
const FLAGS = ['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB'];

export async function warehousePostgres(options: BenchOptions): Promise<Figure[]> {
  const { rows, runs, resources } = options;
  const folder = await mkdtemp(join(tmpdir(), 'headwater-bench-postgres-'));
  const server = await startPostgres(FLAGS);
  const duck = await DuckDBInstance.create(':memory:', { threads: '2', preserve_insertion_order: 'false' });
  const writer = await duck.connect();
  const client = new Client({ connectionString: server.url });
  await client.connect();
  const warehouse = await postgres.connect(postgres.config.parse({ kind: 'postgres', url: server.url }), {
    now: Date.now,
    log: () => {},
    tempDirectory: join(folder, 'spill'),
    memoryMbMax: resources.memoryMb,
    threads: resources.threads,
  });
  const times: Record<string, number[]> = {
    copy: [],
    merge: [],
    load: [],
    verify: [],
    upsert: [],
    change: [],
  };
  try {
    await stage(writer, folder, rows);
    for (let run = 0; run < runs; run += 1) {
      const own = await ownPath(client, folder);
      times['copy']?.push(own.copy);
      times['merge']?.push(own.merge);
      times['upsert']?.push(own.upsert);
      const headwater = await loads(warehouse, folder, rows, run);
      times['load']?.push(headwater.load);
      times['verify']?.push(headwater.verify);
      times['change']?.push(headwater.change);
      await client.query(`DROP SCHEMA bench_${run} CASCADE`);
      options.progress(
        `run ${run + 1}: own ${(own.copy + own.merge).toFixed(1)} s, load ${headwater.load.toFixed(1)} s`,
      );
    }
  } finally {
    await warehouse.close();
    await client.end();
    duck.closeSync();
    await server.stop();
    await rm(folder, { recursive: true });
  }
  return figuresOf(rows, times);
}

function figuresOf(rows: number, times: Record<string, number[]>): Figure[] {
  const of = (name: string): number[] => times[name] ?? [];
  const ratio = (mine: string, theirs: (at: number) => number) =>
    of(mine).map((value, at) => value / theirs(at));
  const own = (at: number): number => (of('copy')[at] ?? 0) + (of('merge')[at] ?? 0);
  const first = `Postgres, ${rows.toLocaleString('en')} rows`;
  return [
    { name: `${first}: COPY and merge of its own`, unit: 's', values: of('copy').map((_, at) => own(at)) },
    { name: `${first}: load`, unit: 's', values: of('load') },
    {
      name: `${first}: load against its own path`,
      unit: '×',
      values: ratio('load', own),
      target: { max: RATIO_MAX },
    },
    { name: `${first}: proof of the keys`, unit: 's', values: of('verify') },
    { name: 'Postgres, 1 % changed: COPY and upsert of its own', unit: 's', values: of('upsert') },
    { name: 'Postgres, 1 % changed: load', unit: 's', values: of('change') },
    {
      name: 'Postgres, 1 % changed: load against its own path',
      unit: '×',
      values: ratio('change', (at) => of('upsert')[at] ?? 0),
      target: { max: RATIO_MAX },
    },
  ];
}

/** What a careful hand would write: COPY into an unlogged table, then INSERT … ON CONFLICT. */
async function ownPath(
  client: Client,
  folder: string,
): Promise<{ copy: number; merge: number; upsert: number }> {
  const names = [
    ...COLUMNS.map(([name]) => name),
    '_deleted',
    '_version',
    '_confirmed_at',
    '_window',
    '_hash',
  ];
  const types = [
    ...COLUMNS.map(([, type]) => tableType(type)),
    'boolean',
    'timestamptz',
    'timestamptz',
    'text',
    'bigint',
  ];
  const columns = names.map((name, at) => `${name} ${types[at] ?? 'text'}`).join(', ');
  const set = names.slice(1).map((name) => `${name} = excluded.${name}`);
  await client.query(
    `CREATE TABLE own (${columns}); CREATE UNIQUE INDEX ON own (id); CREATE INDEX ON own (_version)`,
  );
  const once = async (name: string): Promise<{ copy: number; merge: number }> => {
    await client.query(`CREATE UNLOGGED TABLE staged (${columns})`);
    const copy = await seconds(() =>
      pipeline(
        createReadStream(join(folder, `${name}.csv`)),
        client.query(from('COPY staged FROM STDIN (FORMAT csv)')),
      ),
    );
    const merge = await seconds(() =>
      client.query(
        `INSERT INTO own SELECT * FROM staged ON CONFLICT (id) DO UPDATE SET ${set.join(', ')}
         WHERE (excluded._version, excluded._confirmed_at) > (own._version, own._confirmed_at)`,
      ),
    );
    await client.query('DROP TABLE staged');
    return { copy, merge };
  };
  const first = await once('all');
  const some = await once('some');
  await client.query('DROP TABLE own');
  return { ...first, upsert: some.copy + some.merge };
}
