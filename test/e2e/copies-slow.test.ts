/** Three warehouses, one of which is slow: another session holds a lock on its table. The others do not wait for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { until } from '../support/fast-lane.ts';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer, newDatabase } from '../support/postgres-warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const TEST_MS_MAX = 120_000;
const SINKS = ['main', 'copy', 'lake'];
/** How much longer the slow one is held after the others have everything. */
const LONGER_MS = 1_500;

let temporal: TestTemporal;
let postgres: TestPostgres;
let pipeline: Pipeline;
const urls: Record<string, string> = {};

beforeAll(async () => {
  [temporal, postgres] = await Promise.all([withTemporal(), startPostgres()]);
  const env: Record<string, string> = {};
  for (const name of ['main', 'copy']) {
    urls[name] = await newDatabase(postgres);
    env[`HEADWATER_TEST_${name.toUpperCase()}`] = urls[name];
  }
  Object.assign(process.env, env);
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 200, Lead: 50 } },
    connection: { objects: ['Contact', 'Lead'] },
    more: {
      warehouse: undefined,
      warehouses: {
        main: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_MAIN' } } },
        copy: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_COPY' } } },
        lake: { kind: 'duckdb', path: 'lake.duckdb' },
      },
      profiles: {},
    },
    env,
    syncMsMax: TEST_MS_MAX,
  });
  await pipeline.start();
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
  await postgres.stop();
});

async function lockTable(url: string): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query('BEGIN');
  await client.query('LOCK TABLE crm.contact IN SHARE MODE');
  return async () => {
    await client.query('COMMIT');
    await client.end();
  };
}

const titled = async (name: string, title: string) =>
  await administer(urls[name] ?? '', `SELECT id FROM crm.contact WHERE title = '${title}' ORDER BY id`);

test.each(['main', 'copy'])(
  '%s slow: the other two have their rows and receipts long before; then it has them too, and the run is ok',
  async (slow) => {
    const fast = SINKS.filter((sink) => sink !== slow);
    const quick = slow === 'main' ? 'copy' : 'main';
    const title = `Slow ${slow}`;
    for (const index of [1, 2, 3]) pipeline.sandbox.data.update('Contact', index, { Title: title });
    pipeline.sandbox.data.update('Lead', 1, { LastName: title });
    pipeline.pass();
    const unlock = await lockTable(urls[slow] ?? '');
    const lacks = (sink: string) => pipeline.ledger((ledger) => ledger.undelivered(sink, 'crm'));
    const handle = await pipeline.begin();
    try {
      await until(
        () => titled(quick, title),
        (rows) => rows.length === 3,
      );
      for (const sink of fast)
        await until(
          () => lacks(sink),
          (windows) => windows.length === 0,
        );
      await sleep(LONGER_MS);
      expect(await titled(slow, title)).toEqual([]);
      expect((await lacks(slow)).map(({ object }) => object)).toContain('Contact');
    } finally {
      await unlock();
    }
    const end = await pipeline.ended(handle);
    expect([end.outcome, end.message, end.run?.behind]).toEqual(['ok', '', undefined]);
    expect(lineOf(end)).toMatchObject({ state: 'landed', verdict: 'proven', rows: 3, updated: 3 });
    expect(await titled(slow, title)).toEqual(await titled(quick, title));
    for (const sink of SINKS) expect(await lacks(sink)).toEqual([]);
    const intervals = 'SELECT "window" AS w FROM _headwater.intervals ORDER BY 1';
    expect(await administer(urls['main'] ?? '', intervals)).toEqual(
      await administer(urls['copy'] ?? '', intervals),
    );
  },
  TEST_MS_MAX,
);
