import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { LoadRequest } from '../../warehouses/warehouse.ts';
import { cutProxy } from '../support/cut-proxy.ts';
import { administer } from '../support/postgres-warehouse.ts';
import { redshiftMissing, startRedshift, type TestRedshift } from '../support/redshift.ts';
import { openBench, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal } from './warehouse-harness.ts';
import { prepareReplay, PROVEN, replayBatches, stateOf, temporaryTables } from './warehouse-replay.ts';

const missing = await redshiftMissing();

let server: TestRedshift;
let bench: Bench;

/** In no request: the cut is set in the middle of the load. */
const LATER = 'no such text';

/** Requests between two cuts: a load is some eighty of them, and each cut is three loads. */
const STRIDE = 5;

async function cuts(): Promise<void> {
  const requests = await replayBatches(bench);
  const url = await server.newDatabase();
  const proxy = await cutProxy(url);
  let onBatchRow: (() => void) | undefined;
  let armed: number | string = 0;
  const warehouse = await server.open(proxy.url, join(bench.folder, 'cut'), {
    config: { connectionsMax: 2 },
    onStatement: (sql) => {
      if (!sql.startsWith('INSERT INTO _headwater.batches VALUES') || armed !== LATER) return;
      onBatchRow?.();
      onBatchRow = undefined;
    },
  });
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
    armed = at;
    proxy.cutAt(at, side);
    const outcome = await warehouse.load(request, signal).then(
      () => 'loaded',
      (error: HeadwaterError) => error.code,
    );
    armed = 0;
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
  for (let step = 1; await cutOnce(step, 'request', false);) step += STRIDE;
  for (let step = 2; await cutOnce(step, 'answer', false);) step += STRIDE;
  // The commit that was done and never answered.
  onBatchRow = () => proxy.cutAt('COMMIT\0', 'answer');
  expect(await cutOnce(LATER, 'answer', true)).toBe(true);
  expect(steps).toBeGreaterThan(15);
  expect(await temporaryTables(url)).toEqual([]);
  expect(await server.objects()).toEqual([]);
  await warehouse.close();
  await proxy.close();
}

async function locked(): Promise<void> {
  const url = await server.newDatabase();
  const warehouse = await server.open(url, join(bench.folder, 'locked'), { config: { lockWaitMsMax: 300 } });
  await warehouse.migrate('crm', NAME, EVOLVE);
  const request = await bench.batch(NAME, { csv: [row('1', 1, 'a')] }, { window: windowOf('w1'), id: 'b1' });
  const other = new Client({ connectionString: url });
  other.on('error', () => undefined);
  await other.connect();
  await other.query('BEGIN; LOCK _headwater.writer');
  expect(await code(warehouse.load(request, signal))).toBe('WAREHOUSE_UNAVAILABLE');
  // Readers wait for nobody.
  expect(await warehouse.count('crm', 'contact')).toBe(0);
  const patient = await server.open(url, join(bench.folder, 'patient'));
  const controller = new AbortController();
  const started = performance.now();
  const loading = patient.load(request, controller.signal);
  setTimeout(() => controller.abort(new Error('stop')), 400);
  await expect(loading).rejects.toThrow('stop');
  expect(performance.now() - started).toBeLessThan(10_000);
  const waiting =
    "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%LOCK _headwater.writer%' AND state = 'active' AND pid <> pg_backend_pid()";
  expect(await administer(url, waiting)).toEqual([]);
  await other.query('ROLLBACK');
  await other.end();
  expect((await patient.load(request, signal)).inserted).toBe(1);
  expect(await server.objects()).toEqual([]);
  await warehouse.close();
  await patient.close();
}

async function together(): Promise<void> {
  const url = await server.newDatabase();
  const workers = await Promise.all(
    ['a', 'b', 'c'].map((name) => server.open(url, join(bench.folder, `worker-${name}`))),
  );
  // All of them make the system tables, and the table.
  await Promise.all(workers.map((worker) => worker.sinkState()));
  await workers[0]?.migrate('crm', NAME, EVOLVE);
  const requests = await Promise.all(
    workers.map((_, at) =>
      bench.batch(
        NAME,
        { csv: [row('same', at + 1, `v${at}`), row(`own ${at}`, 1, 'x')] },
        { window: windowOf(`w${at}`), id: `b${at}` },
      ),
    ),
  );
  await Promise.all(
    workers.flatMap((worker, at) => [0, 1].map(() => worker.load(requests[at] ?? requests[0]!, signal))),
  );
  const [first] = workers;
  expect((await first?.query('SELECT id, name FROM crm.contact ORDER BY id', 10))?.rows).toEqual([
    ...[0, 1, 2].map((at) => [`own ${at}`, 'x']),
    ['same', 'v2'],
  ]);
  expect((await first?.query('SELECT count(*) FROM _headwater.batches', 1))?.rows).toEqual([['3']]);
  for (const worker of workers) await worker.close();
}

async function swept(): Promise<void> {
  const url = await server.newDatabase();
  const folder = join(bench.folder, 'swept');
  const dead = await server.open(url, folder, { config: { secretAccessKey: 'x' } });
  const put = (name: string) =>
    fetch(`${server.s3.url}/${server.s3.bucket}/${name}`, { method: 'PUT', body: 'x' });
  await put('headwater-redshift/left.parquet');
  await put('other/kept.parquet');
  await dead.prune('2000-01-01T00:00:00.000Z', 10);
  expect(await server.objects()).toEqual(['headwater-redshift/left.parquet', 'other/kept.parquet']);
  const later = await server.open(url, folder, { now: () => Date.now() + 25 * 3_600_000 });
  await later.prune('2000-01-01T00:00:00.000Z', 10);
  expect(await server.objects()).toEqual(['other/kept.parquet']);
  await fetch(`${server.s3.url}/${server.s3.bucket}/other/kept.parquet`, { method: 'DELETE' });
  await dead.close();
  await later.close();
}

async function bucketAway(): Promise<void> {
  const url = await server.newDatabase();
  const calm = await server.open(url, join(bench.folder, 'calm'));
  await calm.migrate('crm', NAME, EVOLVE);
  const request = await bench.batch(NAME, { csv: [row('1', 1, 'a')] }, { window: windowOf('w1'), id: 'b1' });
  const away = await server.open(url, join(bench.folder, 'away'), {
    config: { endpoint: 'http://127.0.0.1:9' },
  });
  expect(await code(away.load(request, signal))).toBe('WAREHOUSE_UNAVAILABLE');
  expect(await calm.count('crm', 'contact')).toBe(0);
  const controller = new AbortController();
  const loading = away.load(request, controller.signal);
  await sleep(300);
  controller.abort(new Error('stop'));
  await expect(loading).rejects.toThrow('stop');
  expect((await calm.load(request, signal)).inserted).toBe(1);
  await away.close();
  await calm.close();
}

if (missing !== undefined) process.stderr.write(`SKIPPED: Redshift under faults, ${missing}\n`);
const suite = missing !== undefined ? describe.skip : describe;

suite('on Postgres behind a driver', () => {
  beforeAll(async () => {
    [server, bench] = await Promise.all([startRedshift(), openBench()]);
  }, 60_000);
  afterAll(async () => {
    await bench.close();
    await server.stop();
  });
  test(
    'I2: a connection that ends at any request of a load: the load is there once after a replay',
    cuts,
    120_000,
  );
  test('a load waits for another one, not for ever, and stops at once when it is told to', locked, 30_000);
  test('I2: workers that load at once follow each other, and the newest version stays', together, 30_000);
  test('what a killed process left in the bucket goes a day later, nothing else does', swept, 30_000);
  test('a bucket that cannot be reached is tried again later, and nothing has landed', bucketAway, 30_000);
});
