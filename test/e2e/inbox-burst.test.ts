/** Many events at once: each is dealt with, and the worker's memory stays what it was. 100,000 with HEADWATER_TEST_ALL=1. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Claims } from '../../stores/claims/claims.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import { changed, pipelineClaims, pushInbox, SECRET, until, WEBHOOKS } from '../support/fast-lane.ts';
import { watchMemory } from '../support/memory.ts';
import { CRM, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const EVENTS = process.env['HEADWATER_TEST_ALL'] === '1' ? 100_000 : 20_000;
const CONTACTS = EVENTS / 4;
const PER_REQUEST = 1_000;
/** A worker with its defaults after a first load has about 600. */
const MEGABYTES_MAX = 1_200;
const MS_MAX = EVENTS * 8;

let temporal: TestTemporal;
let pipeline: Pipeline;
let inbox: Inbox;
let claims: Claims;

beforeAll(async () => {
  temporal = await withTemporal();
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    connection: { webhooks: { ...WEBHOOKS, landEvery: '2s' } },
    more: { profiles: {} },
    env: { PUSH_SECRET: SECRET },
    // Its records become profiles beside whatever else runs.
    syncMsMax: 100_000,
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

test(
  `I2: of ${EVENTS} events at once none is lost`,
  async () => {
    pipeline.sandbox.data.touchMany('Contact', 1);
    const events = Array.from({ length: EVENTS }, (_, at) =>
      changed('Contact', pipeline.sandbox.data.idOf('Contact', (at * 7) % CONTACTS)),
    );
    for (let at = 0; at < EVENTS; at += PER_REQUEST)
      await inbox.accept(CRM, events.slice(at, at + PER_REQUEST));
    const memory = watchMemory(pipeline.worker?.pid ?? 0);
    const waits = async () => (await inbox.states()).reduce((sum, { waiting }) => sum + waiting, 0);
    const ms = await until(waits, (count) => count === 0, MS_MAX);
    const peak = await memory.stop();
    process.stderr.write(`${EVENTS} events in ${Math.round(ms)} ms, ${peak?.megabytes ?? '?'} MB\n`);
    expect(peak?.megabytes ?? 0).toBeLessThan(MEGABYTES_MAX);
    expect((await inbox.states()).map(({ parked }) => parked)).toEqual([0]);
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(await claims.verify()).toMatchObject({ ok: true });
  },
  MS_MAX + 60_000,
);
