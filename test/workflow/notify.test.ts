import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DeliveryReceipt, NotifyInput } from '../../schemas/notification.ts';
import { saveHistory } from './histories.ts';
import { fakes, openBench, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const ROUND: DeliveryReceipt = {
  ...{ delivered: 5, passed: 2, givenUp: 0, waiting: 1, failingSince: null, lastCode: null, disabled: false },
};

test('rounds add up over executions, until the receiver wants no more', async () => {
  let rounds = 0;
  const activities = fakes({
    deliverChanges: () => {
      rounds += 1;
      if (rounds < 5) return Promise.resolve(ROUND);
      return Promise.resolve({ ...ROUND, delivered: 0, passed: 0, disabled: true, lastCode: 'HTTP_410' });
    },
  });
  const input: NotifyInput = { subscription: 'bot', tuning: { roundsMax: 3 } };
  const { sum, text, first, last } = await bench.run(activities, async (taskQueue) => {
    const workflowId = 'notify/bot';
    const handle = await bench.client.workflow.start('notify', { workflowId, taskQueue, args: [input] });
    const result: unknown = await handle.result();
    const now = bench.client.workflow.getHandle(workflowId);
    return {
      sum: result,
      text: String((await now.describe()).memo?.['summary']),
      first: await bench.client.workflow.getHandle(workflowId, handle.firstExecutionRunId).fetchHistory(),
      last: await now.fetchHistory(),
    };
  });
  expect(rounds).toBe(5);
  expect(sum).toMatchObject({ delivered: 20, passed: 8, disabled: true, lastCode: 'HTTP_410' });
  expect(text).toContain('bot');
  await saveHistory(bench.address, 'notify-continued', first);
  await saveHistory(bench.address, 'notify-disabled', last);
});
