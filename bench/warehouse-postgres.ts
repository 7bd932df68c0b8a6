/** Loading into a Postgres warehouse against the server's own bulk path: COPY of the same rows, and an upsert of them. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { Client } from 'pg';
import { from } from 'pg-copy-streams';
import type { Field, FieldType, ObjectSchema } from '../schemas/object-schema.ts';
import type { LoadRequest, Warehouse } from '../warehouses/warehouse.ts';
import { postgres } from '../warehouses/postgres/index.ts';
import { tableType } from '../warehouses/postgres/types.ts';
import { startPostgres } from '../test/support/postgres.ts';
import type { Figure } from './figures.ts';
import type { BenchOptions } from './options.ts';

/** As a small server of its own would have it. */
const FLAGS = ['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB'];
const RATIO_MAX = 1.5;
const CHANGED_SHARE = 0.01;
const SYSTEM = "false AS _deleted, TIMESTAMPTZ '2026-01-01' + to_seconds(i) AS _version";

/** 25 columns, about 300 B a row, as a contact of a CRM has them. */
const COLUMNS: readonly [name: string, type: FieldType, value: string][] = [
  ['id', { kind: 'string' }, "'003' || left(md5(i::VARCHAR), 15)"],
  ...Array.from({ length: 14 }, (_, at): [string, FieldType, string] => [
    `text_${at}`,
    { kind: 'string' },
    `'value ' || (i * ${at + 3}) % 1000003`,
  ]),
  ...Array.from({ length: 4 }, (_, at): [string, FieldType, string] => [
    `amount_${at}`,
    { kind: 'decimal', precision: 18, scale: 2 },
    `((i * ${at + 7}) % 1000000 / 100)::DECIMAL(18, 2)`,
  ]),
  ...Array.from({ length: 3 }, (_, at): [string, FieldType, string] => [
    `at_${at}`,
    { kind: 'timestamp' },
    `TIMESTAMPTZ '2020-01-01' + to_seconds(i * ${at + 1})`,
  ]),
  ...Array.from({ length: 3 }, (_, at): [string, FieldType, string] => [
    `flag_${at}`,
    { kind: 'boolean' },
    `i % ${at + 2} = 0`,
  ]),
];

const schema: ObjectSchema = {
  ...{ object: 'Contact', table: 'contact', key: 'id', stamp: null, deleted: null, hash: 'bench' },
  fields: COLUMNS.map(([name, type]): Field => ({
    ...{ name, column: name, type, sourceType: type.kind, nullable: true, calculated: false, custom: false },
  })),
};

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

/** The same rows as staged Parquet and as CSV, all of them and the hundredth part that changed. */
async function stage(writer: DuckDBConnection, folder: string, rows: number): Promise<void> {
  await writer.run("SET TimeZone = 'UTC'");
  const values = COLUMNS.map(([name, , value]) => `${value} AS ${name}`).join(', ');
  const write = async (name: string, from: string, confirmed: string) => {
    const select =
      `SELECT ${values}, ${SYSTEM}, TIMESTAMPTZ '${confirmed}' AS _confirmed_at, hash(i, '${name}') AS _hash, '${name}' AS _window ` +
      `FROM ${from}`;
    await writer.run(
      `COPY (${select}) TO '${join(folder, `${name}.parquet`)}' (FORMAT parquet, COMPRESSION snappy)`,
    );
    const plain = `SELECT * EXCLUDE (_hash), (_hash >> 1)::BIGINT AS _hash FROM '${join(folder, `${name}.parquet`)}'`;
    await writer.run(`COPY (${plain}) TO '${join(folder, `${name}.csv`)}' (FORMAT csv, HEADER false)`);
  };
  await write('all', `range(${rows}) AS t(i)`, '2026-02-01');
  await write(
    'some',
    `(SELECT i * ${1 / CHANGED_SHARE} AS i FROM range(${Math.round(rows * CHANGED_SHARE)}) AS t(i))`,
    '2026-03-01',
  );
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

async function loads(
  warehouse: Warehouse,
  folder: string,
  rows: number,
  run: number,
): Promise<{ load: number; verify: number; change: number }> {
  const connection = `bench_${run}`;
  await warehouse.migrate(connection, schema, { tables: 'evolve', columns: 'evolve', types: 'evolve' });
  const request = (name: string, shaped: number): LoadRequest => ({
    schema,
    window: {
      ...{ id: `${name}_${run}`, connection, object: 'Contact', kind: 'head', state: 'open', attempt: 1 },
      ...{
        from: '1970-01-01T00:00:00.000Z',
        until: '2027-01-01T00:00:00.000Z',
        readFrom: '1970-01-01T00:00:00.000Z',
      },
      ...{
        owner: { workflowId: 'bench', runId: 'bench' },
        slices: [],
        createdAt: '2026-01-01T00:00:00.000Z',
      },
    },
    batch: {
      ...{
        id: `${name}_${run}`,
        window: `${name}_${run}`,
        slice: 0,
        rows: [],
        tombstones: null,
        quarantine: null,
      },
      counts: {
        ...{ sent: shaped, received: shaped, shaped, quarantined: 0, superseded: 0, suppressed: 0 },
        ...{ filtered: 0, reRead: 0, deleted: 0, tombstones: 0 },
      },
    },
    files: { rows: [join(folder, `${name}.parquet`)], tombstones: null, quarantine: null },
  });
  const { signal } = new AbortController();
  const all = request('all', rows);
  const load = await seconds(() => warehouse.load(all, signal));
  const verify = await seconds(() => warehouse.verify(all));
  const some = request('some', Math.round(rows * CHANGED_SHARE));
  const change = await seconds(() => warehouse.load(some, signal));
  return { load, verify, change };
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1_000;
}
