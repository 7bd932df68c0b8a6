import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { BackfillPlan, BackfillWindow } from '../../schemas/backfill.ts';
import type { RunSummary } from '../../schemas/run.ts';
import type { backfill } from '../../workflows/backfill.ts';
import { fakes, landed, openBench, planned, window, type Bench } from './support.ts';
import { saveHistory } from './histories.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const HOURS = [0, 1, 2, 3].map((hour) => ({
  from: `2026-11-20T0${hour}:00:00.000Z`,
  until: `2026-11-20T0${hour + 1}:00:00.000Z`,
}));

function planOf(dryRun: boolean, maxActive = 2): BackfillPlan {
  const windows: BackfillWindow[] = HOURS.map((hour) => ({
    ...hour,
    object: 'Contact',
    cells: 1,
    rowsEstimate: 5,
  }));
  return {
    connection: 'crm',
    from: HOURS[0]!.from,
    to: HOURS[3]!.until,
    windows,
    objects: [{ object: 'Contact', cells: { missing: 4, covered: 0, failed: 0, open: 0 }, rowsEstimate: 20 }],
    calls: 12,
    quota: { used: 100, limit: 15_000 },
    maxActive,
    dryRun,
  };
}

/** What the Temporal UI shows under User Metadata. */
async function currentDetails(handle: WorkflowHandle): Promise<string> {
  const { currentDetails: details } = await handle.query<{ currentDetails: string }>(
    '__temporal_workflow_metadata',
  );
  return details;
}

function start(taskQueue: string, workflowId: string, dryRun = false) {
  return bench.client.workflow.start<typeof backfill>('backfill', {
    workflowId,
    taskQueue,
    args: [{ connection: 'crm', from: HOURS[0]!.from, to: HOURS[3]!.until, dryRun }],
  });
}

test('a dry run lists intervals and estimates and moves nothing', async () => {
  const activities = fakes({ planBackfill: () => Promise.resolve(planOf(true)) });
  const { result, memo, history } = await bench.run(activities, async (queue) => {
    const handle = await start(queue, 'backfill/crm/dry', true);
    const answer = await handle.result();
    return { result: answer, memo: (await handle.describe()).memo, history: await handle.fetchHistory() };
  });
  expect(result.run).toBeNull();
  expect(result.plan.windows).toHaveLength(4);
  expect(String(memo?.['summary']).replaceAll('\u00A0', '')).toContain('|Contact|4|0|0|0|20|');
  await saveHistory(bench.address, 'backfill-dry-run', history);
});

test('windows move a few at once; pause starts none, resume goes on', async () => {
  let active = 0;
  let activeMax = 0;
  const moved: string[] = [];
  const finished: RunSummary[] = [];
  const activities = fakes({
    planBackfill: () => Promise.resolve(planOf(false)),
    plan: (input) => {
      const past = input.past as { from: string; until: string };
      return Promise.resolve(
        planned(input, { windows: [window('Contact', { ...past, window: past.from, kind: 'past' })] }),
      );
    },
    moveSlice: async ({ window: id }) => {
      active += 1;
      activeMax = Math.max(activeMax, active);
      await new Promise((resolve) => setTimeout(resolve, 150));
      active -= 1;
      moved.push(id);
      return landed('Contact', { window: id });
    },
    finish: (run) => {
      finished.push(run);
      return Promise.resolve();
    },
  });
  const { result, atPause, history } = await bench.run(activities, async (queue) => {
    const handle = await start(queue, 'backfill/crm/paused');
    while (moved.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await handle.executeUpdate('pause')).toBe('paused');
    expect(await currentDetails(handle)).toMatch(/^⏸ paused · /);
    await new Promise((resolve) => setTimeout(resolve, 700));
    const paused = moved.length;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(moved).toHaveLength(paused);
    expect(await handle.executeUpdate('resume')).toBe('running');
    expect(await currentDetails(handle)).not.toContain('paused');
    return { result: await handle.result(), atPause: paused, history: await handle.fetchHistory() };
  });
  expect(atPause).toBeLessThan(4);
  expect(activeMax).toBe(2);
  expect(moved.sort()).toEqual(HOURS.map((hour) => hour.from));
  expect(result.run).toMatchObject({ outcome: 'ok', trigger: 'backfill' });
  expect(finished).toHaveLength(1);
  await saveHistory(bench.address, 'backfill-paused', history);
});
