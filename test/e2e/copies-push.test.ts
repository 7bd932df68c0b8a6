/** Pushed records where nothing can be read again, and a further warehouse that is away: what it missed is there once it is back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { keyHash, newKey } from '../../config/keys.ts';
import { pushInbox, until } from '../support/fast-lane.ts';
import { patient } from '../support/patience.ts';
import { openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer } from '../support/postgres-warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const TEST_MS_MAX = patient(120_000);
const key = newKey();
const order = {
  ...{ key: 'id', stamp: 'updated', deleted: 'cancelled' },
  fields: { id: 'string', updated: 'timestamp', total: 'decimal(18,2)', cancelled: 'boolean' },
};

let temporal: TestTemporal;
let postgres: TestPostgres;
let pipeline: Pipeline;
let server: TestServer;

beforeAll(async () => {
  [temporal, postgres] = await Promise.all([withTemporal(), startPostgres()]);
  const shop = {
    ...{ kind: 'push', objects: 'all', records: { order } },
    webhooks: { secrets: [{ $secret: { env: 'SHOP' } }], landEvery: '200ms' },
  };
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 0 } },
    more: {
      connections: { shop },
      ...{ serve: { webhooks: { port: 0 }, keys: { tool: { hash: keyHash(key), scopes: ['ingest'] } } } },
      warehouse: undefined,
      warehouses: {
        main: { kind: 'duckdb', path: 'warehouse.duckdb' },
        copy: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_COPY' } } },
      },
    },
    env: { SHOP: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', HEADWATER_TEST_COPY: postgres.url },
  });
  await pipeline.start();
  server = await startServer(pipeline.home, ['--config', pipeline.loaded.path, '--webhooks'], pipeline.env);
}, TEST_MS_MAX);

afterAll(async () => {
  server.signal('SIGKILL');
  await server.ended;
  await pipeline.close();
  await temporal.stop();
  await postgres.stop();
});

async function ingest(...records: Record<string, unknown>[]): Promise<void> {
  const answer = await fetch(`${server.urls.webhooks}/v1/ingest/shop/order`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify(records),
  });
  expect(await answer.json()).toMatchObject({ accepted: records.length, refused: 0 });
}

const at = (minute: number) => `2026-11-20T08:${String(minute).padStart(2, '0')}:00.000Z`;
const ROWS = 'SELECT id, total::varchar AS total, _deleted AS deleted FROM shop."order" ORDER BY id';
const BATCHES = 'SELECT DISTINCT batch FROM _headwater.batches ORDER BY 1';
const inMain = (sql: string) => pipeline.rows(sql).catch(() => []);
const inCopy = (sql: string) => administer(postgres.url, sql).catch(() => []);
const told = (rows: Record<string, unknown>[]) =>
  rows.map(({ id, total, deleted }) => `${String(id)} ${String(total)} ${String(deleted)}`).join();

async function waiting(): Promise<number> {
  const inbox = await pushInbox(pipeline);
  try {
    return (await inbox.states()).find(({ connection }) => connection === 'shop')?.waiting ?? 0;
  } finally {
    await inbox.close();
  }
}

test(
  'I2: what is pushed while a copy is away reaches the main one at once and the copy when it is back, with its batches; then it is settled',
  async () => {
    await ingest({ id: 'A', updated: at(5), total: '1.00' });
    await until(
      () => inCopy(ROWS).then(told),
      (rows) => rows === 'A 1.00 false',
      patient(40_000),
    );
    await postgres.kill();
    await ingest({ id: 'A', updated: at(6), total: '2.00' }, { id: 'B', updated: at(6), total: '3.00' });
    await until(
      () => inMain(ROWS).then(told),
      (rows) => rows === 'A 2.00 false,B 3.00 false',
      patient(40_000),
    );
    await ingest({ id: 'A', updated: at(7), total: '2.00', cancelled: true });
    await until(
      () => inMain(ROWS).then(told),
      (rows) => rows.startsWith('A 2.00 true'),
      patient(40_000),
    );
    // A worker that dies meanwhile forgets nothing either.
    await pipeline.worker?.kill();
    await pipeline.start();
    await sleep(1_000);
    expect(await waiting()).toBe(3);
    await postgres.restart();
    await until(
      () => inCopy(ROWS).then(told),
      (rows) => rows === 'A 2.00 true,B 3.00 false',
      patient(60_000),
    );
    await until(waiting, (count) => count === 0, patient(40_000));
    expect(await inCopy(ROWS)).toEqual(await inMain(ROWS));
    // I7: the newest landing has the same batch row in each.
    const batches = await inCopy(BATCHES);
    expect(batches.length).toBeGreaterThan(1);
    expect(await inMain(BATCHES)).toEqual(expect.arrayContaining(batches));
  },
  TEST_MS_MAX,
);
