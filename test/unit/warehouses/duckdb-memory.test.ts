import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openClient, rowsOf, type Client } from '../../../warehouses/duckdb/client.ts';

const MEMORY_MB = 64;
let folder: string;
let client: Client;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-memory-'));
  client = await openClient(
    { kind: 'duckdb', path: join(folder, 'w.duckdb'), lockWaitMsMax: 0 },
    {
      now: Date.now,
      log: () => undefined,
      tempDirectory: join(folder, 'spill'),
      memoryMbMax: MEMORY_MB,
      threads: 1,
    },
  );
  await client.write('filling', async (connection) => {
    await connection.run('CREATE TABLE t AS SELECT hash(range) AS a FROM range(6_000_000)');
  });
});
afterEach(async () => {
  await client.close();
  await rm(folder, { recursive: true, force: true });
});

const SUM = 'SELECT sum(a)::VARCHAR AS s FROM t';
const state = () =>
  client.read('looking', async (connection) => {
    const [row] = await rowsOf(
      connection,
      "SELECT sum(memory_usage_bytes)::DOUBLE/1e6 AS used, current_setting('memory_limit') AS memory_limit FROM duckdb_memory()",
    );
    return { usedMb: Number(row?.['used']), limit: String(row?.['memory_limit']) };
  });

test('cached blocks are let go, the limit and the rows stay', async () => {
  const before = await client.read('reading', (connection) => rowsOf(connection, SUM));
  const { usedMb, limit } = await state();
  expect(usedMb).toBeGreaterThan(MEMORY_MB / 3);
  await client.giveBack();
  const after = await state();
  expect(after.usedMb).toBeLessThanOrEqual(MEMORY_MB / 4);
  expect(after.limit).toBe(limit);
  expect(await client.read('reading', (connection) => rowsOf(connection, SUM))).toEqual(before);
});

test('a read that is under way keeps its memory', async () => {
  await client.read('reading', async (connection) => {
    await rowsOf(connection, SUM);
    const used = (await state()).usedMb;
    await client.giveBack();
    expect((await state()).usedMb).toBe(used);
  });
});
