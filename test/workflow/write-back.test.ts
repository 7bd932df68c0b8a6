import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import type { Activities } from '../../activities/index.ts';
import type { TargetOutcome } from '../../activities/write-back.ts';
import type { WriteBackInput } from '../../schemas/change.ts';
import type { writeBack } from '../../workflows/write-back.ts';
import { saveHistory } from './histories.ts';
import { fakes, openBench, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const AT = '2026-11-20T09:00:00.000Z';
const CONFIRMED: TargetOutcome = { outcome: 'confirmed' };
const REFUSED: TargetOutcome = { outcome: 'refused', code: 'NO', field: 'jobTitle' };
let changes = 0;

/** Two systems that answer so; what is called is written down. */
function recording(
  answers: ((attempt: number) => TargetOutcome | Promise<TargetOutcome>)[],
  more: Partial<Activities> = {},
) {
  const steps: string[] = [];
  const attempts = answers.map(() => 0);
  const activities = fakes({
    openChange: () =>
      Promise.resolve({
        ...{ state: 'pending' as const, at: AT },
        targets: answers.map((_, at) => ({
          ...{ label: `crm${at}.Contact`, fields: ['jobTitle'], state: 'pending' as const, code: null },
        })),
      }),
    writeTarget: async ({ target }) => {
      attempts[target] = (attempts[target] ?? 0) + 1;
      steps.push(`write ${target}`);
      return (await answers[target]?.(attempts[target] ?? 0)) ?? CONFIRMED;
    },
    undoTarget: ({ target }) => {
      steps.push(`undo ${target}`);
      return Promise.resolve({ outcome: 'undone' as const });
    },
    settleChange: ({ outcome, code }) => {
      steps.push(`${outcome} ${code ?? ''}`.trim());
      return Promise.resolve({ state: outcome });
    },
    ...more,
  });
  return { steps, activities };
}

async function start(taskQueue: string, more: Partial<WriteBackInput> = {}) {
  changes += 1;
  const change = `ch_${String(changes).padStart(32, '0')}`;
  return bench.client.workflow.start<typeof writeBack>('writeBack', {
    ...{
      workflowId: `change/${change}`,
      taskQueue,
      args: [{ change, pauseMs: 20, tuning: { retryMs: 10 }, ...more }],
    },
  });
}

test('one system after the other, then confirmed', async () => {
  const { steps, activities } = recording([() => CONFIRMED, () => CONFIRMED]);
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await start(queue);
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(steps).toEqual(['write 0', 'write 1', 'confirmed']);
  expect(result).toMatchObject({
    outcome: 'confirmed',
    targets: [{ state: 'confirmed' }, { state: 'confirmed' }],
  });
  await saveHistory(bench.address, 'write-back-confirmed', history);
});

test('what was written before a refusal is undone, backwards, and nobody after it is asked', async () => {
  const { steps, activities } = recording([() => CONFIRMED, () => CONFIRMED, () => REFUSED, () => CONFIRMED]);
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await start(queue);
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(steps).toEqual(['write 0', 'write 1', 'write 2', 'undo 1', 'undo 0', 'refused NO']);
  expect(result).toMatchObject({ outcome: 'refused', code: 'NO', field: 'jobTitle' });
  expect(result.targets.map(({ state }) => state)).toEqual(['undone', 'undone', 'refused', 'pending']);
  await saveHistory(bench.address, 'write-back-refused', history);
});

test('a system that is away, or has no quota left, is asked again until the deadline, then the change is taken back', async () => {
  const away = () => {
    throw ApplicationFailure.nonRetryable('no calls are left today', 'QUOTA_EXHAUSTED');
  };
  const back = recording([(attempt) => (attempt < 3 ? away() : CONFIRMED)]);
  const first = await bench.run(back.activities, async (queue) => (await start(queue)).result());
  expect(back.steps).toEqual(['write 0', 'write 0', 'write 0', 'confirmed']);
  expect(first.outcome).toBe('confirmed');
  const never = recording([() => away()]);
  const { result, history } = await bench.run(never.activities, async (queue) => {
    const handle = await start(queue, { deadlineMs: 1_500, pauseMs: 400 });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(result).toMatchObject({ outcome: 'refused', code: 'DEADLINE' });
  // Nobody knows what arrived of the last try.
  expect(never.steps.slice(-2)).toEqual(['undo 0', 'refused DEADLINE']);
  await saveHistory(bench.address, 'write-back-deadline', history);
});

test('whoever cancels it takes it back', async () => {
  const { steps, activities } = recording([
    () => CONFIRMED,
    () => {
      throw ApplicationFailure.nonRetryable('locked out', 'AUTH_FAILED');
    },
  ]);
  await bench.run(activities, async (queue) => {
    const handle = await start(queue, { pauseMs: 60_000 });
    while (steps.length < 2) await new Promise((next) => setTimeout(next, 10));
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    await saveHistory(bench.address, 'write-back-cancelled', await handle.fetchHistory());
  });
  expect(steps).toEqual(['write 0', 'write 1', 'undo 1', 'undo 0', 'refused CANCELLED']);
});

test('a change that is settled, or whose customer was erased, needs nothing', async () => {
  for (const state of ['confirmed', 'gone'] as const) {
    const { steps, activities } = recording([], {
      openChange: () => Promise.resolve({ state, at: null, targets: [] }),
    });
    const result = await bench.run(activities, async (queue) => (await start(queue)).result());
    expect([result.outcome, steps]).toEqual([state, []]);
  }
});
