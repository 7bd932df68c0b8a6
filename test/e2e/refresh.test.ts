/** What changes without a stamp: new fields, formulas, deletions that the source has forgotten. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { BackfillResult } from '../../workflows/backfill.ts';
import { lineOf, openPipeline, TUNING, type Pipeline, type PipelineOptions } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 400;
const DAY_MS = 86_400_000;
/** An org whose clock may go on for a month without being ahead of ours. */
const LONG_AGO: PipelineOptions = {
  sandbox: { objects: { Contact: CONTACTS }, now: () => Date.now() - 30 * DAY_MS },
};

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, 120_000);
afterEach(() => pipeline.close());
afterAll(() => temporal.stop());

async function loaded(options: PipelineOptions = {}): Promise<void> {
  pipeline = await openPipeline(temporal, { sandbox: { objects: { Contact: CONTACTS } }, ...options });
  await pipeline.start();
  pipeline.pass();
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(await pipeline.oracle('Contact')).toEqual([]);
}

const backfill = async (input: Record<string, unknown>): Promise<BackfillResult> => {
  const handle = await pipeline.client.workflow.start('backfill', {
    workflowId: `backfill/${pipeline.loaded.config.temporal.taskQueue}/${Math.random()}`,
    taskQueue: pipeline.loaded.config.temporal.taskQueue,
    args: [{ connection: 'crm', from: 'beginning', to: new Date().toISOString(), tuning: TUNING, ...input }],
  });
  return (await handle.result()) as BackfillResult;
};

const linesOf = (end: Awaited<ReturnType<Pipeline['sync']>>) =>
  (end.run?.objects ?? []).filter((line) => line.object === 'Contact');

const text = async (sql: string) => JSON.stringify(await pipeline.rows(sql));

test('a new field: told with its price by one run, filled by the next, in its column alone', async () => {
  await loaded();
  const { data } = pipeline.sandbox;
  const others =
    'SELECT * EXCLUDE (_confirmed_at, _hash, _window, _loaded_at, tier__c) FROM crm.contact ORDER BY id';
  data.addField('Contact', { name: 'Tier__c', type: 'string', filled: true });
  data.update('Contact', 7, { LastName: 'Edited' });
  pipeline.pass();
  const told = await pipeline.sync();
  expect(told.outcome).toBe('ok');
  expect(lineOf(told).message).toMatch(
    /new: Tier__c\. 400 older rows lack them: about \d+ calls, [\d.]+ % of a day's/,
  );
  const filled = 'SELECT count(tier__c)::INTEGER AS filled FROM crm.contact';
  expect(await pipeline.rows(filled)).toEqual([{ filled: 1 }]);
  const before = await text(others);

  const preview = await backfill({ objects: ['Contact'], fields: ['Tier__c'], dryRun: true });
  expect(preview.plan).toMatchObject({
    windows: [{ fields: ['Tier__c'], rowsEstimate: CONTACTS }],
    calls: 4,
  });
  expect(preview.plan.quota?.limit).toBeGreaterThan(0);
  expect(await pipeline.rows(filled)).toEqual([{ filled: 1 }]);

  pipeline.pass();
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  const partial = linesOf(end).at(-1);
  expect(partial).toMatchObject({
    from: '0001-01-01T00:00:00.000Z',
    rows: CONTACTS,
    inserted: 0,
    deleted: 0,
    verdict: 'proven',
    message: 'only Tier__c (new fields)',
  });
  expect(partial?.updated).toBeGreaterThan(CONTACTS / 2);
  expect(await pipeline.oracle('Contact')).toEqual([]);
  expect(await text(others)).toBe(before);
  // Its batch row and receipt are there; its interval covers nothing, and nothing is due any more.
  expect(
    await pipeline.rows(
      `SELECT inserted::INTEGER AS inserted, updated::INTEGER AS updated FROM _headwater.batches WHERE "window" = '${partial?.window ?? ''}'`,
    ),
  ).toEqual([{ inserted: 0, updated: partial?.updated }]);
  const [window] = await pipeline.ledger((ledger) => ledger.windows({ connection: 'crm', limit: 1 }));
  expect(window?.receipt).toMatchObject({ fields: ['Tier__c'], source: { before: CONTACTS } });
  const { schema } = await pipeline.ledger((ledger) => ledger.progress(window?.id ?? ''));
  expect(schema.fields.map((field) => field.name).toSorted()).toEqual([
    ...['Id', 'IsDeleted', 'SystemModstamp', 'Tier__c'],
  ]);
  // The table follows the whole description: no column was taken for removed.
  const removed = "SELECT 1 FROM _headwater.schema_changes WHERE change = 'remove_column'";
  expect(await pipeline.rows(removed)).toEqual([]);
  pipeline.pass(3_600_000);
  const idle = await pipeline.sync();
  pipeline.pass(3_600_000);
  pipeline.sandbox.stats.reset();
  const handle = await pipeline.begin();
  expect([idle.outcome, await pipeline.ended(handle)]).toMatchObject([
    'ok',
    { run: { idle: 1, objects: [] } },
  ]);
  expect(pipeline.sandbox.stats.apiRequests).toBeLessThanOrEqual(2);
  expect((await handle.fetchHistory()).events?.length).toBeLessThanOrEqual(12);
}, 120_000);

test('a field that the configuration takes in again, on an object that never changes', async () => {
  await loaded();
  const { data } = pipeline.sandbox;
  data.addField('Contact', { name: 'Tier__c', type: 'double', precision: 6, scale: 2, filled: true });
  pipeline.pass(3_600_000);
  const unaware = await pipeline.sync();
  expect(unaware.run).toMatchObject({
    objects: expect.not.arrayContaining([expect.objectContaining({ code: 'NOTE' })]),
  });
  // A day later the object is described although nothing changed.
  await pipeline.ledger(async (ledger) => {
    const state = JSON.parse((await ledger.meta('refresh/crm/Contact')) ?? '{}') as object;
    const describedAt = new Date(Date.now() - DAY_MS).toISOString();
    await ledger.setMeta('refresh/crm/Contact', JSON.stringify({ ...state, describedAt }));
  });
  pipeline.pass(3_600_000);
  const told = await pipeline.sync();
  expect(lineOf(told)).toMatchObject({ state: 'current', code: 'NOTE' });
  pipeline.pass(3_600_000);
  const end = await pipeline.sync();
  expect(lineOf(end)).toMatchObject({ rows: CONTACTS, verdict: 'proven' });
  expect(await pipeline.oracle('Contact')).toEqual([]);
}, 120_000);

test('formulas that drift are read again by the policy, in their columns alone', async () => {
  await loaded({ connection: { refresh: { formulas: '1s' } } });
  const { data } = pipeline.sandbox;
  data.bumpFormula('Contact', 'Greeting__c');
  data.update('Contact', 3, { FirstName: 'Newer' });
  pipeline.pass();
  expect(await pipeline.oracle('Contact')).not.toEqual([]);
  await sleep(1_100);
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(linesOf(end)).toMatchObject([
    { rows: 1, updated: 1 },
    // The edited row is no longer in the range that was read: its own window brought it whole.
    { rows: CONTACTS - 1, updated: CONTACTS - 1, inserted: 0, message: 'only Greeting__c (formulas)' },
  ]);
  expect(await pipeline.oracle('Contact')).toEqual([]);
  // And back again: a row whose formula has its old result is not taken for unchanged by a whole reading.
  data.update('Contact', 4, { FirstName: 'Whole' });
  pipeline.pass();
  const whole = await backfill({ reprocess: 'all' });
  expect(whole.run?.outcome).toBe('ok');
  await pipeline.sync();
  expect(await pipeline.oracle('Contact')).toEqual([]);
}, 120_000);

test('deletions that the source has forgotten are found by their ids', async () => {
  await loaded(LONG_AGO);
  const { data } = pipeline.sandbox;
  for (const index of [20, 21, 22]) {
    data.delete('Contact', index);
    data.purge('Contact', index);
  }
  data.update('Contact', 30, { LastName: 'Alive' });
  pipeline.pass(20 * DAY_MS);
  data.forgetDeletions('Contact', pipeline.sandbox.clock.now() - 15 * DAY_MS);
  data.update('Contact', 31, { LastName: 'Alive too' });
  pipeline.pass();
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(linesOf(end).at(-1)).toMatchObject({
    deleted: 3,
    updated: 0,
    verdict: 'proven',
    message: 'only ids, to find deletions that the source has forgotten',
  });
  expect(await pipeline.oracle('Contact')).toEqual([]);
  expect(await pipeline.rows('SELECT count(*)::INTEGER AS gone FROM crm.contact WHERE _deleted')).toEqual([
    { gone: 3 },
  ]);
  pipeline.pass();
  expect((await pipeline.sync()).run?.objects.filter((line) => line.code === 'NOTE')).toEqual([]);
}, 120_000);

test('an id comparison that finds too much gone is refused, hourly windows land, and the operator may allow it', async () => {
  await loaded(LONG_AGO);
  const { data } = pipeline.sandbox;
  for (let index = 0; index < 250; index += 1) {
    data.delete('Contact', index);
    data.purge('Contact', index);
  }
  pipeline.pass(20 * DAY_MS);
  data.forgetDeletions('Contact', pipeline.sandbox.clock.now() - 15 * DAY_MS);
  const gone = 'SELECT count(*)::INTEGER AS gone FROM crm.contact WHERE _deleted';
  for (const round of [1, 2]) {
    data.update('Contact', 300, { LastName: `Round ${round}` });
    pipeline.pass();
    const refused = await pipeline.sync();
    expect(refused.outcome).toBe('PARTIAL');
    const [hourly, guard] = linesOf(refused)
      .toSorted((a, b) => a.state.localeCompare(b.state))
      .toReversed();
    expect(hourly).toMatchObject({ state: 'landed', updated: 1 });
    expect(guard).toMatchObject({ state: 'failed', code: 'SHRINK_GUARD' });
    expect(guard?.message).toContain('--allow-shrink');
    expect(await pipeline.rows(gone)).toEqual([{ gone: 0 }]);
  }
  pipeline.pass();
  const end = await pipeline.sync({ allowShrink: true });
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(linesOf(end).at(-1)).toMatchObject({ deleted: 250 });
  expect(await pipeline.oracle('Contact')).toEqual([]);
}, 120_000);

/** The worker starts again with another connection. */
async function reconfigured(change: Record<string, unknown>): Promise<void> {
  const path = join(pipeline.home, 'headwater.config.json');
  const written = JSON.parse(readFileSync(path, 'utf8')) as { connections: Record<string, object> };
  written.connections['crm'] = { ...written.connections['crm'], ...change };
  writeFileSync(path, JSON.stringify(written));
  await pipeline.start();
}

test('a dear refresh waits for the operator, any for the quota of backfills; hourly windows land', async () => {
  const rates = { perSecond: 2_000, burst: 2_000 };
  await loaded({ connection: { refresh: { formulas: '1s', quotaShareMax: 0.000_01 }, limits: rates } });
  const { data } = pipeline.sandbox;
  data.bumpFormula('Contact', 'Greeting__c');
  await sleep(1_100);
  pipeline.pass();
  const waits = await pipeline.sync();
  expect(waits.outcome).toBe('ok');
  expect(lineOf(waits).message).toMatch(
    /only Greeting__c \(formulas\) would take about \d+ calls, .* waits → Run `npx headwater backfill crm Contact --fields Greeting__c`/,
  );
  expect(await pipeline.oracle('Contact')).not.toEqual([]);
  const done = await backfill({ objects: ['Contact'], fields: ['Greeting__c'] });
  expect(done.run).toMatchObject({ outcome: 'ok', objects: [{ verdict: 'proven' }] });
  expect(await pipeline.oracle('Contact')).toEqual([]);

  data.bumpFormula('Contact', 'Greeting__c');
  data.update('Contact', 3, { FirstName: 'Newer' });
  pipeline.pass();
  await reconfigured({
    refresh: { formulas: '1s' },
    limits: { ...rates, quotaShareMax: { backfill: 0.000_001 } },
  });
  const deferred = await pipeline.sync();
  expect(deferred.outcome).toBe('deferred');
  expect(linesOf(deferred)).toContainEqual(expect.objectContaining({ state: 'landed', rows: 1 }));
  expect(linesOf(deferred)).toContainEqual(
    expect.objectContaining({ state: 'deferred', code: 'QUOTA_EXHAUSTED' }),
  );
  await reconfigured({ limits: rates });
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  expect(await pipeline.oracle('Contact')).toEqual([]);
}, 120_000);

test('a worker that dies in a partial window goes on with it: nothing is doubled, nothing nulled', async () => {
  await loaded({ connection: { refresh: { formulas: '1s' } } });
  const { data } = pipeline.sandbox;
  for (const boundary of ['load:done', 'commit:interval']) {
    data.bumpFormula('Contact', 'Greeting__c');
    pipeline.pass(3_600_000);
    await sleep(1_100);
    const worker = await pipeline.start({ HEADWATER_FAILPOINT: boundary });
    const handle = await pipeline.begin();
    await worker.ended;
    await pipeline.start();
    const end = await pipeline.ended(handle);
    expect([boundary, end.outcome, end.message]).toEqual([boundary, 'ok', '']);
    expect(lineOf(end)).toMatchObject({ verdict: 'proven', inserted: 0 });
    expect(await pipeline.oracle('Contact')).toEqual([]);
  }
  const doubled =
    'SELECT count(*)::INTEGER AS windows FROM (SELECT "window" FROM _headwater.intervals GROUP BY 1 HAVING count(*) > 1)';
  expect(await pipeline.rows(doubled)).toEqual([{ windows: 0 }]);
  expect(await pipeline.ledger((ledger) => ledger.openWindows('crm'))).toEqual([]);
}, 120_000);
