/** Change notifications with everything real: Temporal, a worker that is killed, a CRM, and whoever is told. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { deliveryReceiptSchema } from '../../schemas/notification.ts';
import { openPipeline, type Pipeline } from '../support/pipeline.ts';
import { SIGNING_SECRET, startReceiver, type TestReceiver } from '../support/receiver.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 60;
const CHANGED = 20;
const TEST_MS_MAX = 60_000;

let temporal: TestTemporal;
let pipeline: Pipeline;
let receiver: TestReceiver;

beforeAll(async () => {
  temporal = await withTemporal();
  receiver = await startReceiver();
  const subscription = {
    url: receiver.url,
    secret: { $secret: { env: 'BOT_SECRET' } },
    entity: 'contact',
    fields: ['jobTitle'],
  };
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    more: { profiles: {}, serve: { subscriptions: { bot: subscription } } },
    env: { BOT_SECRET: SIGNING_SECRET },
  });
  await pipeline.start();
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
}, 120_000);

afterAll(async () => {
  await pipeline.close();
  await receiver.close();
  await temporal.stop();
});

const begin = async () =>
  await pipeline.client.workflow.start('notify', {
    workflowId: `notify/${pipeline.loaded.config.temporal.taskQueue}`,
    taskQueue: pipeline.loaded.config.temporal.taskQueue,
    args: [{ subscription: 'bot', tuning: { heartbeatMs: 2_000, retryMs: 50, roundMs: 400, roundsMax: 5 } }],
  });

async function retitle(title: string): Promise<void> {
  for (let row = 0; row < CHANGED; row += 1) {
    const { data } = pipeline.sandbox;
    data.update('Contact', data.idOf('Contact', row), { Title: `${title} ${row}` });
  }
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
}

test(
  'I2: the worker killed just after a message was sent: every change arrives, what is repeated has its id, and 410 ends it',
  async () => {
    const handle = await begin();
    // Its first round marks where it begins.
    const marked = async () => (await handle.fetchHistory()).events?.length ?? 0;
    while ((await marked()) < 11) await sleep(100);
    const worker = await pipeline.start({ HEADWATER_FAILPOINT: 'notify:sent:5' });
    const syncing = retitle('Killed').catch((error: unknown) => error);
    expect(await worker.ended).toBe('SIGKILL');
    expect(receiver.received.length).toBeGreaterThan(0);
    await pipeline.start();
    expect(await syncing).toBeUndefined();
    await receiver.until(
      (received) => new Set(received.map(({ profile }) => profile)).size === CHANGED,
      30_000,
    );
    const ids = new Map(receiver.received.map(({ profile, version, id }) => [`${profile} ${version}`, id]));
    for (const { profile, version, id } of receiver.received)
      expect(ids.get(`${profile} ${version}`)).toBe(id);
    // What a successor finds may have changed since any time before: then nobody says which names.
    for (const { changed } of receiver.received) expect(changed ?? ['jobTitle']).toEqual(['jobTitle']);
    expect(receiver.forged).toBe(0);

    receiver.answer = (_message, response) => void response.writeHead(410).end();
    await retitle('Unwanted');
    const receipt = deliveryReceiptSchema.parse(
      await pipeline.client.workflow.getHandle(handle.workflowId).result(),
    );
    expect(receipt).toMatchObject({ disabled: true, lastCode: 'HTTP_410', givenUp: 0 });
    expect(receipt.delivered).toBeGreaterThanOrEqual(CHANGED - 5);
    // I5: names and counts; no value in what Temporal keeps.
    const history = JSON.stringify(await handle.fetchHistory());
    expect(history).not.toContain('Killed');
  },
  TEST_MS_MAX,
);
