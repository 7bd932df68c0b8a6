/** What an audit repairs, and what a refresh fills, reaches the profiles too, and nothing else of them changes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { auditRunSchema } from '../../schemas/audit.ts';
import { headwater } from '../support/headwater.ts';
import { lineOf, openPipeline, TUNING, type Pipeline, type PipelineOptions } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 80;
const TEST_MS_MAX = 180_000;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, TEST_MS_MAX);
afterEach(() => pipeline.close());
afterAll(() => temporal.stop());

async function loaded(connection: PipelineOptions['connection'] = {}, profiles: object = {}): Promise<void> {
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    connection,
    more: { profiles },
  });
  await pipeline.start();
  pipeline.pass();
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
}

/** The worker starts again with another configuration. */
async function reconfigured(
  change: (written: { connections: Record<string, object> }) => void,
): Promise<void> {
  const path = join(pipeline.home, 'headwater.config.json');
  const written = JSON.parse(readFileSync(path, 'utf8')) as { connections: Record<string, object> };
  change(written);
  writeFileSync(path, JSON.stringify(written));
  await pipeline.start();
}

const goldenOf = async (id: string) => {
  const [row] = await pipeline.rows(
    `SELECT c.job_title AS title, c.last_name AS name, c.email AS email, c._deleted AS deleted FROM golden.contact AS c
     JOIN golden.identities AS i ON i.profile = c._profile WHERE i.record = '${id}' AND i.entity = 'contact'`,
  );
  return row;
};

const versionOf = async (id: string): Promise<number> => {
  const [row] = await pipeline.rows(
    `SELECT epoch_ms(_version)::BIGINT AS at FROM crm.contact WHERE id = '${id}'`,
  );
  return Number(row?.['at']);
};

test(
  'the source changes values under an old stamp: found by value, in the warehouse and in the profile',
  async () => {
    await loaded();
    const { data } = pipeline.sandbox;
    const [silent, late] = [data.idOf('Contact', 5), data.idOf('Contact', 6)];
    const before = await goldenOf(silent);
    data.update('Contact', 5, { Title: 'Silently changed' }, { at: await versionOf(silent) });
    // Beyond any look-back: it became visible hours after its stamp.
    data.update('Contact', 6, { Title: 'Came late' }, { at: (await versionOf(late)) + 1_000 });
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Contact')).not.toEqual([]);

    const told = await headwater(pipeline, 'npx headwater audit crm Contact --json');
    expect([told.code, told.stderr.includes('✗')]).toEqual([0, false]);
    const run = auditRunSchema.parse(JSON.parse(told.stdout));
    expect(run.objects).toMatchObject([{ found: { altered: 1, outdated: 1 }, repaired: 2, left: 0 }]);
    expect(run.objects[0]?.records).toEqual(
      expect.arrayContaining([
        { record: silent, kind: 'altered', fields: expect.arrayContaining(['Title']) },
      ]),
    );
    expect(told.stdout).not.toContain('Silently');
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(await goldenOf(silent)).toEqual({ ...before, title: 'Silently changed' });
    expect(await goldenOf(late)).toMatchObject({ title: 'Came late' });
    const history = await pipeline.rows(
      "SELECT count(*)::INTEGER AS n FROM golden.profile_events WHERE cause LIKE 'drift%'",
    );
    expect(Number(history[0]?.['n'])).toBeGreaterThanOrEqual(2);
    const status = await headwater(pipeline, 'npx headwater status crm');
    expect(status.stdout).toContain('✓ 2 repaired');
    const fresh = await headwater(pipeline, 'npx headwater freshness crm --json');
    expect(JSON.parse(fresh.stdout)).toMatchObject([{ connection: 'crm', objects: [{ object: 'Contact' }] }]);
    // The sandbox's clock is days behind: what is proven is as old, whatever was edited last.
    expect(fresh.code).toBe(4);
  },
  TEST_MS_MAX,
);

test(
  'a field that old rows get later reaches their profiles, and takes nothing else away',
  async () => {
    await loaded({ fields: { Contact: { exclude: ['Title'] } } });
    const id = pipeline.sandbox.data.idOf('Contact', 5);
    const title = 'SELECT count(*)::INTEGER AS n FROM golden.contact WHERE job_title IS NOT NULL';
    expect(await pipeline.rows(title)).toEqual([{ n: 0 }]);
    const before = await goldenOf(id);
    await reconfigured(({ connections }) => Object.assign(connections['crm'] ?? {}, { fields: {} }));
    pipeline.pass(3_600_000);
    expect(lineOf(await pipeline.sync()).message).toContain('Title');
    pipeline.pass(3_600_000);
    const end = await pipeline.sync();
    expect([end.outcome, lineOf(end).message]).toEqual(['ok', expect.stringContaining('only Title')]);
    const truth = await pipeline.rows('SELECT count(title)::INTEGER AS n FROM crm.contact');
    expect(Number(truth[0]?.['n'])).toBeGreaterThan(CONTACTS / 2);
    expect(await pipeline.rows(title)).toEqual(truth);
    const [row] = await pipeline.rows(`SELECT title FROM crm.contact WHERE id = '${id}'`);
    expect(await goldenOf(id)).toEqual({ ...before, title: row?.['title'] ?? null });
    const audit = await headwater(pipeline, 'npx headwater audit crm --json');
    expect([audit.code, auditRunSchema.parse(JSON.parse(audit.stdout)).objects]).toMatchObject([
      0,
      [{ found: {}, left: 0 }],
    ]);
  },
  TEST_MS_MAX,
);

test(
  'a periodic re-sync is started by the run that finds it due, and reads everything',
  async () => {
    await loaded({ resync: { every: '1h' } });
    await pipeline.ledger(async (ledger) => {
      const state = JSON.parse((await ledger.meta('refresh/crm/Contact')) ?? '{}') as { wholeAt?: string };
      expect(state.wholeAt).toBeDefined();
      const wholeAt = new Date(Date.now() - 7_200_000).toISOString();
      await ledger.setMeta('refresh/crm/Contact', JSON.stringify({ ...state, wholeAt }));
    });
    const { data } = pipeline.sandbox;
    const silent = data.idOf('Contact', 5);
    data.update('Contact', 5, { Title: 'Silently changed' }, { at: await versionOf(silent) });
    pipeline.pass();
    const end = await pipeline.sync();
    expect(end.run?.objects.map(({ message }) => message).join('\n')).toMatch(
      /full re-sync is due.*reads it now/,
    );
    const result: unknown = await pipeline.client.workflow.getHandle('backfill/crm/resync/Contact').result();
    expect(result).toMatchObject({ run: { outcome: 'ok', objects: [{ rows: CONTACTS }] } });
    expect(await pipeline.oracle('Contact')).toEqual([]);
    pipeline.pass();
    const next = await pipeline.sync();
    expect(JSON.stringify(next.run)).not.toContain('re-sync');
  },
  TEST_MS_MAX,
);

test(
  'records that the profiles have never heard of come in, without a sample that happens on them',
  async () => {
    await loaded({ audit: { sample: 0 } }, { mappings: { 'crm.Contact': 'off' } });
    const profiles = "SELECT count(*)::INTEGER AS n FROM golden.identities WHERE entity = 'contact'";
    await reconfigured((written) => Object.assign(written, { profiles: {} }));
    const told = await headwater(pipeline, 'npx headwater audit crm --json');
    const run = auditRunSchema.parse(JSON.parse(told.stdout));
    expect(run.objects).toMatchObject([{ found: { unclaimed: expect.any(Number) }, left: 0, sampled: 0 }]);
    expect(await pipeline.rows(profiles)).toEqual([{ n: CONTACTS }]);
    const again = await headwater(pipeline, 'npx headwater audit crm --json');
    expect(auditRunSchema.parse(JSON.parse(again.stdout)).objects).toMatchObject([{ found: {}, left: 0 }]);
  },
  TEST_MS_MAX,
);

test(
  'killed in the middle of a repair, the audit ends where an undisturbed one would',
  async () => {
    await loaded();
    const { data } = pipeline.sandbox;
    const silent = data.idOf('Contact', 5);
    data.update('Contact', 5, { Title: 'Silently changed' }, { at: await versionOf(silent) });
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    const killed = await pipeline.start({ HEADWATER_FAILPOINT: 'reconcile:applied' });
    const { taskQueue } = pipeline.loaded.config.temporal;
    const handle = await pipeline.client.workflow.start('audit', {
      workflowId: `audit/${taskQueue}/killed`,
      taskQueue,
      args: [{ connection: 'crm', tuning: TUNING }],
    });
    expect(await killed.ended).toBe('SIGKILL');
    await pipeline.start();
    expect(auditRunSchema.parse(await handle.result())).toMatchObject({
      outcome: 'ok',
      objects: [{ left: 0 }],
    });
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(await goldenOf(silent)).toMatchObject({ title: 'Silently changed' });
    const doubled =
      'SELECT count(*)::INTEGER AS n FROM (SELECT batch FROM _headwater.batches GROUP BY 1 HAVING count(*) > 1)';
    expect(await pipeline.rows(doubled)).toEqual([{ n: 0 }]);
  },
  TEST_MS_MAX,
);
