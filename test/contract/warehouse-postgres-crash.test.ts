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
import { EVOLVE, NAME, row, signal, T } from './warehouse-harness.ts';

let server: TestPostgres;
let bench: Bench;
beforeAll(async () => {
  [server, bench] = await Promise.all([startPostgres(['-c', 'fsync=off']), openBench()]);
}, 60_000);
afterAll(async () => {
  await bench.close();
  await server.stop();
});

/** Rows and facts of one connection, without times of loading: what all that took the same batches have in common. */
async function state(url: string, name: string): Promise<unknown> {
  const rows = await administer(
    url,
    `SELECT id, name, _deleted, _version::text, _confirmed_at::text, _hash, split_part(_window, ' ', 1) AS in_window FROM ${name}.contact ORDER BY id`,
  );
  const facts = await administer(
    url,
    `SELECT split_part(batch, ' ', 1) AS batch, attempt, inserted, updated, unchanged, stale, replaced_by
     FROM _headwater.batches WHERE connection = '${name}' ORDER BY batch`,
  );
  const aside = await administer(
    url,
    `SELECT record, field, value FROM _headwater.quarantine WHERE connection = '${name}' ORDER BY 1`,
  );
  return { rows, facts, aside };
}

async function batches(): Promise<[LoadRequest, LoadRequest]> {
  const rows = [row('1', 1, 'a'), row('2', 2, 'b'), row('3', 3, 'c'), row('4', 4, 'd')];
  const first = await bench.batch(
    NAME,
    { csv: rows },
    { window: windowOf('w1'), id: 'b1', confirmedAt: T(20) },
  );
  const csv = [row('1', 1, 'a'), row('2', 3, 'newer'), row('3', 1, 'older'), row('5', 5, 'e')];
  csv.push(['6', 'no time', 'false', 'bad']);
  const tombstones = [
    { id: '4', deletedAt: T(9) },
    { id: '9', deletedAt: T(9) },
  ];
  const more = { window: windowOf('w2'), id: 'b2', confirmedAt: T(30) };
  return [first, await bench.batch(NAME, { csv, tombstones }, more)];
}

/** The same batch of another connection. */
const of = (name: string, { window, batch, ...rest }: LoadRequest): LoadRequest => ({
  ...rest,
  window: { ...window, id: `${window.id} ${name}`, connection: name },
  batch: { ...batch, id: `${batch.id} ${name}`, window: `${window.id} ${name}` },
});

test('I2: a connection that ends at any request of a load, answered or not: the load is there once after a replay', async () => {
  const requests = await batches();
  const url = await newDatabase(server);
  const proxy = await cutProxy(url);
  const warehouse = await openPostgres(proxy.url, bench.folder, { connectionsMax: 2 });
  const prepare = async (name: string): Promise<LoadRequest> => {
    await warehouse.migrate(name, NAME, EVOLVE);
    await warehouse.load(of(name, requests[0]), signal);
    return of(name, requests[1]);
  };
  await warehouse.load(await prepare('calm'), signal);
  const wanted = await state(url, 'calm');

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
    expect(await warehouse.verify(request)).toEqual({ present: 6, missing: 0 });
    expect(await state(url, name)).toEqual(wanted);
    return true;
  };
  for (let step = 1; await cutOnce(step, 'request', false);) step += 2;
  for (let step = 2; await cutOnce(step, 'answer', false);) step += 2;
  // The commit that was done and never answered.
  expect(await cutOnce('COMMIT\0', 'answer', true)).toBe(true);
  expect(steps).toBeGreaterThan(25);
  const held = await administer(
    url,
    "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'",
  );
  expect(held).toEqual([]);
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
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await sleep(waitMs);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
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
