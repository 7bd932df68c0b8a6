import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditedObject } from '../../activities/audit.ts';
import type { Activities, RunPlanInput } from '../../activities/index.ts';
import type { RepairInput } from '../../activities/audit-repair.ts';
import type { BackfillPlan } from '../../schemas/backfill.ts';
import type { Finding, ObjectAudit } from '../../schemas/audit.ts';
import type { audit } from '../../workflows/audit.ts';
import type { replay } from '../../workflows/replay.ts';
import type { syncConnection } from '../../workflows/sync-connection.ts';
import { saveHistory } from './histories.ts';
import { fakes, landed, openBench, planned, window, type Bench } from './support.ts';

const UNTIL = '2026-11-20T09:00:00.000Z';
const policy = { everyMs: 3_600_000, fullPassMs: 1, sampleRows: 1, quotaShareMax: 0.05, repair: true };

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

function audited(object: string, findings: Finding[]): AuditedObject {
  const counts = { rows: 10, buckets: 5, bucketsOff: 0, compared: 10, sampled: 10, repaired: 0 };
  const line = {
    object,
    at: UNTIL,
    ...counts,
    left: findings.length,
    found: {},
    records: [],
    rotation: null,
  };
  return { line, findings, until: UNTIL };
}

const finding = (record: string, kind: Finding['kind'] = 'missing'): Finding => ({
  record,
  kind,
  fields: [],
});

/** What every audit here does alike; a test gives what it is about. */
function auditing(more: Partial<Activities>, settled: ObjectAudit[] = []): Activities {
  return fakes({
    planAudit: () => Promise.resolve({ objects: ['Contact', 'Account'], later: 3, policy, profiles: true }),
    settleAudit: ({ line }) => {
      settled.push(line);
      return Promise.resolve();
    },
    ...more,
  });
}

async function run(activities: Activities, id: string, input: object = {}, history?: string) {
  return bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof audit>('audit', {
      workflowId: `audit/${id}`,
      taskQueue: queue,
      args: [{ connection: 'crm', ...input }],
    });
    const ended = await handle.result().catch((error: unknown) => error);
    if (history !== undefined) await saveHistory(bench.address, history, await handle.fetchHistory());
    return ended;
  });
}

test('what differs is repaired in parts of a bounded size, profiles are published, the line is kept', async () => {
  const settled: ObjectAudit[] = [];
  const repairs: RepairInput[] = [];
  let published = 0;
  const many = Array.from({ length: 2_100 }, (_, index) =>
    finding(`r${index}`, index === 0 ? 'kept' : 'missing'),
  );
  const activities = auditing(
    {
      auditObject: ({ object }) => Promise.resolve(audited(object, object === 'Contact' ? many : [])),
      repairDrift: (input) => {
        repairs.push(input);
        return Promise.resolve({ repaired: input.findings.length, left: 0, unclaimed: 0 });
      },
      publish: () => {
        published += 1;
        return Promise.resolve(6);
      },
    },
    settled,
  );
  const result = await run(activities, 'repaired', {}, 'audit-repaired');
  expect(repairs.map(({ findings, keptTotal, part }) => [findings.length, keptTotal, part])).toEqual([
    [2_000, 1, 0],
    [100, 1, 1],
  ]);
  expect(published).toBe(1);
  expect(result).toMatchObject({ outcome: 'ok' });
  expect(settled.find(({ object }) => object === 'Contact')).toMatchObject({
    ...{ found: { missing: 2_099, kept: 1 }, repaired: 2_100, left: 0 },
  });
  expect(settled.find(({ object }) => object === 'Contact')?.records).toHaveLength(100);
});

test('what is left closes the run as failed with its table; trouble with one object stops no other', async () => {
  const settled: ObjectAudit[] = [];
  const activities = auditing(
    {
      auditObject: ({ object }) => {
        if (object === 'Account')
          throw ApplicationFailure.create({
            type: 'SHRINK_GUARD',
            message: 'too little',
            nonRetryable: true,
          });
        return Promise.resolve(audited(object, [finding('r1'), finding('r2', 'unclaimed')]));
      },
    },
    settled,
  );
  const error = await run(activities, 'left', { repair: false }, 'audit-left');
  if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure))
    throw new Error('the audit did not fail');
  expect(error.cause.type).toBe('PARTIAL');
  expect(error.cause.message).toContain('1 record differs from the source, not repaired');
  expect(error.cause.message).toContain('Account SHRINK_GUARD: too little');
  expect(settled.map(({ object, left, code }) => [object, left, code])).toEqual(
    expect.arrayContaining([
      ['Contact', 1, undefined],
      ['Account', 0, 'SHRINK_GUARD'],
    ]),
  );
});

test('an empty quota is no failure: the next audit goes on', async () => {
  const activities = auditing({
    auditObject: () => {
      throw ApplicationFailure.create({ type: 'QUOTA_EXHAUSTED', message: 'empty', nonRetryable: true });
    },
  });
  expect(await run(activities, 'quota')).toMatchObject({ outcome: 'deferred' });
});

test('a replay sums up its parts per object, and publishes what landed', async () => {
  const part = (object: string, number: number) => ({
    ...{ connection: 'crm', object, records: ['a', 'b'], part: number, dryRun: false },
  });
  const reason = { field: 'Birthdate', reason: 'not a date', records: 1 };
  const published: unknown[] = [];
  const activities = fakes({
    planReplay: () =>
      Promise.resolve({ parts: [part('Contact', 0), part('Contact', 1), part('Lead', 2)], profiles: true }),
    replayRecords: ({ object }) => {
      if (object === 'Lead')
        throw ApplicationFailure.create({ type: 'PERMISSION_DENIED', message: 'no', nonRetryable: true });
      return Promise.resolve({ object, records: 2, landed: 1, gone: 0, left: 1, reasons: [{ ...reason }] });
    },
    publish: (input) => {
      published.push(input);
      return Promise.resolve(1);
    },
  });
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof replay>('replay', {
      workflowId: 'replay/crm',
      taskQueue: queue,
      args: [{ connection: 'crm' }],
    });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(result.objects).toEqual([
    { object: 'Contact', records: 4, landed: 2, gone: 0, left: 2, reasons: [{ ...reason, records: 2 }] },
    expect.objectContaining({ object: 'Lead', left: 2, code: 'PERMISSION_DENIED' }),
  ]);
  expect(published).toHaveLength(1);
  await saveHistory(bench.address, 'replay', history);
});

test('a run that finds a re-sync due starts a backfill from the beginning, and does not wait for it', async () => {
  const plan: BackfillPlan = {
    ...{ connection: 'crm', from: '0001-01-01T00:00:00.000Z', to: UNTIL, windows: [], objects: [] },
    ...{ calls: 0, quota: null, maxActive: 1, dryRun: false },
  };
  const given: unknown[] = [];
  const activities = fakes({
    plan: (input: RunPlanInput) =>
      Promise.resolve(planned(input, { windows: [window('Contact')], resync: 'Contact' })),
    moveSlice: () => Promise.resolve(landed('Contact')),
    planBackfill: (input) => {
      given.push(input.given);
      return Promise.resolve(plan);
    },
  });
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof syncConnection>('syncConnection', {
      workflowId: 'sync/crm/resync',
      taskQueue: queue,
      args: [{ connection: 'crm', trigger: 'manual' }],
    });
    const ended = await handle.result();
    await bench.client.workflow.getHandle('backfill/crm/resync/Contact').result();
    return { result: ended, history: await handle.fetchHistory() };
  });
  expect(result.outcome).toBe('ok');
  expect(given).toMatchObject([{ objects: ['Contact'], from: 'beginning', reprocess: 'all' }]);
  await saveHistory(bench.address, 'sync-connection-resync', history);
});
