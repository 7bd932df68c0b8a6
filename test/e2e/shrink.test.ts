/** I6: a source that suddenly has far fewer rows stops the run; what the warehouse holds stays as it was until an operator says it is true. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { headwater } from '../support/headwater.ts';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const ROWS = 4_000;
const WHOLE = 'npx headwater backfill crm --from beginning';
const TIMES_MS_MAX = 120_000;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, 120_000);
afterAll(() => temporal.stop());
afterEach(() => pipeline.close());

async function open(object = 'Contact', clock: { now?: () => number } = {}): Promise<void> {
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { [object]: ROWS }, ...clock },
    connection: { objects: [object], thresholds: { bulkRowsMin: 100 } },
  });
  await pipeline.start();
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
}

/** So many rows vanish, with no notice of their deletion left. */
function vanish(rows: number, object = 'Contact'): void {
  const { data, clock } = pipeline.sandbox;
  for (let row = 0; row < rows; row += 1) {
    data.delete(object, row);
    data.purge(object, row);
  }
  pipeline.pass();
  data.forgetDeletions(object, clock.now());
}

/** Values, versions and flags of all rows; when they were last confirmed may move. */
async function held(): Promise<Record<string, unknown>[]> {
  const everything =
    'count(*)::INTEGER AS "rows", sum(hash(id, last_name, email, lifetime_value__c, _version, _deleted))::VARCHAR AS "sum"';
  return pipeline.rows(
    `SELECT ${everything}, count(*) FILTER (WHERE _deleted)::INTEGER AS deleted FROM crm.contact`,
  );
}

/** The command that the remedy names for a run or for a backfill. */
function remedyIn(text: string, command: 'sync' | 'backfill'): string {
  return new RegExp(`\`(npx headwater ${command} [^\`<>]*--allow-shrink)\``).exec(text)?.[1] ?? '';
}

test.each([
  ['more than half, by the count before the read', Math.ceil(ROWS * 0.6), 'nothing was changed'],
  ['more than a tenth, once all are read', Math.ceil(ROWS * 0.3), 'nothing was marked deleted'],
])(
  'a whole read that lacks %s: refused, nothing touched, allowed as printed',
  async (_, gone, says) => {
    await open();
    vanish(gone);
    const before = await held();
    const refused = await headwater(pipeline, WHOLE);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('SHRINK_GUARD')]);
    expect(refused.stderr).toContain(says);
    expect(await held()).toEqual(before);
    // Saying nothing and trying again is no way around it.
    expect((await headwater(pipeline, WHOLE)).code).toBe(1);
    expect(await held()).toEqual(before);
    // Hourly windows go on meanwhile, whatever becomes of the comparison that the forgotten deletions are reason for.
    const edited = pipeline.sandbox.data.idOf('Contact', ROWS - 1);
    pipeline.sandbox.data.update('Contact', edited, { LastName: 'Meanwhile' });
    pipeline.pass();
    await pipeline.sync();
    const rows = await pipeline.rows(`SELECT last_name FROM crm.contact WHERE id = '${edited}'`);
    expect(rows).toEqual([{ last_name: 'Meanwhile' }]);
    expect(await held()).toMatchObject([{ rows: ROWS, deleted: 0 }]);

    const allowed = await headwater(pipeline, remedyIn(refused.stderr, 'backfill'));
    expect([allowed.code, allowed.stderr]).toEqual([0, expect.not.stringContaining('✗')]);
    expect(await pipeline.oracle('Contact')).toEqual([]);
    // Marked, not removed: every value is still there.
    const [after] = await held();
    expect(after).toMatchObject({ rows: ROWS, deleted: gone });
  },
  TIMES_MS_MAX,
);

test(
  'a source that answers far too few rows for a while: refused, nothing touched, and well again without allowing anything',
  async () => {
    await open();
    const before = await held();
    for (const path of ['/query', '/results'])
      pipeline.sandbox.faults.add({ match: { path }, action: { emptyOk: true } });
    const refused = await headwater(pipeline, WHOLE);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('SHRINK_GUARD')]);
    expect(await held()).toEqual(before);
    pipeline.sandbox.faults.clear();
    const { code, stderr } = await headwater(pipeline, WHOLE);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('✗')]);
    expect(await held()).toEqual(before);
    expect(await pipeline.oracle('Contact')).toEqual([]);
  },
  TIMES_MS_MAX,
);

test('the hourly run that notices forgotten deletions: the same, by the command for runs', async () => {
  await open();
  vanish(Math.ceil(ROWS * 0.3));
  const before = await held();
  let refused = await headwater(pipeline, 'npx headwater sync crm');
  // Where the first run only says what the comparison would take, the next one does it.
  if (refused.code === 0) refused = await headwater(pipeline, 'npx headwater sync crm');
  expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining('SHRINK_GUARD')]);
  expect(await held()).toEqual(before);
  const allowed = await headwater(pipeline, remedyIn(refused.stderr, 'sync'));
  expect([allowed.code, allowed.stderr]).toEqual([0, expect.not.stringContaining('✗')]);
  expect(await pipeline.oracle('Contact')).toEqual([]);
});

test('an object without stamps is read whole by every run: the same, by the command for runs', async () => {
  // Its versions are times of reading, by our clock: the org's has to agree.
  await open('ColorDefinition', { now: Date.now });
  const count = 'SELECT count(*) FILTER (WHERE NOT _deleted)::INTEGER AS alive FROM crm.color_definition';
  vanish(ROWS * 0.3, 'ColorDefinition');
  const refused = await headwater(pipeline, 'npx headwater sync crm');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('SHRINK_GUARD')]);
  expect(await pipeline.rows(count)).toEqual([{ alive: ROWS }]);
  const allowed = await headwater(pipeline, remedyIn(refused.stderr, 'sync'));
  expect([allowed.code, allowed.stderr]).toEqual([0, expect.not.stringContaining('✗')]);
  expect(await pipeline.rows(count)).toEqual([{ alive: ROWS * 0.7 }]);
});

test('many deletions that the source itself tells are marked, keep their values, and can be undone', async () => {
  await open();
  const { data } = pipeline.sandbox;
  const gone = Math.ceil(ROWS * 0.9);
  const values = () =>
    pipeline.rows('SELECT sum(hash(id, last_name, email))::VARCHAR AS "sum" FROM crm.contact');
  const before = await values();
  for (let row = 0; row < gone; row += 1) data.delete('Contact', row);
  pipeline.pass();
  const end = await pipeline.sync();
  expect([end.outcome, lineOf(end).deleted]).toEqual(['ok', gone]);
  expect(await held()).toMatchObject([{ rows: ROWS, deleted: gone }]);
  expect(await values()).toEqual(before);
  for (let row = 0; row < gone; row += 1) data.undelete('Contact', row);
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  expect(await held()).toMatchObject([{ rows: ROWS, deleted: 0 }]);
  expect(await pipeline.oracle('Contact')).toEqual([]);
});
