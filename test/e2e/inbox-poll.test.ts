/** Polling as a backup, with everything real: webhooks fall silent, polls bring what they should have, until they return. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { pickPort } from '../../cli/dev/ports.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import {
  changed,
  pipelineClaims,
  pushInbox,
  SECRET,
  until,
  valueOf,
  WEBHOOKS,
} from '../support/fast-lane.ts';
import { headwater } from '../support/headwater.ts';
import { patient } from '../support/patience.ts';
import { CRM, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const TEST_MS_MAX = 150_000;
/** The shortest that the configuration takes; looked at every five seconds. */
const QUIET_MS = 10_000;
const NOTICED_MS_MAX = 45_000;

let metricsUrl: string;
let temporal: TestTemporal;
let pipeline: Pipeline;
let inbox: Inbox;
let claims: Claims;

beforeAll(async () => {
  temporal = await withTemporal();
  const metrics = `127.0.0.1:${await pickPort(0)}`;
  metricsUrl = `http://${metrics}/metrics`;
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 200 } },
    connection: { webhooks: { ...WEBHOOKS, quietAfter: '10s', pollEvery: '10s' } },
    more: { profiles: {}, worker: { metrics } },
    env: { PUSH_SECRET: SECRET },
  });
  await pipeline.start();
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  inbox = await pushInbox(pipeline);
  claims = await pipelineClaims(pipeline);
}, 120_000);

afterAll(async () => {
  await inbox.close();
  await claims.close();
  await pipeline.close();
  await temporal.stop();
});

const idOf = (index: number): string => pipeline.sandbox.data.idOf('Contact', index);
const title = (record: string) => valueOf(claims, CRM, 'Contact', record, 'jobTitle');

const statusSchema = z.looseObject({
  webhooks: z.array(z.looseObject({ connection: z.string(), quiet: z.boolean() })),
});
async function quiet(): Promise<boolean | undefined> {
  const { stdout } = await headwater(pipeline, `npx headwater status ${CRM} --json`);
  return statusSchema.parse(JSON.parse(stdout)).webhooks.find(({ connection }) => connection === CRM)?.quiet;
}

/** As Prometheus reads it. */
async function gauge(name: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  const line = text
    .split('\n')
    .find((one) => one.startsWith(`${name}{`) && one.includes(`connection="${CRM}"`));
  return Number(line?.split(' ').at(-1));
}

async function polls(): Promise<number> {
  const runs = pipeline.client.workflow.list({ query: `WorkflowId = 'sync/${CRM}/poll'` });
  let count = 0;
  for await (const _ of runs) count += 1;
  return count;
}

test(
  'silent webhooks are told, what they do not bring comes by polls, and their return ends both',
  async () => {
    const [told, untold] = [idOf(1), idOf(2)];
    pipeline.sandbox.data.update('Contact', told, { Title: 'By webhook' });
    await inbox.accept(CRM, [changed('Contact', told)]);
    await until(
      () => title(told),
      (value) => value === 'By webhook',
    );
    expect([await quiet(), await polls()]).toEqual([false, 0]);
    expect([await gauge('headwater_webhooks_quiet'), await gauge('headwater_events_parked')]).toEqual([0, 0]);

    pipeline.sandbox.data.update('Contact', untold, { Title: 'By poll' });
    pipeline.pass();
    const ms = await until(
      () => title(untold),
      (value) => value === 'By poll',
      patient(NOTICED_MS_MAX),
    );
    expect(ms).toBeGreaterThan(QUIET_MS / 2);
    expect([await quiet(), (await polls()) > 0]).toEqual([true, true]);
    expect(await gauge('headwater_webhooks_quiet')).toBe(1);
    const { stdout } = await headwater(pipeline, `npx headwater status ${CRM}`);
    expect(stdout).toContain('quiet: polled until events come back');

    const back = idOf(3);
    pipeline.sandbox.data.update('Contact', back, { Title: 'Back' });
    await inbox.accept(CRM, [changed('Contact', back)]);
    await until(
      () => title(back),
      (value) => value === 'Back',
    );
    expect(await quiet()).toBe(false);
    await until(
      () => gauge('headwater_webhooks_quiet'),
      (value) => value === 0,
    );
  },
  TEST_MS_MAX,
);
