/** The fast lane with everything real: a pushed change is in the profile within moments, and in the warehouse with the next batch. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Failpoint } from '../../activities/failpoints.ts';
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
import { CRM, logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { patient } from '../support/patience.ts';

const CONTACTS = 400;
const TEST_MS_MAX = 60_000;

let temporal: TestTemporal;
let pipeline: Pipeline;
let inbox: Inbox;
let claims: Claims;

beforeAll(async () => {
  temporal = await withTemporal();
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    connection: { webhooks: WEBHOOKS },
    more: { profiles: {} },
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
const rawTitle = async (record: string) =>
  (await pipeline.rows(`SELECT title FROM ${CRM}.contact WHERE id = '${record}'`))[0]?.['title'];
const logged = () => Promise.resolve(logsOf(pipeline.home));
const settledAll = (positions: number[]) => inbox.settled(CRM, positions);
const nothingWaits = async () => (await inbox.states()).every(({ waiting }) => waiting === 0);

/** Versions that the log has of these records. */
async function eventsOf(records: string[]): Promise<number> {
  let count = 0;
  for (const record of records) {
    const id = await claims.profileOf({ source: CRM, object: 'Contact', record });
    const events = await claims.history(id ?? '', { limit: 1_000 });
    count += events.filter((event) => event.ref?.record === record && event.kind === 'observe').length;
  }
  return count;
}

test(
  'a pushed change is in the profile within moments, then in raw and golden tables',
  async () => {
    const record = idOf(3);
    pipeline.sandbox.data.update('Contact', record, { Title: 'Pushed' });
    const { positions } = await inbox.accept(CRM, [changed('Contact', record)]);
    const ms = await until(
      () => title(record),
      (value) => value === 'Pushed',
    );
    expect(ms).toBeLessThan(patient(2_000));
    await until(
      () => settledAll(positions),
      (is) => is,
    );
    await until(nothingWaits, (is) => is);
    expect(await rawTitle(record)).toBe('Pushed');
    const id = await claims.profileOf({ source: CRM, object: 'Contact', record });
    await until(
      async () =>
        (await pipeline.rows(`SELECT job_title FROM golden.contact WHERE _profile = '${id ?? ''}'`))[0]?.[
          'job_title'
        ],
      (value) => value === 'Pushed',
    );
  },
  TEST_MS_MAX,
);

test(
  'what is gone is deleted: at once when it was told so, at the second look when it was said to have changed',
  async () => {
    const [deleted, purged, told] = [idOf(11), idOf(12), idOf(13)];
    pipeline.sandbox.data.delete('Contact', deleted);
    for (const record of [purged, told]) {
      pipeline.sandbox.data.delete('Contact', record);
      pipeline.sandbox.data.purge('Contact', record);
    }
    const at = new Date(pipeline.sandbox.clock.now()).toISOString();
    await inbox.accept(CRM, [
      changed('Contact', deleted),
      changed('Contact', purged),
      changed('Contact', told, { kind: 'deleted', at }),
    ]);
    await until(nothingWaits, (is) => is);
    for (const record of [deleted, purged, told]) {
      const id = await claims.profileOf({ source: CRM, object: 'Contact', record });
      const golden = await claims.profile(id ?? '');
      expect([record, golden?.records.find((one) => one.record === record)?.deleted]).toEqual([record, true]);
    }
    const rows = await pipeline.rows(
      `SELECT _deleted FROM ${CRM}.contact WHERE id IN ('${deleted}','${purged}','${told}')`,
    );
    expect(rows.map((row) => row['_deleted'])).toEqual([true, true, true]);
  },
  TEST_MS_MAX,
);

test(
  'while the source is away events wait, no try is counted, and they are dealt with once it is back',
  async () => {
    const record = idOf(25);
    pipeline.sandbox.data.update('Contact', record, { Title: 'After the outage' });
    const fault = pipeline.sandbox.faults.add({ match: { path: '/query' }, action: { status: 503 } });
    const { positions } = await inbox.accept(CRM, [changed('Contact', record)]);
    await until(
      async () => (await logged()).includes('nothing can be read from the source now'),
      (is) => is,
    );
    expect(await settledAll(positions)).toBe(false);
    const later = new Date(Date.now() + 60_000).toISOString();
    expect((await inbox.unread(CRM, later, 10)).map((one) => one.record)).toEqual([record]);
    expect(await inbox.unread(CRM, '2020-01-01T00:00:00.000Z', 10)).toEqual([]);
    expect(await inbox.troubles(CRM)).toEqual([]);
    pipeline.sandbox.faults.remove(fault);
    await until(
      () => title(record),
      (value) => value === 'After the outage',
      30_000,
    );
  },
  TEST_MS_MAX,
);

test(
  'an event that cannot be dealt with is parked with its reason, and the others go on',
  async () => {
    const record = idOf(20);
    pipeline.sandbox.data.update('Contact', record, { Title: 'Beside poison' });
    await inbox.accept(CRM, [
      changed('Lead', '00Q000000000001AAA'),
      changed('Contact', "not' an id"),
      changed('Contact', record),
    ]);
    await until(
      () => title(record),
      (value) => value === 'Beside poison',
    );
    await until(nothingWaits, (is) => is, 40_000);
    const troubles = await inbox.troubles(CRM);
    expect(troubles).toContainEqual({ object: 'Lead', reason: 'OBJECT_UNKNOWN', waiting: 0, parked: 1 });
    const told = await headwater(pipeline, `npx headwater inbox ${CRM}`);
    expect(told.stdout).toContain('Lead: OBJECT_UNKNOWN, 0 tried again, 1 parked');
    const lines = await headwater(pipeline, `npx headwater status ${CRM}`);
    expect(lines.stdout).toMatch(/crm: webhooks, last event .* ago.*1 event parked/);
    const again = await headwater(pipeline, `npx headwater inbox ${CRM} retry`);
    expect(again.stdout).toContain('1 event of crm wait again');
    await until(nothingWaits, (is) => is);
    expect((await inbox.states()).map(({ parked }) => parked)).toEqual([1]);
  },
  TEST_MS_MAX,
);

test.each<Failpoint>(['inbox:claimed', 'inbox:landed'])(
  'I2: killed at %s, nothing is lost and nothing is there twice',
  async (failpoint) => {
    const killed = await pipeline.start({ HEADWATER_FAILPOINT: failpoint });
    const records = Array.from({ length: 40 }, (_, at) => idOf(100 + at));
    const before = await eventsOf(records);
    for (const record of records)
      pipeline.sandbox.data.update('Contact', record, { Title: `Killed at ${failpoint}` });
    const { positions } = await inbox.accept(
      CRM,
      records.map((record) => changed('Contact', record)),
    );
    expect(await killed.ended).toBe('SIGKILL');
    await pipeline.start();
    await until(nothingWaits, (is) => is, 40_000);
    expect(await settledAll(positions)).toBe(true);
    expect(await pipeline.oracle('Contact')).toEqual([]);
    for (const record of records) expect(await title(record)).toBe(`Killed at ${failpoint}`);
    expect(await claims.verify()).toMatchObject({ ok: true });
    expect(await eventsOf(records)).toBe(before + records.length);
  },
  TEST_MS_MAX,
);

test(
  'a worker that is asked to stop leaves its fast lane within moments, and the next one goes on',
  async () => {
    const started = performance.now();
    await pipeline.stop();
    expect(performance.now() - started).toBeLessThan(patient(5_000));
    const record = idOf(30);
    pipeline.sandbox.data.update('Contact', record, { Title: 'Accepted without a worker' });
    await inbox.accept(CRM, [changed('Contact', record)]);
    await pipeline.start();
    await until(
      () => title(record),
      (value) => value === 'Accepted without a worker',
      30_000,
    );
  },
  TEST_MS_MAX,
);

test(
  'cancelling the workflow ends its activity within moments',
  async () => {
    const handle = pipeline.client.workflow.getHandle(`inbox/${CRM}`);
    await handle.cancel();
    const started = performance.now();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect(performance.now() - started).toBeLessThan(patient(4_000));
  },
  TEST_MS_MAX,
);
