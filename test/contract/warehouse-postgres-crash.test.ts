import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { LoadRequest } from '../../warehouses/warehouse.ts';
import { cutProxy } from '../support/cut-proxy.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { administer, newDatabase, openPostgres } from '../support/postgres-warehouse.ts';
import { openBench, windowOf, type Bench } from './warehouse-fixture.ts';
import { EVOLVE, NAME, row, signal } from './warehouse-harness.ts';
import { prepareReplay, PROVEN, replayBatches, stateOf, temporaryTables } from './warehouse-replay.ts';

let server: TestPostgres;
let bench: Bench;
beforeAll(async () => {
  [server, bench] = await Promise.all([startPostgres(['-c', 'fsync=off']), openBench()]);
}, 60_000);
afterAll(async () => {
  await bench.close();
  await server.stop();
});

test('I2: a connection that ends at any request of a load, answered or not: the load is there once after a replay', async () => {
  const requests = await replayBatches(bench);
  const url = await newDatabase(server);
  const proxy = await cutProxy(url);
  const warehouse = await openPostgres(proxy.url, bench.folder, { connectionsMax: 2 });
  const prepare = (name: string): Promise<LoadRequest> => prepareReplay(warehouse, requests, name);
  await warehouse.load(await prepare('calm'), signal);
  const wanted = await stateOf(url, 'calm');

  let steps = 0;
  /** False once the load is over before the cut. */
  const cutOnce = async (
    at: number | string,
    side: 'request' | 'answer',
    done: boolean,
  ): Promise<boolean> => {
    const name = `${side}_${at}`.toLowerCase().replaceAll(/\W/g, '');
    const request = await prepare(name);
    proxy.cutAt(at, side);
    const outcome = await warehouse.load(request, signal).then(
      () => 'loaded',
      (error: HeadwaterError) => error.code,
    );
    proxy.cutAt(0, side);
    if (outcome === 'loaded') return false;
    expect(outcome).toBe('WAREHOUSE_UNAVAILABLE');
    steps += 1;
    const again = await warehouse.load(request, signal);
    if (done) expect(again.alreadyApplied).toBe(true);
    expect(await warehouse.verify(request)).toEqual(PROVEN);
    expect(await stateOf(url, name)).toEqual(wanted);
    return true;
  };
  for (let step = 1; await cutOnce(step, 'request', false);) step += 2;
  for (let step = 2; await cutOnce(step, 'answer', false);) step += 2;
  // The commit that was done and never answered.
  expect(await cutOnce('COMMIT\0', 'answer', true)).toBe(true);
  expect(steps).toBeGreaterThan(25);
  expect(await temporaryTables(url)).toEqual([]);
  await warehouse.close();
  await proxy.close();
}, 120_000);

test('a server that ends the backend in the middle of a load: nothing of it is there, and the next one works', async () => {
  const url = await newDatabase(server);
  const warehouse = await openPostgres(url, bench.folder);
  await warehouse.migrate('crm', NAME, EVOLVE);
  const csv = Array.from({ length: 60_000 }, (_, at) => row(String(at), at % 60, `name ${at}`));
  const request = await bench.batch(NAME, { csv }, { window: windowOf('w1'), id: 'b1' });
  const loading = warehouse.load(request, signal).then(
    () => 'loaded',
    (error: HeadwaterError) => error.code,
  );
  for (let ended = 0; ended === 0; await sleep(2)) {
    ended = (
      await administer(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'COPY %'",
      )
    ).length;
  }
  expect(await loading).toBe('WAREHOUSE_UNAVAILABLE');
  expect(await warehouse.count('crm', 'contact')).toBe(0);
  expect((await warehouse.load(request, signal)).inserted).toBe(60_000);
  expect(await warehouse.count('crm', 'contact')).toBe(60_000);
  await warehouse.close();
}, 60_000);

test('a loading process that is killed at any moment leaves nothing half, and its files go with the next start', async () => {
  const url = await newDatabase(server);
  const folder = join(bench.folder, 'killed');
  const maker = await openPostgres(url, folder);
  await maker.migrate('crm', NAME, EVOLVE);
  await maker.close();
  const csv = Array.from({ length: 60_000 }, (_, at) => row(String(at), at % 60, `name ${at}`));
  const request = await bench.batch(NAME, { csv }, { window: windowOf('w1'), id: 'b1' });
  const program = fileURLToPath(new URL('warehouse-postgres-crash-child.ts', import.meta.url));
  const seen = new Set<number>();
  for (const waitMs of [5, 150, 400]) {
    const child = spawn(process.execPath, [program, url, folder, JSON.stringify(request)]);
    // It may be done, and gone, before it is killed.
    const closed = new Promise((resolve) => child.once('close', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await sleep(waitMs);
    child.kill('SIGKILL');
    await closed;
    const [held] = await administer(
      url,
      'SELECT (SELECT count(*) FROM crm.contact)::int AS rows, (SELECT count(*) FROM _headwater.batches)::int AS batches',
    );
    expect([
      [0, 0],
      [60_000, 1],
    ]).toContainEqual([held?.['rows'], held?.['batches']]);
    seen.add(Number(held?.['rows']));
  }
  expect(seen.has(0)).toBe(true);
  const warehouse = await openPostgres(url, folder);
  expect(readdirSync(join(folder, 'spill'))).toHaveLength(1);
  const receipt = await warehouse.load(request, signal);
  expect(receipt.inserted).toBe(60_000);
  expect(await warehouse.verify(request)).toEqual({ present: 60_000, missing: 0 });
  await warehouse.close();
}, 60_000);
