/** Old facts go after a run; what they proved stays proven. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sinkOf } from '../../config/connection-config.ts';
import { CRM, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const AGE_DAYS = 100;
const RUNS = 6;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, 120_000);
afterAll(() => temporal.stop());
afterEach(() => pipeline.close());

/** Makes everything that there is look a hundred days old; no process has the files open. */
async function age(): Promise<void> {
  const ledger = new DatabaseSync(join(pipeline.home, 'ledger.db'));
  const older = (column: string) =>
    `${column} = strftime('%Y-%m-%dT%H:%M:%fZ', ${column}, '-${AGE_DAYS} days')`;
  ledger.exec(`UPDATE windows SET ${older('created_at')}; UPDATE runs SET ${older('started_at')}`);
  ledger.close();
  const file = await DuckDBInstance.create(String(pipeline.loaded.config.warehouse.options['path']));
  const connection = await file.connect();
  await connection.run(
    `UPDATE _headwater.batches SET loaded_at = loaded_at - INTERVAL ${AGE_DAYS} DAY;
     UPDATE _headwater.runs SET started_at = '2000' || started_at[5:]`,
  );
  connection.closeSync();
  file.closeSync();
}

const claims = () =>
  pipeline.ledger(async (ledger) => ({
    source: await ledger.coverage(CRM, 'Contact'),
    sink: await ledger.sinkCoverage(sinkOf(pipeline.loaded.config), CRM, 'Contact'),
    state: await ledger.sinkState(sinkOf(pipeline.loaded.config)),
    windows: await ledger.windows({ connection: CRM, limit: 100 }),
    runs: await ledger.runs({ limit: 100 }),
  }));
const facts = async () => {
  const [row] = await pipeline.rows(
    `SELECT (SELECT count(*) FROM _headwater.batches) AS batches, (SELECT count(*) FROM _headwater.runs) AS runs,
       (SELECT count(*) FROM _headwater.intervals) AS intervals, (SELECT seq FROM _headwater.sink) AS seq`,
  );
  return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
};

test('I3: windows, runs and batches past the retention go; coverage, seq, rows and kept receipts do not', async () => {
  pipeline = await openPipeline(temporal, { connection: { objects: ['Contact'] } });
  await pipeline.start();
  for (let run = 0; run < RUNS; run += 1) {
    pipeline.sandbox.living.run(20);
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
  }
  const before = await claims();
  const factsBefore = await facts();
  await pipeline.stop();
  await age();
  await pipeline.start();
  pipeline.sandbox.living.run(20);
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  const after = await claims();
  // The first load, the newest of them, and the window of the run that swept.
  expect(after.windows.length).toBeLessThan(before.windows.length);
  expect(after.windows.map(({ from }) => from)).toContain('0001-01-01T00:00:00.000Z');
  expect(after.runs.length).toBeLessThan(before.runs.length);
  expect(after.source).toEqual([{ from: before.source[0]?.from, until: after.windows[0]?.until }]);
  expect(after.sink).toEqual(after.source);
  expect(after.state).toEqual({ epoch: before.state?.epoch, seq: (before.state?.seq ?? 0) + 1 });
  const kept = new Map(before.windows.map((window) => [window.id, window.receipt]));
  for (const { id, receipt } of after.windows.filter((window) => kept.has(window.id)))
    expect(receipt).toEqual(kept.get(id));
  expect(await facts()).toEqual({
    batches: expect.any(Number),
    runs: 1,
    intervals: Number(factsBefore['intervals']) + 1,
    seq: Number(factsBefore['seq']) + 1,
  });
  expect((await facts())['batches']).toBeLessThan(Number(factsBefore['batches']));
  expect(await pipeline.oracle('Contact')).toEqual([]);
  // Nothing is taken for a lost warehouse, nothing is read again.
  pipeline.pass();
  const next = await pipeline.sync();
  expect(next.outcome).toBe('ok');
  expect(next.run?.objects.filter((line) => line.state === 'failed')).toEqual([]);
  expect((await claims()).source).toHaveLength(1);
}, 120_000);
