import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { createShaper } from '../../../shaper/duckdb-shaper.ts';
import type { Shaper } from '../../../shaper/shaper.ts';

let folder: string;
let shaper: Shaper;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leave-out-'));
  shaper = await createShaper({ tempDirectory: folder, memoryMbMax: 300, threads: 1 });
});
afterAll(async () => {
  await shaper.close();
  await rm(folder, { recursive: true });
});

async function write(name: string, select: string): Promise<string> {
  const file = join(folder, name);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`COPY (${select}) TO '${file}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return file;
}

test('only rows with one of the texts go, whatever type the column has', async () => {
  const file = await write('a.parquet', "SELECT i AS id, 'row ' || i AS text FROM range(5) r(i)");
  const out = join(folder, 'out.parquet');
  expect(await shaper.leaveOut({ file, column: 'id', texts: ['1', '3', '77'], out })).toEqual({
    stay: 3,
    left: 2,
  });
  expect(await shaper.leaveOut({ file: out, column: 'id', texts: ['1', '3'], out: `${out}.2` })).toEqual({
    stay: 3,
    left: 0,
  });
});

test('where no row stays, no file is written', async () => {
  const file = await write('b.parquet', "SELECT 'x' AS id");
  const out = join(folder, 'none.parquet');
  expect(await shaper.leaveOut({ file, column: 'id', texts: ['x'], out })).toEqual({ stay: 0, left: 1 });
  expect(existsSync(out)).toBe(false);
});

test('what was set aside is read with its key and its line', async () => {
  const file = await write('c.parquet', "SELECT '1' AS record, NULL AS raw UNION ALL SELECT NULL, '{}'");
  const lines = [];
  for await (const part of shaper.setAside(file)) lines.push(...part);
  expect(lines).toEqual(
    expect.arrayContaining([
      { record: '1', raw: null },
      { record: null, raw: '{}' },
    ]),
  );
});
