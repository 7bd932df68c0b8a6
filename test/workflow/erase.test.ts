import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Activities } from '../../activities/index.ts';
import type { ErasurePreview } from '../../schemas/erasure.ts';
import { eraseInputSchema, type EraseInput } from '../../schemas/inputs.ts';
import type { erase } from '../../workflows/erase.ts';
import { saveHistory } from './histories.ts';
import { fakes, openBench, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const PROFILE = 'p_0123456789abcdef0123456789abcdef';
const UNTIL = '2026-11-20T09:00:00.000Z';
const PREVIEW: ErasurePreview = {
  profiles: 2,
  records: 3,
  sources: { 'crm.Contact': 3 },
  places: [{ place: 'crm.contact', what: 'rows removed', count: 3 }],
  referring: 4,
};
const SUBJECTS = [{ entity: 'contact', profiles: [PROFILE], formerly: [] }];

/** Fakes that write down in which order they are called. */
function recording(preview = PREVIEW, more: Partial<Activities> = {}) {
  const steps: string[] = [];
  const noted =
    <Input, Output>(name: string, output: (input: Input) => Output) =>
    (input: Input): Promise<Output> => {
      steps.push(name);
      return Promise.resolve(output(input));
    };
  let looks = 0;
  const activities = fakes({
    previewErase: noted('preview', ({ given }: { given: unknown }) => ({
      request: eraseInputSchema.parse(given),
      preview,
    })),
    suppressSubject: noted('suppress', () => ({ until: UNTIL, subjects: SUBJECTS })),
    pendingWindows: noted('pending', () => {
      looks += 1;
      return { moving: looks === 1 ? 1 : 0, deliver: [], reconcile: looks === 1 ? ['crm'] : [] };
    }),
    reconcile: noted('reconcile', () => ({
      ...{ observed: 0, known: 0, suppressed: 0, quarantined: 0, created: 0 },
      ...{ changed: 0, merged: 0, reviews: 0, published: 0 },
    })),
    publish: noted('publish', () => 0),
    unstageSubject: noted('unstage', () => undefined),
    purgeSubject: noted('purge', () => undefined),
    shredSubject: noted('shred', () => undefined),
    scrubSubject: noted('scrub', () => ['The disk has no room.']),
    ...more,
  });
  return { steps, activities };
}

let runs = 0;
function start(taskQueue: string, more: Partial<EraseInput> = {}) {
  runs += 1;
  return bench.client.workflow.start<typeof erase>('erase', {
    workflowId: `erase/test-${runs}`,
    taskQueue,
    args: [{ profile: PROFILE, actor: 'tester', reason: 'request 4711', ...more }],
  });
}

test('approved by somebody: kept out first, files, rows and keys after what was on its way, in this order', async () => {
  const approvers: string[] = [];
  const { steps, activities } = recording();
  const shred = activities.shredSubject;
  activities.shredSubject = (input) => {
    approvers.push(input.approver);
    return shred(input);
  };
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await start(queue);
    await handle.executeUpdate('approve', { args: [{ actor: 'supervisor' }] });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(steps).toEqual([
    ...['preview', 'suppress', 'pending', 'reconcile', 'pending', 'publish', 'preview'],
    ...['unstage', 'purge', 'shred', 'scrub', 'publish'],
  ]);
  expect(approvers).toEqual(['supervisor']);
  expect(result).toMatchObject({ outcome: 'erased', places: PREVIEW });
  expect(result.remains).toEqual(
    expect.arrayContaining(['The disk has no room.', expect.stringContaining('4 other records')]),
  );
  await saveHistory(bench.address, 'erase-approved', history);
});

test.each<[string, Partial<EraseInput>, ErasurePreview]>([
  ['previewed', { dryRun: true }, PREVIEW],
  ['nothing to do', { approved: true }, { ...PREVIEW, profiles: 1, records: 0, places: [] }],
])('%s: nothing is changed', async (outcome, input, preview) => {
  const { steps, activities } = recording(preview);
  const result = await bench.run(activities, async (queue) => (await start(queue, input)).result());
  expect(result.outcome).toBe(outcome);
  expect(steps).toEqual(['preview']);
});

test('rejected: nothing is changed', async () => {
  const { steps, activities } = recording();
  const result = await bench.run(activities, async (queue) => {
    const handle = await start(queue);
    await handle.executeUpdate('reject', { args: [{ actor: 'supervisor' }] });
    return handle.result();
  });
  expect(result.outcome).toBe('rejected');
  expect(steps).toEqual(['preview']);
});
