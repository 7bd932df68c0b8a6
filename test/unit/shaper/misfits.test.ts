import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { widen } from '../../../rules/widening.ts';
import { ORIGIN } from '../../../schemas/instant.ts';
import type { ObjectSchema } from '../../../schemas/object-schema.ts';
import { createShaper } from '../../../shaper/duckdb-shaper.ts';
import type { Shaper } from '../../../shaper/shaper.ts';

const base = { sourceType: 'double', nullable: true, calculated: false, custom: false };
const schema: ObjectSchema = {
  object: 'Deal',
  table: 'deal',
  key: 'Id',
  stamp: 'Stamp',
  deleted: null,
  fields: [
    { ...base, name: 'Id', column: 'id', type: { kind: 'string' } },
    { ...base, name: 'Stamp', column: 'stamp', type: { kind: 'timestamp' } },
    { ...base, name: 'Amount', column: 'amount', type: { kind: 'decimal', precision: 4, scale: 2 } },
  ],
  hash: 'h',
};

let folder: string;
let shaper: Shaper;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-misfits-'));
  shaper = await createShaper({ tempDirectory: folder, memoryMbMax: 200, threads: 1 });
});
afterAll(async () => {
  await shaper.close();
  await rm(folder, { recursive: true, force: true });
});

async function shape(as: ObjectSchema, amounts: string[], findMisfits: boolean) {
  const page = join(folder, 'page.csv');
  const rows = amounts.map((amount, index) => `${index},2026-01-01T00:00:00Z,${amount}`);
  await writeFile(page, ['Id,Stamp,Amount', ...rows, ''].join('\n'));
  const out = { rows: join(folder, 'r'), tombstones: join(folder, 't'), quarantine: join(folder, 'q') };
  return shaper.shape(
    {
      schema: as,
      pages: [{ path: page, format: 'csv', rowsSent: amounts.length }],
      jsonRecords: 'records',
      window: { id: 'w', from: ORIGIN, until: '2026-02-01T00:00:00.000Z' },
      confirmedAt: '2026-01-02T00:00:00.000Z',
      badShareMax: 0,
      badRowsMax: 0,
      findMisfits,
      out,
    },
    new AbortController().signal,
  );
}

test('more digits than described are told, not set aside, and fit after widening to the digit', async () => {
  const amounts = ['1.5', '12345.67', '-0.12345', '1.500', ''];
  const first = await shape(schema, amounts, true);
  expect(first.misfits).toEqual([{ field: 'Amount', integerDigits: 5, scale: 5 }]);
  expect(first.files).toEqual({ rows: [], tombstones: null, quarantine: null });
  const wider = widen(schema, first.misfits);
  const second = await shape(wider, amounts, false);
  expect(second).toMatchObject({ misfits: [], counts: { shaped: 5, quarantined: 0 } });
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const read = await connection.runAndReadAll(
    `SELECT CAST(amount AS VARCHAR), typeof(amount) FROM read_parquet('${second.files.rows.join()}') ORDER BY id`,
  );
  expect(read.getRows()).toEqual([
    ['1.50000', 'DECIMAL(10,5)'],
    ['12345.67000', 'DECIMAL(10,5)'],
    ['-0.12345', 'DECIMAL(10,5)'],
    ['1.50000', 'DECIMAL(10,5)'],
    [null, 'DECIMAL(10,5)'],
  ]);
  connection.closeSync();
});

test('a value that no decimal can hold is bad, whatever is asked', async () => {
  const huge = `${'9'.repeat(30)}.${'1'.repeat(12)}`;
  await expect(shape(schema, [huge, '1'], true)).rejects.toMatchObject({ code: 'TOO_MANY_BAD_ROWS' });
  await expect(shape(schema, ['many', '1'], true)).rejects.toMatchObject({ code: 'TOO_MANY_BAD_ROWS' });
});
