/** A schedule that fires by itself, from the configuration: nobody triggers, and the second run reads what has changed only. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { applySchedules } from '../../cli/schedules.ts';
import { CRM, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { patient } from '../support/patience.ts';

const EVERY_MS = 8_000;
const ROWS = 400;
const CHANGED = 20;
const WAIT_MS_MAX = patient(60_000);

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
  pipeline = await openPipeline(temporal, {
    // Nominal times are of the real clock, so the org's has to be, too.
    sandbox: { objects: { Contact: ROWS }, now: Date.now },
    connection: { schedule: { every: `${EVERY_MS / 1_000}s`, jitter: '0s' } },
  });
  await pipeline.start();
}, 120_000);
afterAll(async () => {
  for await (const { scheduleId } of pipeline.client.schedule.list())
    await pipeline.client.schedule.getHandle(scheduleId).delete();
  await pipeline.close();
  await temporal.stop();
});

interface Fired {
  workflowId: string;
  /** As Temporal noted it, to the second. */
  nominal: string;
  status: string;
}

async function fired(): Promise<Fired[]> {
  const { taskQueue } = pipeline.loaded.config.temporal;
  const found: Fired[] = [];
  for await (const run of pipeline.client.workflow.list({ query: `TaskQueue = '${taskQueue}'` })) {
    if (run.type !== 'syncConnection') continue;
    const [nominal] = run.searchAttributes['TemporalScheduledStartTime'] ?? [];
    const at = nominal instanceof Date ? nominal.toISOString() : '';
    found.push({ workflowId: run.workflowId, nominal: at, status: run.status.name });
  }
  return found.toSorted((a, b) => a.nominal.localeCompare(b.nominal));
}

/** Until so many runs have completed; fails on one that did not. */
async function untilFired(count: number): Promise<Fired[]> {
  const deadlineMs = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const runs = (await fired()).filter(({ status }) => status !== 'RUNNING');
    expect(runs.filter(({ status }) => status !== 'COMPLETED')).toEqual([]);
    if (runs.length >= count) return runs;
    if (Date.now() > deadlineMs) throw new Error(`${runs.length} runs within ${WAIT_MS_MAX} ms`);
    await sleep(100);
  }
}

const windows = () =>
  pipeline.ledger(async (ledger) =>
    (await ledger.windows({ connection: CRM, object: 'Contact', limit: 100 })).toReversed(),
  );

test(
  'a schedule fires at its nominal times: first everything, then what has changed',
  async () => {
    await applySchedules(pipeline.client, pipeline.loaded.config);
    const [first] = await untilFired(1);
    const changed = pipeline.sandbox.data.touchMany('Contact', CHANGED / ROWS);
    // A change is in the window of the next run or, when one had just begun, of the one after it.
    const before = (await untilFired(1)).length;
    const runs = await untilFired(Math.max(before + 2, 2));

    const nominal = (run: Fired | undefined) => Date.parse(run?.nominal ?? '');
    for (const [index, run] of runs.entries()) {
      expect(nominal(run) % EVERY_MS).toBe(0);
      expect(run.workflowId).toBe(`sync/crm-${run.nominal.replace('.000Z', 'Z')}`);
      if (index > 0) expect(nominal(run) - nominal(runs[index - 1])).toBe(EVERY_MS);
    }
    const [load, ...later] = await windows();
    // N is the nominal time, not the time of the start: the window closes on it to the millisecond.
    expect(load).toMatchObject({ kind: 'first', until: first?.nominal, receipt: { verdict: 'proven' } });
    expect(load?.receipt?.transport.received).toBe(ROWS);
    expect(later.slice(0, runs.length - 1).map(({ kind, from, until }) => ({ kind, from, until }))).toEqual(
      runs.slice(1).map(({ nominal: until }, index) => ({ kind: 'head', from: runs[index]?.nominal, until })),
    );
    const landed = later.find(({ receipt }) => receipt?.transport.received === changed);
    expect([changed, landed?.receipt?.transport.shaped]).toEqual([CHANGED, CHANGED]);
    expect(await pipeline.oracle('Contact')).toEqual([]);
    const [logged] = await pipeline.ledger((ledger) => ledger.runs({ connection: CRM, limit: 1 }));
    expect(logged).toMatchObject({ trigger: 'schedule', outcome: 'ok' });
  },
  WAIT_MS_MAX * 2,
);
