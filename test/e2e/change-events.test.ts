/** Change Data Capture with everything real: a change in the org is in the profile within moments, whoever is killed meanwhile. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { PubSubSandbox } from '../../sandbox/salesforce/pubsub/pubsub.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import { pipelineClaims, pushInbox, until, valueOf } from '../support/fast-lane.ts';
import { headwater } from '../support/headwater.ts';
import { patient } from '../support/patience.ts';
import { CRM, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const TEST_MS_MAX = 60_000;
/** The org's clock is moved by the three days that events are kept, and stays in the past. */
const CLOCK_BEHIND_MS = 10 * 86_400_000;

let temporal: TestTemporal;
let pipeline: Pipeline;
let pubsub: PubSubSandbox;
let inbox: Inbox;
let claims: Claims;
let server: TestServer | undefined;

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', () => resolve()));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

beforeAll(async () => {
  temporal = await withTemporal();
  const port = await freePort();
  const changeDataCapture = { endpoint: `http://127.0.0.1:${port}` };
  pipeline = await openPipeline(temporal, {
    sandbox: {
      objects: { Contact: 200 },
      pubsub: { port, keepaliveMs: 300 },
      now: () => Date.now() - CLOCK_BEHIND_MS,
    },
    connection: { webhooks: { changeDataCapture, landEvery: '500ms' } },
    more: { profiles: {}, serve: { webhooks: { port: 0 }, profiles: { port: 0 } } },
  });
  if (pipeline.sandbox.pubsub === undefined) throw new Error('the sandbox has no change events');
  ({ pubsub } = pipeline.sandbox);
  await pipeline.start();
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  inbox = await pushInbox(pipeline);
  claims = await pipelineClaims(pipeline);
}, 120_000);

afterEach(async () => {
  server?.signal('SIGTERM');
  await server?.ended;
  server = undefined;
});

afterAll(async () => {
  await inbox.close();
  await claims.close();
  await pipeline.close();
  await temporal.stop();
});

const idOf = (index: number): string => pipeline.sandbox.data.idOf('Contact', index);
const title = (record: string) => valueOf(claims, CRM, 'Contact', record, 'jobTitle');
const topic = async () => (await inbox.topics())[0];
const nothingWaits = async () => (await inbox.states()).every(({ waiting }) => waiting === 0);
const retitle = (index: number, text: string) =>
  pipeline.sandbox.data.update('Contact', idOf(index), { Title: text });

/** Of one that was killed the org hears a moment later. */
const unfollowed = () =>
  until(
    () => Promise.resolve(pubsub.subscribers()),
    (count) => count === 0,
  );

async function follow(): Promise<TestServer> {
  await unfollowed();
  const started = await startServer(
    pipeline.home,
    ['--config', join(pipeline.home, 'headwater.config.json'), '--topics'],
    pipeline.env,
  );
  server = started;
  await until(
    () => Promise.resolve(pubsub.subscribers()),
    (count) => count > 0,
  );
  return started;
}

test(
  'a change in the org is in the profile within moments, and then in the warehouse; the status says who is followed',
  async () => {
    await follow();
    await until(topic, (one) => typeof one?.position === 'string');
    retitle(1, 'Told by an event');
    const ms = await until(
      () => title(idOf(1)),
      (value) => value === 'Told by an event',
    );
    expect(ms).toBeLessThan(patient(3_000));
    pipeline.sandbox.data.delete('Contact', idOf(2));
    await until(nothingWaits, (is) => is);
    const rows = await pipeline.rows(
      `SELECT id, title, _deleted FROM ${CRM}.contact WHERE id IN ('${idOf(1)}', '${idOf(2)}') ORDER BY id`,
    );
    expect(rows).toMatchObject([{ title: 'Told by an event', _deleted: false }, { _deleted: true }]);
    const { stdout } = await headwater(pipeline, `npx headwater status ${CRM}`);
    expect(stdout).toMatch(/crm: webhooks, last event .* ago/);
    expect(stdout).toMatch(/\/data\/ChangeEvents: followed since .*, heard .* ago/);
    const checked = await headwater(pipeline, `npx headwater check ${CRM}`);
    expect(`${checked.stdout}${checked.stderr}`).toMatch(
      /✓\s+crm\s+topic\s+\/data\/ChangeEvents may be followed/,
    );
  },
  TEST_MS_MAX,
);

test(
  'I2: killed just after events were kept, again and again: nothing is lost, and nothing is there twice',
  async () => {
    const all = Array.from({ length: 60 }, (_, at) => 20 + at);
    for (let round = 0; round < 3; round += 1) {
      const running = await follow();
      const { lastAt } = (await inbox.states())[0] ?? {};
      for (const index of all.slice(20 * round, 20 * (round + 1))) retitle(index, `Round ${round}`);
      await until(
        async () => (await inbox.states())[0]?.lastAt,
        (at) => at !== lastAt,
      );
      running.signal('SIGKILL');
      expect(await running.ended).toBe('SIGKILL');
    }
    await follow();
    for (const index of all)
      await until(
        () => title(idOf(index)),
        (value) => value === `Round ${Math.floor((index - 20) / 20)}`,
      );
    await until(nothingWaits, (is) => is);
    expect((await inbox.states()).map(({ parked }) => parked)).toEqual([0]);
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(await claims.verify()).toMatchObject({ ok: true });
    for (const index of all.slice(0, 5)) {
      const id = await claims.profileOf({ source: CRM, object: 'Contact', record: idOf(index) });
      const events = await claims.history(id ?? '', { limit: 100 });
      expect(
        events.filter(({ kind, ref }) => kind === 'observe' && ref?.record === idOf(index)),
      ).toHaveLength(2);
    }
  },
  TEST_MS_MAX,
);

test(
  'I2: away for longer than events are kept: a run by itself finds what they would have told',
  async () => {
    await follow();
    await until(topic, (one) => one?.since !== null);
    server?.signal('SIGTERM');
    await server?.ended;
    retitle(100, 'Nobody was there');
    pipeline.sandbox.clock.advance(73 * 3_600_000);
    retitle(101, 'After that');
    await follow();
    await until(topic, (one) => one !== undefined && one.owed !== null);
    await until(
      () => title(idOf(100)),
      (value) => value === 'Nobody was there',
      patient(40_000),
    );
    await until(topic, (one) => one?.owed === null);
    await until(
      () => title(idOf(101)),
      (value) => value === 'After that',
    );
    const run = pipeline.client.workflow.getHandle(`sync/${CRM}/catch-up`);
    expect(await run.result()).toMatchObject({ outcome: 'ok' });
    retitle(102, 'Followed again');
    await until(
      () => title(idOf(102)),
      (value) => value === 'Followed again',
    );
  },
  TEST_MS_MAX,
);
