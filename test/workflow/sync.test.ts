import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { RunSummary } from '../../schemas/run.ts';
import type { deliver } from '../../workflows/deliver.ts';
import type { syncConnection } from '../../workflows/sync-connection.ts';
import { fakes, landed, openBench, planned, window, type Bench } from './support.ts';
import { saveHistory } from './histories.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const UNTIL = '2026-11-20T09:00:00.000Z';
const LATER = '2026-11-20T09:30:00.000Z';

let runs = 0;
const nextId = () => {
  runs += 1;
  return `sync/crm/test-${runs}`;
};

function sync(taskQueue: string, workflowId: string, more: Record<string, unknown> = {}) {
  return bench.client.workflow.start<typeof syncConnection>('syncConnection', {
    workflowId,
    taskQueue,
    args: [{ connection: 'crm', trigger: 'manual', ...more }],
  });
}

/** The failure that closes the run, as an operator sees it. */
async function failureOf(handle: { result(): Promise<unknown> }): Promise<ApplicationFailure> {
  const error = await handle.result().then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  const { cause } = error as WorkflowFailedError;
  expect(cause).toBeInstanceOf(ApplicationFailure);
  return cause as ApplicationFailure;
}

describe('syncConnection', () => {
  test('an idle connection costs at most 12 events and no child', async () => {
    const activities = fakes({ plan: (input) => Promise.resolve(planned(input, { idle: 7 })) });
    const { result, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId());
      return { result: await handle.result(), history: await handle.fetchHistory() };
    });
    expect(result).toMatchObject({ outcome: 'ok', idle: 7, objects: [] });
    expect(history.events?.length).toBeLessThanOrEqual(12);
    await saveHistory(bench.address, 'sync-connection-idle', history);
  });

  test('a run whose only object cannot be planned is recorded once, by the plan, and fails with that code', async () => {
    const lead = {
      ...landed('Lead', { state: 'failed', verdict: null, rows: 0, inserted: 0 }),
      code: 'OBJECT_UNKNOWN',
      message: 'there is no object Lead → Correct it.',
    };
    const activities = fakes({
      plan: (input) => {
        const answer = planned(input, { settled: [lead] });
        return Promise.resolve({
          ...answer,
          closed: answer.closed && { ...answer.closed, outcome: 'failed' as const },
        });
      },
      finish: () => Promise.reject(new Error('the plan has recorded the run')),
    });
    const { failure, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId(), { objects: ['Lead'] });
      return { failure: await failureOf(handle), history: await handle.fetchHistory() };
    });
    expect(failure.type).toBe('OBJECT_UNKNOWN');
    expect(failure.message).toBe('Lead: there is no object Lead → Correct it.');
    const [run] = failure.details as [RunSummary];
    expect(run.objects.map((line) => line.object)).toEqual(['Lead']);
    await saveHistory(bench.address, 'sync-connection-closed-failed', history);
  });

  test('a small object is moved by one activity and stands in the table', async () => {
    const finished: RunSummary[] = [];
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact')], idle: 1 })),
      moveSlice: () => Promise.resolve(landed('Contact')),
      finish: (run) => {
        finished.push(run);
        return Promise.resolve();
      },
    });
    const id = nextId();
    const { result, history, child } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, id);
      const run = await handle.result();
      const childHandle = bench.client.workflow.getHandle(`sync/crm/Contact/${window('Contact').until}`);
      return { result: run, history: await handle.fetchHistory(), child: await childHandle.fetchHistory() };
    });
    expect(result.objects).toMatchObject([
      { object: 'Contact', state: 'landed', rows: 10, verdict: 'proven' },
    ]);
    expect(finished).toHaveLength(1);
    const description = await bench.client.workflow.getHandle(id).describe();
    expect(description.memo?.['summary']).toContain('|\u00A0Contact\u00A0|');
    expect(description.searchAttributes['Outcome']).toEqual(['ok']);
    expect(description.searchAttributes['RowsLoaded']).toEqual([10]);
    await saveHistory(bench.address, 'sync-connection-small', history);
    await saveHistory(bench.address, 'sync-object-small', child);
  });

  test('one object that fails makes the run partial, and the others land', async () => {
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Account'), window('Lead')] })),
      moveSlice: ({ window: id }) =>
        id === 'w_Lead'
          ? Promise.reject(
              ApplicationFailure.create({
                type: 'RECEIPT_SOURCE',
                message: 'Lead: 3 are unexplained → look',
                nonRetryable: true,
              }),
            )
          : Promise.resolve(landed('Account')),
    });
    const { failure, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId());
      return { failure: await failureOf(handle), history: await handle.fetchHistory() };
    });
    expect(failure.type).toBe('PARTIAL');
    expect(failure.message).toContain('Lead RECEIPT_SOURCE: 3 are unexplained → look');
    const [run] = failure.details as [RunSummary];
    expect(run.objects.map((line) => [line.object, line.state]).sort()).toEqual([
      ['Account', 'landed'],
      ['Lead', 'failed'],
    ]);
    await saveHistory(bench.address, 'sync-connection-partial', history);
  });

  test('an error of the whole connection closes the run with its own code, without children', async () => {
    const activities = fakes({
      plan: () =>
        Promise.reject(
          ApplicationFailure.create({ type: 'AUTH_FAILED', message: 'refused → check', nonRetryable: true }),
        ),
    });
    const { failure, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId());
      return { failure: await failureOf(handle), history: await handle.fetchHistory() };
    });
    expect(failure.type).toBe('AUTH_FAILED');
    expect(history.events?.some((event) => event.startChildWorkflowExecutionInitiatedEventAttributes)).toBe(
      false,
    );
    await saveHistory(bench.address, 'sync-connection-refused', history);
  });

  test('an empty quota defers: the run is not failed', async () => {
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact')] })),
      moveSlice: () =>
        Promise.reject(
          ApplicationFailure.create({ type: 'QUOTA_EXHAUSTED', message: 'empty', nonRetryable: true }),
        ),
    });
    const result = await bench.run(activities, async (queue) => (await sync(queue, nextId())).result());
    expect(result.outcome).toBe('deferred');
  });

  test('a warehouse that is away leaves the object staged and the run behind', async () => {
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact')] })),
      moveSlice: () =>
        Promise.reject(
          ApplicationFailure.create({ type: 'WAREHOUSE_LOCKED', message: 'locked', nonRetryable: true }),
        ),
    });
    const { result, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId());
      const run = await handle.result();
      await bench.client.workflow.getHandle('deliver/crm').result();
      return { result: run, history: await handle.fetchHistory() };
    });
    await saveHistory(bench.address, 'sync-connection-behind', history);
    expect(result).toMatchObject({
      outcome: 'behind',
      objects: [{ state: 'staged', code: 'WAREHOUSE_LOCKED' }],
    });
  });

  test('what is staged lands by a workflow of its own once the warehouse is back', async () => {
    const staged = [
      window('Lot', { window: 'w_1', kind: 'undelivered' }),
      window('Lot', { window: 'w_2', kind: 'undelivered' }),
    ];
    let away = 2;
    const order: string[] = [];
    const activities = fakes({
      undelivered: () => Promise.resolve(staged.filter((one) => !order.includes(one.window))),
      moveSlice: ({ window: id }) => {
        away -= 1;
        if (away >= 0) {
          const locked = { type: 'WAREHOUSE_LOCKED', message: 'locked', nonRetryable: true };
          return Promise.reject(ApplicationFailure.create(locked));
        }
        order.push(id);
        return Promise.resolve(landed('Lot', { window: id }));
      },
    });
    const { result, history } = await bench.run(activities, async (queue) => {
      const handle = await bench.client.workflow.start<typeof deliver>('deliver', {
        workflowId: 'deliver/crm',
        taskQueue: queue,
        args: [{ connection: 'crm', pauseMs: 50 }],
      });
      return { result: await handle.result(), history: await handle.fetchHistory() };
    });
    expect(order).toEqual(['w_1', 'w_2']);
    expect(result.objects.map((line) => line.window)).toEqual(['w_1', 'w_2']);
    await saveHistory(bench.address, 'deliver-after-outage', history);
  });

  test('more than one plan activity covers a connection of many objects', async () => {
    const offsets: number[] = [];
    const activities = fakes({
      plan: (input) => {
        offsets.push(input.offset);
        const next = input.offset < 100 ? input.offset + 50 : null;
        return Promise.resolve(planned(input, { idle: 50, next, closed: null }));
      },
    });
    const result = await bench.run(activities, async (queue) => (await sync(queue, nextId())).result());
    expect(offsets).toEqual([0, 50, 100]);
    expect(result.idle).toBe(150);
  });

  test('after a resumed window the rest up to now is planned and moved in the same run', async () => {
    const asked: (string[] | undefined)[] = [];
    const activities = fakes({
      plan: (input) => {
        asked.push(input.objects);
        const first = asked.length === 1;
        const more = first ? { resumed: true } : { window: 'w_rest', from: UNTIL, until: LATER };
        return Promise.resolve(planned(input, { windows: [window('Quote', more)] }));
      },
      moveSlice: ({ window: id }) => Promise.resolve(landed('Quote', { window: id })),
    });
    const { result, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId());
      return { result: await handle.result(), history: await handle.fetchHistory() };
    });
    expect(asked).toEqual([undefined, ['Quote']]);
    expect(result.objects.map((line) => line.window)).toEqual(['w_Quote', 'w_rest']);
    await saveHistory(bench.address, 'sync-connection-resumed', history);
  });

  test('a cancelled run cancels its children and is recorded as cancelled', async () => {
    const finished: RunSummary[] = [];
    const seen: string[] = [];
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact')] })),
      moveSlice: async () => {
        seen.push('started');
        const beats = setInterval(() => Context.current().heartbeat(), 200);
        try {
          return await Context.current().cancelled;
        } catch (error) {
          seen.push('cancelled');
          throw error;
        } finally {
          clearInterval(beats);
        }
      },
      finish: (run) => {
        finished.push(run);
        return Promise.resolve();
      },
    });
    const { error, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId(), { tuning: { heartbeatMs: 1000 } });
      while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      await handle.cancel();
      const failed = await handle.result().catch((cause: unknown) => cause);
      return { error: failed, history: await handle.fetchHistory() };
    });
    expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect(seen).toEqual(['started', 'cancelled']);
    expect(finished).toMatchObject([{ outcome: 'cancelled' }]);
    await saveHistory(bench.address, 'sync-connection-cancelled', history);
  });

  test('the same window moved by another run is in progress, not an error', async () => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Task')] })),
      moveSlice: async () => {
        await held;
        return landed('Task');
      },
    });
    const second = await bench.run(activities, async (queue) => {
      const first = await sync(queue, nextId());
      const child = bench.client.workflow.getHandle(`sync/crm/Task/${window('Task').until}`);
      while (!(await child.describe().catch(() => undefined)))
        await new Promise((resolve) => setTimeout(resolve, 20));
      const other = await sync(queue, nextId());
      const result = await other.result();
      release();
      await first.result();
      return result;
    });
    expect(second).toMatchObject({ outcome: 'ok', objects: [{ state: 'in-progress' }] });
  });
});

describe('syncObject', () => {
  test('large windows go step by step, loads in order, extraction at most two slices ahead', async () => {
    const order: string[] = [];
    let loaded = 0;
    let ahead = 0;
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Event', { slices: 6 })] })),
      extract: ({ slice }) => {
        ahead = Math.max(ahead, slice - loaded);
        order.push(`extract ${slice}`);
        return Promise.resolve({ rows: 5, bytes: 9 });
      },
      shape: ({ slice }) => {
        order.push(`shape ${slice}`);
        return Promise.resolve({ rows: 5, quarantined: 0 });
      },
      load: async ({ slice, window: batch }) => {
        await new Promise((resolve) => setTimeout(resolve, 60));
        loaded += 1;
        order.push(`load ${slice}`);
        return { batch, alreadyApplied: false, inserted: 5, updated: 0, unchanged: 0, stale: 0, ms: 60 };
      },
      commit: () => {
        order.push('commit');
        return Promise.resolve(landed('Event', { rows: 30, inserted: 30 }));
      },
    });
    const { result, child } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId());
      const run = await handle.result();
      const childHandle = bench.client.workflow.getHandle(`sync/crm/Event/${window('Event').until}`);
      return { result: run, child: await childHandle.fetchHistory() };
    });
    expect(result.objects).toMatchObject([{ rows: 30 }]);
    expect(order.filter((what) => what.startsWith('load'))).toEqual(
      [0, 1, 2, 3, 4, 5].map((slice) => `load ${slice}`),
    );
    expect(order.at(-1)).toBe('commit');
    expect(ahead).toBeLessThanOrEqual(2);
    await saveHistory(bench.address, 'sync-object-sliced', child);
  });

  test('continues as new between slices and loses none', async () => {
    const slices = new Set<number>();
    const activities = fakes({
      plan: (input) => Promise.resolve(planned(input, { windows: [window('Order', { slices: 7 })] })),
      extract: () => Promise.resolve({ rows: 1, bytes: 1 }),
      shape: () => Promise.resolve({ rows: 1, quarantined: 0 }),
      load: ({ slice, window: batch }) => {
        expect(slices.has(slice)).toBe(false);
        slices.add(slice);
        return Promise.resolve({
          batch,
          alreadyApplied: false,
          inserted: 1,
          updated: 0,
          unchanged: 0,
          stale: 0,
          ms: 1,
        });
      },
      commit: () => Promise.resolve(landed('Order', { rows: 7 })),
    });
    const { result, child } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, nextId(), { tuning: { slicesMax: 3 } });
      const run = await handle.result();
      const childHandle = bench.client.workflow.getHandle(`sync/crm/Order/${window('Order').until}`);
      return { result: run, child: await childHandle.fetchHistory() };
    });
    expect([...slices].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(result.objects).toMatchObject([{ object: 'Order', state: 'landed', rows: 7 }]);
    await saveHistory(bench.address, 'sync-object-continued', child);
  });
});
