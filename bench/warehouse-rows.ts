/** What every bench of a warehouse loads: rows as a contact of a CRM has them, all of them and then the hundredth part that changed. */
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Field, FieldType, ObjectSchema } from '../schemas/object-schema.ts';
import type { Figure } from './figures.ts';
import type { LoadRequest, Warehouse } from '../warehouses/warehouse.ts';

const CHANGED_SHARE = 0.01;
const SYSTEM = "false AS _deleted, TIMESTAMPTZ '2026-01-01' + to_seconds(i) AS _version";

/** 25 columns, about 300 B a row, as a contact of a CRM has them. */
export const COLUMNS: readonly [name: string, type: FieldType, value: string][] = [
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

/** The same rows as staged Parquet and as CSV, all of them and the hundredth part that changed. */
export async function stage(writer: DuckDBConnection, folder: string, rows: number): Promise<void> {
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

/** The same as staged, for those that have no unsigned numbers; columns in the same order. */
export async function stageSigned(writer: DuckDBConnection, folder: string): Promise<void> {
  for (const name of ['all', 'some']) {
    const select = `SELECT * REPLACE ((_hash >> 1)::BIGINT AS _hash) FROM '${join(folder, `${name}.parquet`)}'`;
    await writer.run(
      `COPY (${select}) TO '${join(folder, `${name}-own.parquet`)}' (FORMAT parquet, COMPRESSION snappy)`,
    );
  }
}

/** Seconds of a load of all rows, of its proof, and of a load of those that changed. */
export async function loads(
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

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1_000;
}

/** Of what its own bulk path takes alone. */
export const RATIO_MAX = 1.5;

/** A load beside the emulator's own path (`own`: what that is), by run: `own`, `load`, `verify`; of 1 % changed `upsert`, `change`. */
export function emulatorFigures(
  title: string,
  own: string,
  rows: number,
  times: Readonly<Record<string, number[]>>,
): Figure[] {
  const of = (name: string): number[] => times[name] ?? [];
  const ratio = (mine: string, theirs: string) => of(mine).map((value, at) => value / (of(theirs)[at] ?? 0));
  const first = `${title}, ${rows.toLocaleString('en')} rows`;
  const some = `${title}, 1 % changed`;
  const target = { max: RATIO_MAX };
  return [
    { name: `${first}: ${own}`, unit: 's', values: of('own') },
    { name: `${first}: load`, unit: 's', values: of('load') },
    { name: `${first}: load against its own path`, unit: '×', values: ratio('load', 'own'), target },
    { name: `${first}: proof of the keys`, unit: 's', values: of('verify') },
    { name: `${some}: ${own}`, unit: 's', values: of('upsert') },
    { name: `${some}: load`, unit: 's', values: of('change') },
    { name: `${some}: load against its own path`, unit: '×', values: ratio('change', 'upsert'), target },
  ];
}
