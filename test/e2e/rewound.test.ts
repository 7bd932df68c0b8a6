/** A warehouse or a ledger that is older than the other is noticed: never green over a hole. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { startWorker } from '../support/worker-process.ts';

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, 120_000);
afterAll(() => temporal.stop());
beforeEach(async () => {
  pipeline = await openPipeline(temporal, { sandbox: { objects: { Contact: 300 } } });
  await pipeline.start();
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
}, 60_000);
afterEach(() => pipeline.close());

const FILES = {
  warehouse: ['warehouse.duckdb', 'warehouse.duckdb.wal'],
  ledger: ['ledger.db', 'ledger.db-wal', 'ledger.db-shm'],
};

function copy(what: keyof typeof FILES, from: string, to: string): void {
  for (const name of FILES[what]) {
    rmSync(join(pipeline.home, `${name}${to}`), { force: true });
    if (existsSync(join(pipeline.home, `${name}${from}`)))
      copyFileSync(join(pipeline.home, `${name}${from}`), join(pipeline.home, `${name}${to}`));
  }
}

async function increment(): Promise<void> {
  pipeline.sandbox.living.run(120);
  pipeline.pass(900_000);
  expect((await pipeline.sync()).outcome).toBe('ok');
}

test('a deleted warehouse file is noticed, again and again', async () => {
  await pipeline.stop();
  for (const name of FILES.warehouse) rmSync(join(pipeline.home, name), { force: true });
  await pipeline.start();
  for (let run = 0; run < 2; run += 1) {
    pipeline.pass();
    const end = await pipeline.sync();
    expect(end.outcome).toBe('SINK_REWOUND');
    expect(end.message).toMatch(/repair --from-stage.*backfill crm --from beginning/);
  }
});

test("yesterday's copy of the warehouse is noticed", async () => {
  await pipeline.stop();
  copy('warehouse', '', '.old');
  await pipeline.start();
  await increment();
  await pipeline.stop();
  copy('warehouse', '.old', '');
  await pipeline.start();
  pipeline.pass(900_000);
  expect((await pipeline.sync()).outcome).toBe('SINK_REWOUND');
});

test('an older copy of the ledger takes over what the warehouse proves, and goes on', async () => {
  await pipeline.stop();
  copy('ledger', '', '.old');
  await pipeline.start();
  await increment();
  await increment();
  await pipeline.stop();
  copy('ledger', '.old', '');
  await pipeline.start();
  const [before] = await pipeline.rows('SELECT max(until) AS until FROM _headwater.intervals');
  await increment();
  expect(await pipeline.oracle('Contact')).toEqual([]);
  const [covered, more] = await pipeline.ledger((ledger) => ledger.coverage('crm', 'Contact'));
  expect(more).toBeUndefined();
  expect(String(covered?.until) > String(before?.['until'])).toBe(true);
  const newest = await pipeline.ledger((ledger) => ledger.windows({ connection: 'crm', limit: 1 }));
  expect(newest[0]?.from).toBe(before?.['until']);
});

test('a second worker on the same warehouse file waits, then takes over when the first has gone', async () => {
  const first = pipeline.worker;
  const second = startWorker(pipeline.loaded.path, pipeline.env);
  let ready = false;
  void second.then(() => (ready = true));
  pipeline.sandbox.living.run(50);
  pipeline.pass();
  const end = await pipeline.sync();
  expect(end.outcome).toBe('ok');
  expect(ready).toBe(false);
  await first?.stop();
  const taken = await second;
  try {
    pipeline.sandbox.living.run(50);
    pipeline.pass();
    expect(lineOf(await pipeline.sync()).verdict).toMatch(/proven|moved/);
    expect(await pipeline.oracle('Contact')).toEqual([]);
  } finally {
    await taken.stop();
  }
}, 90_000);
