import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { ORIGIN } from '../../schemas/instant.ts';
import { createShaper } from '../../shaper/duckdb-shaper.ts';
import type { ShapeResult, Shaper } from '../../shaper/shaper.ts';
import { literal } from '../../warehouses/sql.ts';
import { CONFIRMED, UNTIL, csvOf, field, schemaOf } from './warehouse-fixture.ts';

/** Of the default `worker.memoryMb`, half is the shaper's. */
const MEMORY_MB = 320;
const MIB = 1024 ** 2;
const TEXT = 16 * MIB;
const schema = schemaOf([field('Name'), field('Amount', { kind: 'integer' })]);
const NAMES = ['Id', 'Stamp', 'Deleted', 'Name', 'Amount'];
const STAMP = '2026-01-01T00:00:00.000Z';

/** Digits of random bytes: nothing that compresses away, with what must be quoted. */
const NOISE = `${randomBytes(MIB / 2).toString('base64')}"\n,`;
const text = (characters: number): string =>
  NOISE.repeat(Math.ceil(characters / NOISE.length)).slice(0, characters);

let folder: string;
let shaper: Shaper;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shaper-large-'));
  const options = { tempDirectory: join(folder, 'spill'), memoryMbMax: MEMORY_MB, threads: 2 };
  shaper = await createShaper(options);
});
afterAll(async () => {
  await shaper.close();
  await rm(folder, { recursive: true });
});

type Record = [id: string, name: string, amount: string];

/** Records of such lengths among ordinary ones, evenly. */
function records(ordinary: number, large: number[]): Record[] {
  const all: Record[] = Array.from({ length: ordinary }, (_, at) => [`o${at}`, `name ${at}`, String(at)]);
  const every = Math.floor(ordinary / Math.max(1, large.length)) + 1;
  large.forEach((characters, at) => all.splice(at * every, 0, [`l${at}`, text(characters), String(at)]));
  return all;
}

async function shape(format: 'csv' | 'json', rows: Record[]): Promise<ShapeResult> {
  const at = join(folder, String((count += 1)));
  const page =
    format === 'csv'
      ? csvOf(
          NAMES,
          rows.map(([id, name, amount]) => [id, STAMP, 'false', name, amount]),
        )
      : JSON.stringify({
          records: rows.map(([Id, Name, Amount]) => ({ Id, Stamp: STAMP, Deleted: false, Name, Amount })),
        });
  await writeFile(`${at}.page`, page);
  return await shaper.shape(
    {
      ...{ schema, jsonRecords: 'records', confirmedAt: CONFIRMED, badShareMax: 0.01, badRowsMax: 100 },
      pages: [{ path: `${at}.page`, format, rowsSent: rows.length }],
      window: { id: 'w1', from: ORIGIN, until: UNTIL },
      out: { rows: `${at}.rows`, tombstones: `${at}.gone`, quarantine: `${at}.bad` },
    },
    new AbortController().signal,
  );
}

async function ask(files: string[], select: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '300MB' });
  const connection = await instance.connect();
  const from = `read_parquet([${files.map(literal).join(',')}])`;
  const rows = (await connection.runAndReadAll(`SELECT ${select} FROM ${from}`)).getRowsJson();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

const FORMATS = ['csv', 'json'] as const;

test.each(FORMATS)('%s: one text of 16 MB among 50,000 ordinary rows lands whole', async (format) => {
  const result = await shape(format, records(50_000, [TEXT]));
  expect(result.counts).toMatchObject({ shaped: 50_001, quarantined: 0 });
  const found = await ask(result.files.rows, "count(*),count(DISTINCT id),max(md5(name)) FILTER (id='l0')");
  expect(found).toEqual([['50001', '50001', createHash('md5').update(text(TEXT)).digest('hex')]]);
});

test.each([
  ['csv', 14],
  // All of a page of an API is in the memory of the process at once.
  ['json', 6],
] as const)('%s: %i texts of 16 MB in one page land whole', async (format, large) => {
  const result = await shape(
    format,
    records(
      1_000,
      Array.from({ length: large }, () => TEXT),
    ),
  );
  expect(result.counts).toMatchObject({ shaped: 1_000 + large, quarantined: 0 });
  const found = await ask(
    result.files.rows,
    'count(*) FILTER (length(name)=16777216),max(length(name))::INTEGER',
  );
  expect(found).toEqual([[String(large), TEXT]]);
});

test.each(FORMATS)(
  'I2: %s: a record that cannot be held is set aside with one clear line',
  async (format) => {
    const result = await shape(format, records(100, [TEXT, 41 * MIB, 90 * MIB]));
    expect(result.counts).toMatchObject({ sent: 103, received: 103, shaped: 101, quarantined: 2 });
    const { quarantine } = result.files;
    const lines = await ask(
      [quarantine ?? ''],
      'record,field,value,reason,length(raw)<20000,json_valid(raw)',
    );
    const reason = 'larger than 40 MiB, the most that is read of one record';
    expect(lines.sort()).toEqual([
      ['l1', null, null, reason, true, true],
      ['l2', null, null, reason, true, true],
    ]);
  },
);

test('json: numbers of a large page keep their digits', async () => {
  const at = join(folder, 'digits');
  const filler = text(5 * MIB);
  const record = (id: string, extra: string) =>
    `{"Id":"${id}","Stamp":"${STAMP}","Deleted":false,"Name":${JSON.stringify(filler)},"Extra":${extra}}`;
  await writeFile(`${at}.page`, `[${record('1', '{"n":12345678901234567.890,"e":1e2,"z":-0}')}]`);
  const wide = schemaOf([field('Name'), field('Extra', { kind: 'json' })]);
  const result = await shaper.shape(
    {
      ...{ schema: wide, jsonRecords: '', confirmedAt: CONFIRMED, badShareMax: 1, badRowsMax: 1 },
      pages: [{ path: `${at}.page`, format: 'json', rowsSent: 1 }],
      window: { id: 'w1', from: ORIGIN, until: UNTIL },
      out: { rows: `${at}.rows`, tombstones: `${at}.gone`, quarantine: `${at}.bad` },
    },
    new AbortController().signal,
  );
  expect(await ask(result.files.rows, 'extra,length(name)::INTEGER')).toEqual([
    ['{"n":12345678901234567.890,"e":1e2,"z":-0}', 5 * MIB],
  ]);
});
