import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createMutex, wrapped } from '../../../warehouses/duckdb/client.ts';
import { duckdb } from '../../../warehouses/duckdb/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-client-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const connect = (path: string, lockWaitMsMax: number) =>
  duckdb.connect(duckdb.config.parse({ kind: 'duckdb', path, lockWaitMsMax }), {
    ...{
      now: Date.now,
      log: () => undefined,
      tempDirectory: join(folder, 'spill'),
      memoryMbMax: 400,
      threads: 2,
    },
  });

/** Another process that holds the file, writes within an open transaction, and waits. */
async function holder(path: string, statements: string[]) {
  const script = `
    import { DuckDBInstance } from '@duckdb/node-api';
    const connection = await (await DuckDBInstance.create(${JSON.stringify(path)})).connect();
    for (const sql of ${JSON.stringify(statements)}) await connection.run(sql);
    console.log('ready');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('a locked file names the process that holds it; the wait ends when that process does', async () => {
  const path = join(folder, 'locked.duckdb');
  const child = await holder(path, ['CREATE TABLE t (a INTEGER)']);
  await expect(connect(path, 0)).rejects.toMatchObject({
    code: 'WAREHOUSE_LOCKED',
    details: { pid: child.pid },
    message: expect.stringContaining(String(child.pid)),
  });
  const waiting = connect(path, 20_000);
  setTimeout(() => child.kill('SIGKILL'), 300);
  await (await waiting).close();
});

test('a process killed in the middle of a transaction leaves the file as it was', async () => {
  const path = join(folder, 'killed.duckdb');
  const first = await connect(path, 0);
  const state = await first.sinkState();
  await first.close();
  const insert = 'INSERT INTO big SELECT range, repeat(range::VARCHAR, 20) FROM range(500000)';
  const child = await holder(path, [
    'CREATE TABLE big (a BIGINT, b VARCHAR)',
    'BEGIN',
    'UPDATE _headwater.sink SET seq=9',
    insert,
  ]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const again = await connect(path, 5_000);
  expect(await again.sinkState()).toEqual(state);
  expect((await again.query('SELECT count(*) FROM big', 1)).rows).toEqual([['0']]);
  await again.close();
});

test('the mutex runs one task at a time, in order, also after a failure', async () => {
  const mutex = createMutex();
  const log: string[] = [];
  const task = (name: string, fails = false) =>
    mutex(async () => {
      log.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      log.push(`${name} out`);
      if (fails) throw new Error(name);
    });
  await Promise.allSettled([task('a'), task('b', true), task('c')]);
  expect(log).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
});

test.each([
  ['Conversion Error: Could not convert string "Jane Canary" to INT32', 'Conversion Error'],
  ['Constraint Error: Duplicate key "id: Jane Canary"', 'Constraint Error'],
  ['Out of Range Error: Jane Canary', 'Out of Range Error'],
  ['Invalid Input Error: Failed to cast value Jane Canary', 'Invalid Input Error'],
  ['Jane Canary broke it', 'an error of DuckDB'],
  [
    'Catalog Error: Table with name contact does not exist',
    'Catalog Error: Table with name contact does not exist',
  ],
])('I5: of an error that may quote a value only its kind is told: %s', (message, told) => {
  expect(wrapped('loading', new Error(message)).message).toBe(`loading: ${told}`);
});
