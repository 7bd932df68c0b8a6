import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import type { DrainReceipt } from '../../schemas/inbox-run.ts';
import type { InboxInput } from '../../schemas/inbox-run.ts';
import { until } from '../support/fast-lane.ts';
import { saveHistory } from './histories.ts';
import { fakes, openBench, planned, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const ROUND: DrainReceipt = {
  ...{ events: 10, fetched: 8, profiles: 6, landed: 8, parked: 0, waiting: 0 },
  ...{ lastAt: '2026-11-20T08:00:00.000Z', held: null, poll: null },
};

/** A round that goes on until the test is over: a worker waits for its activities before it ends. */
function openEnded(): { round: () => Promise<DrainReceipt>; end: () => void } {
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  return { round: () => ended.then(() => ROUND), end: () => end() };
}

function begin(taskQueue: string, name: string, tuning: InboxInput['tuning']) {
  return bench.client.workflow.start('inbox', {
    workflowId: `inbox/${name}`,
    taskQueue,
    args: [{ connection: name, tuning }],
  });
}

test('rounds add up, and a new execution goes on with their sum', async () => {
  let rounds = 0;
  const long = openEnded();
  const activities = fakes({
    drainInbox: async () => {
      rounds += 1;
      if (rounds > 3) await long.round();
      return { ...ROUND, parked: rounds === 2 ? 1 : 0 };
    },
  });
  const { sum, text, history } = await bench.run(activities, async (queue) => {
    const handle = await begin(queue, 'sums', { roundsMax: 3 });
    await until(
      () => Promise.resolve(rounds),
      (count) => count >= 4,
    );
    const now = bench.client.workflow.getHandle('inbox/sums');
    const found: unknown = await now.query('progress');
    const { memo } = await bench.client.workflow
      .getHandle('inbox/sums', handle.firstExecutionRunId)
      .describe();
    const first = bench.client.workflow.getHandle('inbox/sums', handle.firstExecutionRunId);
    const ended = await first.fetchHistory();
    await now.cancel();
    long.end();
    await now.result().catch(() => undefined);
    return { sum: found, text: String(memo?.['summary']), history: ended };
  });
  expect(sum).toMatchObject({ events: 30, fetched: 24, profiles: 18, parked: 1 });
  expect(text).toContain('`npx headwater inbox sums`');
  await saveHistory(bench.address, 'inbox-continued', history);
});

test('a round that fails is tried again soon, and the lane stays open', async () => {
  let tries = 0;
  const long = openEnded();
  const activities = fakes({
    drainInbox: () => {
      tries += 1;
      if (tries < 40) throw ApplicationFailure.create({ type: 'INBOX_UNAVAILABLE', message: 'away' });
      return long.round();
    },
  });
  await bench.run(activities, async (queue) => {
    const handle = await begin(queue, 'endless', { retryMs: 10, heartbeatMs: 500 });
    await until(
      () => Promise.resolve(tries),
      (count) => count >= 8,
    );
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await handle.terminate();
    tries = 40;
    long.end();
  });
}, 30_000);

test.each(['quiet', 'missed'] as const)(
  'webhooks that are %s: the connection is polled beside the lane',
  async (poll) => {
    let rounds = 0;
    const long = openEnded();
    const polled: string[] = [];
    const activities = fakes({
      drainInbox: () => {
        rounds += 1;
        if (rounds > 2) return long.round();
        return Promise.resolve({ ...ROUND, poll });
      },
      plan: (input) => {
        polled.push(input.connection);
        return Promise.resolve(planned(input, { idle: 1 }));
      },
    });
    const history = await bench.run(activities, async (queue) => {
      const handle = await begin(queue, `polls-${poll}`, { heartbeatMs: 60_000 });
      await until(
        () => Promise.resolve(Math.min(polled.length, rounds - 2)),
        (count) => count >= 1,
      );
      const run = bench.client.workflow.getHandle(`sync/polls-${poll}/poll`);
      expect(await run.result()).toMatchObject({ outcome: 'ok', trigger: 'manual' });
      const text = (await handle.describe()).memo?.['summary'];
      expect(text).toContain('the connection is polled until they come back');
      const found = await handle.fetchHistory();
      await handle.terminate();
      long.end();
      return found;
    });
    if (poll === 'quiet') await saveHistory(bench.address, 'inbox-polls', history);
  },
  30_000,
);
