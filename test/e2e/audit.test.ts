/** A broken copy is found and repaired every time; what is not broken, or only newer, is left alone. */
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { auditRunSchema, type AuditInput, type AuditRun, type ObjectAudit } from '../../schemas/audit.ts';
import { openPipeline, TUNING, type Pipeline, type PipelineOptions } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 300;
const TEST_MS_MAX = 180_000;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, TEST_MS_MAX);
afterEach(() => pipeline.close());
afterAll(() => temporal.stop());

async function loaded(options: PipelineOptions = {}): Promise<void> {
  pipeline = await openPipeline(temporal, { sandbox: { objects: { Contact: CONTACTS } }, ...options });
  await pipeline.start();
  pipeline.pass();
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(await pipeline.oracle('Contact')).toEqual([]);
}

/** What another program, or a defect, does to the warehouse behind the worker's back. */
async function damage(...statements: string[]): Promise<void> {
  await pipeline.stop();
  const instance = await DuckDBInstance.create(join(pipeline.home, 'warehouse.duckdb'));
  const connection = await instance.connect();
  for (const statement of statements) await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
  await pipeline.start();
}

let audits = 0;

async function audit(input: Partial<AuditInput> = {}): Promise<AuditRun> {
  audits += 1;
  const { taskQueue } = pipeline.loaded.config.temporal;
  try {
    const result: unknown = await pipeline.client.workflow.execute('audit', {
      workflowId: `audit/${taskQueue}/${audits}`,
      taskQueue,
      args: [{ connection: 'crm', tuning: TUNING, ...input }],
    });
    return auditRunSchema.parse(result);
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) {
      const run = auditRunSchema.safeParse(error.cause.details?.[0]).data;
      if (run !== undefined) return run;
    }
    throw error;
  }
}

function lineOf(run: AuditRun): ObjectAudit {
  const line = run.objects.find(({ object }) => object === 'Contact');
  if (line === undefined) throw new Error('the audit has no line of Contact');
  return line;
}

const ids = (where: string, limit = 3) =>
  `SELECT id FROM crm.contact WHERE NOT _deleted AND ${where} ORDER BY id LIMIT ${limit}`;

test(
  'nothing is wrong: nothing is found, nothing is written, and the pass is told',
  async () => {
    await loaded();
    const before = await pipeline.rows('SELECT count(*)::INTEGER AS batches FROM _headwater.batches');
    pipeline.sandbox.stats.reset();
    const run = await audit();
    expect(pipeline.sandbox.stats.apiRequests).toBeLessThanOrEqual(15);
    expect(run.outcome).toBe('ok');
    expect(lineOf(run)).toMatchObject({
      ...{ found: {}, left: 0, rows: CONTACTS, bucketsOff: 0, sampled: CONTACTS, records: [] },
      rotation: { lastFullPass: expect.any(String) },
    });
    expect(lineOf(run).compared).toBe(CONTACTS);
    expect(await pipeline.rows('SELECT count(*)::INTEGER AS batches FROM _headwater.batches')).toEqual(
      before,
    );
  },
  TEST_MS_MAX,
);

/** A load that is broken in one of these ways is found whatever else it does right. */
test.each([
  ['drops a row of each batch', [`DELETE FROM crm.contact WHERE id IN (${ids('true')})`], 'missing'],
  [
    'loses an update',
    [
      `UPDATE crm.contact SET last_name = 'Old', _version = _version - INTERVAL 2 DAY, _hash = 1 WHERE id IN (${ids('true')})`,
    ],
    'outdated',
  ],
  [
    'alters values under one stamp',
    [`UPDATE crm.contact SET last_name = 'Altered' WHERE id IN (${ids('true')})`],
    'altered',
  ],
  [
    'takes living rows for deleted',
    [`UPDATE crm.contact SET _deleted = true WHERE id IN (${ids('true')})`],
    'lost',
  ],
] as const)(
  'a warehouse that %s is found out and repaired',
  async (_what, statements, kind) => {
    await loaded();
    await damage(...statements);
    expect(await pipeline.oracle('Contact')).not.toEqual([]);
    const told = await audit({ repair: false });
    expect(told.outcome).toBe('partial');
    expect(lineOf(told)).toMatchObject({ found: { [kind]: 3 }, repaired: 0, left: 3 });
    expect(await pipeline.oracle('Contact')).not.toEqual([]);
    const run = await audit();
    expect(run.outcome).toBe('ok');
    expect(lineOf(run)).toMatchObject({ found: { [kind]: 3 }, repaired: 3, left: 0 });
    expect(lineOf(run).records).toHaveLength(3);
    expect(JSON.stringify(run)).not.toContain('Altered');
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(lineOf(await audit())).toMatchObject({ found: {}, left: 0 });
  },
  TEST_MS_MAX,
);

test(
  'a row that is kept although the source has erased it',
  async () => {
    await loaded();
    const { data } = pipeline.sandbox;
    for (const index of [5, 6]) {
      data.delete('Contact', index);
      data.purge('Contact', index);
    }
    data.delete('Contact', 7);
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    const gone = 'SELECT count(*)::INTEGER AS gone FROM crm.contact WHERE _deleted';
    expect(await pipeline.rows(gone)).toEqual([{ gone: 3 }]);
    await damage(
      'UPDATE crm.contact SET _deleted = false, _version = _version - INTERVAL 1 HOUR WHERE _deleted',
    );
    const run = await audit();
    expect([run.outcome, lineOf(run).message]).toEqual(['ok', undefined]);
    const { found, repaired, left } = lineOf(run);
    expect([(found.kept ?? 0) + (found.outdated ?? 0), repaired, left]).toEqual([3, 3, 0]);
    expect(await pipeline.rows(gone)).toEqual([{ gone: 3 }]);
    expect(await pipeline.oracle('Contact')).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  'what changed since the checkpoint is no drift',
  async () => {
    await loaded();
    const { data } = pipeline.sandbox;
    data.update('Contact', 3, { LastName: 'Newer' });
    data.delete('Contact', 4);
    pipeline.pass();
    const run = await audit();
    expect(run.outcome).toBe('ok');
    expect(lineOf(run)).toMatchObject({ found: {}, left: 0 });
    await pipeline.sync();
    expect(await pipeline.oracle('Contact')).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  'I6: a source that suddenly shows next to nothing changes nothing',
  async () => {
    await loaded();
    for (let index = 0; index < CONTACTS - 20; index += 1) {
      pipeline.sandbox.data.delete('Contact', index);
      pipeline.sandbox.data.purge('Contact', index);
    }
    const run = await audit();
    expect(run.outcome).toBe('partial');
    expect(lineOf(run)).toMatchObject({ code: 'SHRINK_GUARD' });
    expect(await pipeline.rows('SELECT count(*)::INTEGER AS gone FROM crm.contact WHERE _deleted')).toEqual([
      { gone: 0 },
    ]);
  },
  TEST_MS_MAX,
);
