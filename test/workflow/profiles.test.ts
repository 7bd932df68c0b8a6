import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import type { OpenReview } from '../../activities/steward.ts';
import { applyRulesInputSchema, rollbackInputSchema, type Decision } from '../../schemas/inputs.ts';
import type { GoldenSummary } from '../../schemas/run.ts';
import type { applyRules } from '../../workflows/apply-rules.ts';
import type { review } from '../../workflows/review.ts';
import type { rollback } from '../../workflows/rollback.ts';
import type { syncConnection } from '../../workflows/sync-connection.ts';
import { saveHistory } from './histories.ts';
import { fakes, landed, openBench, planned, window, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const PROFILE = 'p_0123456789abcdef0123456789abcdef';
const GOLDEN: GoldenSummary = {
  ...{ observed: 10, known: 0, suppressed: 0, quarantined: 0, created: 8 },
  ...{ changed: 2, merged: 1, reviews: 0, published: 0 },
};
const PREVIEW = { profiles: 1, values: 2, more: false, byField: { jobTitle: 2 } };

function sync(taskQueue: string, name: string) {
  return bench.client.workflow.start<typeof syncConnection>('syncConnection', {
    workflowId: `sync/crm/${name}`,
    taskQueue,
    args: [{ connection: 'crm', trigger: 'manual' }],
  });
}

test('reconcile and publish follow the rows, and the run tells what became of them', async () => {
  const steps: string[] = [];
  const activities = fakes({
    plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact')], profiles: true })),
    moveSlice: () => {
      steps.push('move');
      return Promise.resolve(landed('Contact'));
    },
    reconcile: () => {
      steps.push('reconcile');
      return Promise.resolve(GOLDEN);
    },
    publish: () => {
      steps.push('publish');
      return Promise.resolve(9);
    },
  });
  const { run, history } = await bench.run(activities, async (queue) => {
    const handle = await sync(queue, 'golden');
    return { run: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(steps).toEqual(['move', 'reconcile', 'publish']);
  expect(run).toMatchObject({ outcome: 'ok', golden: { created: 8, published: 9 } });
  await saveHistory(bench.address, 'sync-connection-profiles', history);
});

test('trouble with profiles is told, and the rows have landed all the same', async () => {
  const activities = fakes({
    plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact')], profiles: true })),
    moveSlice: () => Promise.resolve(landed('Contact')),
    reconcile: () =>
      Promise.reject(ApplicationFailure.nonRetryable('the store is gone → repair it', 'SINK_REWOUND')),
  });
  const failure = await bench.run(activities, async (queue) =>
    (await sync(queue, 'rewound')).result().catch((error: { cause?: unknown }) => error.cause),
  );
  expect(failure).toMatchObject({
    type: 'PARTIAL',
    message: expect.stringContaining('profiles SINK_REWOUND: the store is gone → repair it'),
    details: [
      {
        objects: [
          { object: 'Contact', state: 'landed' },
          { object: 'profiles', state: 'failed' },
        ],
      },
    ],
  });
});

function rollbackFakes(applied: string[], preview = PREVIEW) {
  return fakes({
    previewRollback: ({ given }: { given: unknown }) =>
      Promise.resolve({ request: rollbackInputSchema.parse(given), preview }),
    rollback: ({ approver }) => {
      applied.push(approver);
      return Promise.resolve({ retracted: 2, profiles: 1 });
    },
    publish: () => Promise.resolve(1),
  });
}

test('a rollback waits for its approval, which names who gave it', async () => {
  const applied: string[] = [];
  const { result, history } = await bench.run(rollbackFakes(applied), async (queue) => {
    const handle = await bench.client.workflow.start<typeof rollback>('rollback', {
      workflowId: 'rollback/waits',
      taskQueue: queue,
      args: [{ profile: PROFILE, field: 'jobTitle', actor: 'ann', reason: 'wrong record' }],
    });
    await expect(handle.executeUpdate('approve', { args: [{}] })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('say who you are') },
    });
    await handle.executeUpdate('approve', { args: [{ actor: 'bob' }] });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(result).toMatchObject({ outcome: 'applied', retracted: 2 });
  expect(applied).toEqual(['bob']);
  await saveHistory(bench.address, 'rollback-approved', history);
});

test.each<[string, object, string]>([
  ['rejected', PREVIEW, 'rejected'],
  ['of nothing', { ...PREVIEW, values: 0, profiles: 0, byField: {} }, 'nothing to do'],
])('a rollback that is %s changes nothing', async (name, preview, outcome) => {
  const applied: string[] = [];
  const result = await bench.run(rollbackFakes(applied, preview as typeof PREVIEW), async (queue) => {
    const handle = await bench.client.workflow.start<typeof rollback>('rollback', {
      workflowId: `rollback/${name}`,
      taskQueue: queue,
      args: [{ profile: PROFILE, actor: 'ann', reason: 'wrong record' }],
    });
    if (outcome === 'rejected') await handle.executeUpdate('reject', { args: [{ actor: 'bob' }] });
    return handle.result();
  });
  expect(result).toMatchObject({ outcome, retracted: 0 });
  expect(applied).toEqual([]);
});

test('rules are applied at once when they were approved beforehand', async () => {
  const activities = fakes({
    previewRules: ({ given }: { given: unknown }) =>
      Promise.resolve({ request: applyRulesInputSchema.parse(given), preview: PREVIEW }),
    applyRules: () => Promise.resolve({ changed: 3 }),
    publish: () => Promise.resolve(3),
  });
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof applyRules>('applyRules', {
      workflowId: 'rules/contact',
      taskQueue: queue,
      args: [{ entity: 'contact', actor: 'ann', reason: 'new owner of titles', approved: true }],
    });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(result).toMatchObject({ outcome: 'applied', changed: 3 });
  await saveHistory(bench.address, 'apply-rules-approved', history);
});

test('the review queue takes decisions and ends when nothing is left', async () => {
  const open: OpenReview[] = ['r_1', 'r_2'].map((id) => ({
    id,
    kind: 'tie',
    entity: 'contact',
    profile: PROFILE,
    field: 'phone',
    choices: [{ claim: 'c_1', record: 'crm:Contact:1' }],
  }));
  const decided: Decision[] = [];
  const activities = fakes({
    openReviews: () => Promise.resolve(open.filter(({ id }) => !decided.some((one) => one.review === id))),
    resolveReview: ({ given }) => {
      decided.push(given as Decision);
      return Promise.resolve();
    },
    publish: () => Promise.resolve(1),
  });
  const history = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof review>('review', {
      workflowId: 'review-test',
      taskQueue: queue,
      args: [],
    });
    for (const [at, { id }] of open.entries()) {
      const left = await handle.executeUpdate('resolve', {
        args: [{ review: id, decision: 'c_1', actor: 'ann' }],
      });
      expect(left).toEqual({ left: open.length - at - 1 });
    }
    await handle.result();
    return handle.fetchHistory();
  });
  expect(decided.map(({ review: id }) => id)).toEqual(['r_1', 'r_2']);
  await saveHistory(bench.address, 'review-decided', history);
});
