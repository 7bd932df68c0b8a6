/** What an operator does with the `temporal` command itself: trigger, backfill, cancel, overlap, mistakes. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { applySchedules } from '../../cli/schedules.ts';
import { openPipeline, TUNING, type Pipeline } from '../support/pipeline.ts';
import { temporalCliPath, withTemporal, type TestTemporal } from '../support/temporal.ts';
import { patient } from '../support/patience.ts';

const HOUR_MS = 3_600_000;
const WAIT_MS_MAX = patient(30_000);
const run = promisify(execFile);

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, 120_000);
afterAll(() => temporal.stop());
afterEach(async () => {
  for await (const { scheduleId } of pipeline.client.schedule.list())
    await pipeline.client.schedule.getHandle(scheduleId).delete();
  await pipeline.close();
});

async function cli(...words: string[]): Promise<string> {
  const { stdout } = await run(await temporalCliPath(), [...words, '--address', temporal.address]);
  return stdout;
}

/** Past stamps reach back a week, so that a backfill has intervals with rows. */
async function open(connection: Record<string, unknown> = {}): Promise<void> {
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 400, Account: 30 }, stampSpanMs: 7 * 24 * HOUR_MS, stampAgeMs: HOUR_MS },
    connection: { objects: ['Contact', 'Account'], schedule: { every: '1h', jitter: '0s' }, ...connection },
  });
  await pipeline.start();
  pipeline.pass();
  await applySchedules(pipeline.client, pipeline.loaded.config);
  expect((await pipeline.sync()).outcome).toBe('ok');
}

interface Listed {
  id: string;
  status: string;
}

/** Runs of a type since this pipeline began, by the visibility that the Temporal UI shows. */
async function listed(type: string): Promise<Listed[]> {
  const found: Listed[] = [];
  const query = `WorkflowType = '${type}' AND TaskQueue = '${pipeline.loaded.config.temporal.taskQueue}'`;
  for await (const one of pipeline.client.workflow.list({ query }))
    found.push({ id: one.workflowId, status: one.status.name });
  return found;
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${WAIT_MS_MAX} ms`);
    await sleep(100);
  }
}

const ofSchedule = async (prefix: string) =>
  (await listed('syncConnection')).filter(({ id }) => id.startsWith(prefix));
const done = (runs: Listed[], count: number) =>
  runs.length >= count && runs.every(({ status }) => status !== 'RUNNING') ? runs : undefined;
const hour = (back: number) =>
  new Date(Math.floor(pipeline.sandbox.clock.now() / HOUR_MS) * HOUR_MS - back * HOUR_MS).toISOString();

test('schedule trigger runs now and lands what has changed', async () => {
  await open();
  pipeline.sandbox.living.run(100);
  pipeline.pass();
  await cli('schedule', 'trigger', '--schedule-id', 'sync/crm');
  const runs = await until('the triggered run', async () => done(await ofSchedule('sync/crm-'), 1));
  expect(runs.map(({ status }) => status)).toEqual(['COMPLETED']);
  expect(await pipeline.oracle('Contact')).toEqual([]);
  expect(await pipeline.oracle('Account')).toEqual([]);
});

async function backfill(input: Record<string, unknown>, id = 'backfill/crm/by-hand') {
  const { taskQueue } = pipeline.loaded.config.temporal;
  const json = JSON.stringify({ connection: 'crm', tuning: TUNING, ...input });
  const words = ['--type', 'backfill', '--task-queue', taskQueue, '--workflow-id', id, '--input', json];
  await cli('workflow', 'start', ...words);
  return pipeline.client.workflow.getHandle(id);
}

interface BackfillEnd {
  plan: { windows: unknown[]; objects: { object: string; cells: Record<string, number> }[] };
  run: { outcome: string; objects: { state: string; rows: number; verdict: string | null }[] } | null;
}

test('workflow start backfill: a dry run, what is missing, everything; a year is a few windows', async () => {
  await open();
  const year = { from: hour(24 * 365), to: hour(0) };
  const dry: BackfillEnd = await (await backfill({ ...year, dryRun: true, reprocess: 'all' })).result();
  expect(dry.run).toBeNull();
  expect(dry.plan.windows).toHaveLength(2);
  expect(dry.plan.objects[0]?.cells['covered']).toBe(24 * 365);
  const missing: BackfillEnd = await (await backfill(year)).result();
  expect(missing.plan.windows).toEqual([]);
  const failed: BackfillEnd = await (await backfill({ ...year, reprocess: 'failed' })).result();
  expect(failed.plan.windows).toEqual([]);
  const all: BackfillEnd = await (
    await backfill({ ...year, reprocess: 'all', objects: ['Contact'] })
  ).result();
  expect(all.run?.outcome).toBe('ok');
  expect(all.run?.objects).toEqual([expect.objectContaining({ state: 'landed', rows: 400 })]);
  expect(await pipeline.oracle('Contact')).toEqual([]);
});

test('workflow start backfill, failed: of a long range exactly what failed before, once the fault is gone', async () => {
  await open();
  const { faults, stats } = pipeline.sandbox;
  const long = { from: hour(72), to: hour(1) };
  const broken = { from: hour(24), to: hour(22) };
  const refusal = JSON.stringify([{ errorCode: 'MALFORMED_QUERY', message: 'injected by the test' }]);
  // Counts are answered, rows are not.
  const fault = { match: { path: /queryAll(?!.*count\()/i }, action: { status: 400, body: refusal } };
  const again = { reprocess: 'all', objects: ['Contact'] };
  const fine: BackfillEnd = await (
    await backfill({ from: hour(48), to: hour(46), ...again }, 'fine')
  ).result();
  expect(fine.run?.outcome).toBe('ok');
  faults.add(fault);
  const failure = await pipeline.ended(await backfill({ ...broken, ...again }, 'broken'));
  expect([failure.outcome, failure.run?.outcome]).toEqual(['SOURCE_REJECTED', 'failed']);
  faults.clear();

  const cells = async (id: string): Promise<BackfillEnd['plan']> => {
    const input = { ...long, reprocess: 'failed', dryRun: true };
    const { plan }: BackfillEnd = await (await backfill(input, id)).result();
    return plan;
  };
  const seen = await cells('seen');
  expect(seen.objects).toMatchObject([
    { object: 'Contact', cells: { failed: 2, covered: 69, missing: 0 } },
    { object: 'Account', cells: { failed: 0, covered: 71, missing: 0 } },
  ]);
  expect(seen.windows).toMatchObject([{ object: 'Contact', from: broken.from, until: broken.to, cells: 2 }]);
  const read = stats.of('rest.queryAll');
  const mended: BackfillEnd = await (await backfill({ ...long, reprocess: 'failed' }, 'mended')).result();
  expect(mended.run?.outcome).toBe('ok');
  expect(mended.run?.objects).toMatchObject([
    { object: 'Contact', from: broken.from, until: broken.to, state: 'landed', verdict: 'proven' },
  ]);
  // One page of rows, counts and no more.
  expect(stats.of('rest.queryAll') - read).toBeLessThanOrEqual(4);
  expect((await cells('after')).windows).toEqual([]);
  expect(await pipeline.oracle('Contact')).toEqual([]);
});

test('schedule backfill with BufferAll runs beside hourly runs and changes nothing that is right', async () => {
  await open();
  const range = ['--start-time', hour(3), '--end-time', hour(1)];
  const twin = ['schedule', 'backfill', '--schedule-id', 'backfill/crm', '--overlap-policy', 'BufferAll'];
  await cli(...twin, ...range);
  for (let round = 0; round < 2; round += 1) {
    pipeline.sandbox.living.run(60);
    pipeline.pass();
    await cli('schedule', 'trigger', '--schedule-id', 'sync/crm');
    await sleep(1_100);
  }
  const backfills = await until('the backfill', async () => done(await ofSchedule('backfill/crm-'), 3));
  expect(backfills.map(({ status }) => status)).toEqual(['COMPLETED', 'COMPLETED', 'COMPLETED']);
  await until('the hourly runs', async () => done(await ofSchedule('sync/crm-'), 1));
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  expect(await pipeline.oracle('Contact')).toEqual([]);
  expect(await pipeline.ledger((ledger) => ledger.coverage('crm', 'Contact'))).toHaveLength(1);
});

test.each([
  ['SKIP', 1],
  ['BUFFER_ONE', 2],
  ['BUFFER_ALL', 3],
] as const)('overlap %s: of three starts during a slow run, %i run', async (overlap, runs) => {
  await open({ schedule: { every: '1h', jitter: '0s', overlap } });
  pipeline.sandbox.living.run(60);
  pipeline.pass();
  const slow = pipeline.sandbox.faults.add({ match: { path: '/updated' }, action: { delayMs: 1_500 } });
  const { client } = pipeline;
  const policy = { SKIP: 'Skip', BUFFER_ONE: 'BufferOne', BUFFER_ALL: 'BufferAll' }[overlap];
  for (let start = 0; start < 3; start += 1) {
    await cli('schedule', 'trigger', '--schedule-id', 'sync/crm', '--overlap-policy', policy);
    // Two starts within one second would have one workflow id.
    await sleep(start === 0 ? 1_100 : 300);
  }
  await sleep(1_000);
  pipeline.sandbox.faults.remove(slow);
  const schedule = client.schedule.getHandle('sync/crm');
  await until('all runs', async () => {
    const { runningActions } = (await schedule.describe()).info;
    return runningActions.length === 0 ? done(await ofSchedule('sync/crm-'), runs) : undefined;
  });
  expect(await ofSchedule('sync/crm-')).toHaveLength(runs);
  expect((await schedule.describe()).policies.overlap).toBe(overlap);
  expect(await pipeline.oracle('Contact')).toEqual([]);
});

const MISTAKES: [type: string, input: string, says: RegExp][] = [
  ['syncConnection', '{"connection":"crm","objects":"Contact"}', /objects: a list of names is needed/],
  ['syncConnection', '{"connection":"nowhere"}', /"nowhere" is not configured; known: crm/],
  ['syncConnection', '{"conection":"crm"}', /connection: a name is needed; given: conection/],
  ['syncConnection', '{"connection":"crm","tuning":{"heartbeat":1}}', /tuning/],
  ['syncConnection', '"crm"', /connection: a name is needed/],
  ['syncConnection', 'null', /connection: a name is needed/],
  ['backfill', '{"connection":"crm","from":"yesterday","to":"2026-01-01"}', /from: is not a time/],
  ['backfill', '{"connection":"crm"}', /from/],
  ['backfill', 'null', /connection: a name is needed/],
];

test('a mistake in --input is refused in one line that says where', async () => {
  await open();
  const { taskQueue } = pipeline.loaded.config.temporal;
  for (const [index, [type, input, says]] of MISTAKES.entries()) {
    const id = `${taskQueue}/mistake/${index}`;
    const words = ['--type', type, '--task-queue', taskQueue, '--workflow-id', id];
    await cli('workflow', 'start', ...words, '--input', input);
    const end = await pipeline.ended(pipeline.client.workflow.getHandle(id));
    expect([input, end.outcome]).toEqual([input, 'INPUT_INVALID']);
    expect(end.message).toMatch(says);
    expect(end.message).not.toContain('\n');
  }
}, 90_000);

test('workflow cancel ends quickly and deletes the bulk job in the source', async () => {
  await open({ thresholds: { bulkRowsMin: 20 } });
  pipeline.sandbox.data.touchMany('Contact', 1);
  pipeline.pass();
  pipeline.sandbox.behaviour.bulkJobMs = 60_000;
  const deleted = pipeline.sandbox.stats.of('DELETE bulk.job');
  const created = pipeline.sandbox.stats.of('POST bulk.jobs');
  const handle = await pipeline.begin();
  await until('the bulk job', async () =>
    pipeline.sandbox.stats.of('POST bulk.jobs') > created ? true : undefined,
  );
  await sleep(500);
  const startedMs = Date.now();
  await cli('workflow', 'cancel', '--workflow-id', handle.workflowId);
  const end = await pipeline.ended(handle);
  expect(end.outcome).toBe('CancelledFailure');
  expect(Date.now() - startedMs).toBeLessThan(patient(10_000));
  expect(pipeline.sandbox.stats.of('DELETE bulk.job')).toBe(deleted + 1);
  pipeline.sandbox.behaviour.bulkJobMs = 0;
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  expect(await pipeline.oracle('Contact')).toEqual([]);
});
