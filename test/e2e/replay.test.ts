/** Records that were set aside land once somebody has mended what was wrong, without waiting for their next change. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { replayRunSchema, type ReplayRun } from '../../schemas/audit.ts';
import { headwater } from '../support/headwater.ts';
import { lineOf, openPipeline, TUNING, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 60;
const TEST_MS_MAX = 180_000;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, TEST_MS_MAX);
afterEach(() => pipeline.close());
afterAll(() => temporal.stop());

let replays = 0;

async function replay(dryRun = false): Promise<ReplayRun> {
  replays += 1;
  const { taskQueue } = pipeline.loaded.config.temporal;
  const result: unknown = await pipeline.client.workflow.execute('replay', {
    workflowId: `replay/${taskQueue}/${replays}`,
    taskQueue,
    args: [{ connection: 'crm', dryRun, tuning: TUNING }],
  });
  return replayRunSchema.parse(result);
}

const entries = () =>
  pipeline.rows(
    'SELECT record, field, reason, resolved_at IS NULL AS open FROM _headwater.quarantine ORDER BY quarantined_at, record',
  );

test(
  'by shape: what fits now lands and is resolved, what still does not stays with its new reason',
  async () => {
    pipeline = await openPipeline(temporal, { sandbox: { objects: { Contact: CONTACTS } } });
    await pipeline.start();
    const { data } = pipeline.sandbox;
    const [mended, wrong, gone] = [7, 8, 9].map((row) => data.idOf('Contact', row));
    for (const row of [7, 8, 9]) data.setRaw('Contact', row, 'Birthdate', 'not a date');
    pipeline.pass();
    const end = await pipeline.sync();
    expect([end.outcome, lineOf(end).quarantined]).toEqual(['ok', 3]);
    data.setRaw('Contact', 7, 'Birthdate', '2001-02-03');
    data.setRaw('Contact', 8, 'Birthdate', '2001-02-03');
    data.setRaw('Contact', 8, 'Last_Seen__c', 'some day');
    data.delete('Contact', 9);
    data.purge('Contact', 9);

    const preview = await replay(true);
    expect(preview.objects).toMatchObject([{ object: 'Contact', records: 3, landed: 1, gone: 1, left: 1 }]);
    expect((await entries()).filter(({ open }) => open === true)).toHaveLength(3);

    const run = await replay();
    expect(run.objects).toEqual([
      {
        ...{ object: 'Contact', records: 3, landed: 1, gone: 1, left: 1 },
        reasons: [{ field: 'Last_Seen__c', reason: expect.any(String), records: 1 }],
      },
    ]);
    const after = await entries();
    expect(after.filter(({ open }) => open === true)).toEqual([
      expect.objectContaining({ record: wrong, field: 'Last_Seen__c' }),
    ]);
    expect(
      after
        .filter(({ open }) => open !== true)
        .map(({ record }) => record)
        .toSorted(),
    ).toEqual([mended, wrong, gone].toSorted());
    expect(
      await pipeline.rows(
        `SELECT birthdate::VARCHAR AS birthdate FROM crm.contact WHERE id = '${mended ?? ''}'`,
      ),
    ).toEqual([{ birthdate: '2001-02-03' }]);
    expect(await pipeline.rows(`SELECT 1 FROM crm.contact WHERE id = '${wrong ?? ''}'`)).toEqual([]);

    const again = await headwater(pipeline, 'npx headwater quarantine replay crm Contact --dry-run');
    expect([again.code, again.stderr.includes('✗')]).toEqual([3, false]);
    expect(again.stdout).toContain('A dry run: nothing was written.');
    const listed = await headwater(pipeline, 'npx headwater quarantine list crm --json');
    expect(JSON.parse(listed.stdout)).toMatchObject({ rows: [expect.arrayContaining([wrong])] });
  },
  TEST_MS_MAX,
);

test(
  'by mapping: a raw row that fitted no shared schema becomes a profile',
  async () => {
    pipeline = await openPipeline(temporal, {
      sandbox: { objects: { Contact: CONTACTS } },
      more: { profiles: {} },
    });
    await pipeline.start();
    const { data } = pipeline.sandbox;
    const id = data.idOf('Contact', 7);
    data.update('Contact', 7, { Email: 'nobody at all' });
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    const profiles = `SELECT count(*)::INTEGER AS n FROM golden.identities WHERE record = '${id}' AND entity = 'contact'`;
    expect(await pipeline.rows(profiles)).toEqual([{ n: 0 }]);
    const before = await entries();
    expect(before.length).toBeGreaterThan(0);
    expect(before[0]).toMatchObject({ record: id, field: 'email', open: true });
    expect(String(before[0]?.['reason'])).toMatch(/^contact\.email /);

    const preview = await replay(true);
    expect(preview.objects).toMatchObject([
      { records: 1, landed: 0, left: 1, reasons: [{ field: 'email' }] },
    ]);
    data.update('Contact', 7, { Email: 'somebody@example.com' });
    expect((await replay(true)).objects).toMatchObject([{ landed: 1, left: 0 }]);
    expect((await replay()).objects).toMatchObject([{ records: 1, landed: 1, left: 0 }]);
    expect(await pipeline.rows(profiles)).toEqual([{ n: 1 }]);
    expect((await entries()).filter(({ open }) => open === true)).toEqual([]);
    expect((await replay()).objects).toEqual([]);
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Contact')).toEqual([]);
  },
  TEST_MS_MAX,
);
