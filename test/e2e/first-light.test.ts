import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const IDLE_EVENTS_MAX = 12;
/** Per object: what was updated, what was deleted. */
const IDLE_CALLS_PER_OBJECT_MAX = 2;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 2_500, Account: 80 }, stampTies: 40 },
    connection: { objects: ['Contact', 'Account'] },
  });
  await pipeline.start();
}, 120_000);

afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
});

async function expectEqual(): Promise<void> {
  expect(await pipeline.oracle('Contact')).toEqual([]);
  expect(await pipeline.oracle('Account')).toEqual([]);
}

test('a first load lands every row, texts that look like null too', async () => {
  const { data } = pipeline.sandbox;
  data.setRaw('Contact', 1, 'Department', 'NULL');
  data.setRaw('Contact', 2, 'Department', 'N/A');
  data.update('Contact', 3, { Department: null });
  data.setRaw('Contact', 4, 'Department', '"a",\n\'b\' \\N');
  data.delete('Contact', 5);
  pipeline.pass();
  const end = await pipeline.sync();
  expect(end.outcome).toBe('ok');
  for (const object of ['Contact', 'Account']) expect(lineOf(end, object).verdict).toBe('proven');
  expect(lineOf(end)).toMatchObject({ rows: 2_500, inserted: 2_500, quarantined: 0 });
  await expectEqual();
  const ids = [1, 2, 3].map((index) => `'${data.idOf('Contact', index)}'`).join(', ');
  const rows = await pipeline.rows(`SELECT department FROM crm.contact WHERE id IN (${ids}) ORDER BY id`);
  expect(rows.map((row) => row['department'])).toEqual(['NULL', 'N/A', null]);
});

test('an increment lands edits, creations, deletions, restorations, merges, erasures and ties', async () => {
  const { data } = pipeline.sandbox;
  const created = data.create('Contact', { LastName: 'New', Department: 'null' });
  data.update('Contact', 10, { LastName: 'Edited', Email: null });
  data.update('Contact', 10, { LastName: 'Edited again' });
  data.delete('Contact', 11);
  data.delete('Contact', 12);
  data.undelete('Contact', 12);
  data.undelete('Contact', 5);
  data.merge('Contact', 13, 14, { Title: 'Winner' });
  data.delete('Contact', 15);
  data.purge('Contact', 15);
  data.touchMany('Contact', 0.1);
  pipeline.pass();
  const end = await pipeline.sync();
  expect(end.outcome).toBe('ok');
  expect(lineOf(end).verdict).toBe('proven');
  expect(end.run?.idle).toBe(1);
  await expectEqual();
  const gone = [11, 14, 15].map((index) => `'${data.idOf('Contact', index)}'`).join(', ');
  expect(
    await pipeline.rows(
      `SELECT count(*)::INTEGER AS gone FROM crm.contact WHERE _deleted AND id IN (${gone})`,
    ),
  ).toEqual([{ gone: 3 }]);
  expect(await pipeline.rows(`SELECT department FROM crm.contact WHERE id = '${created}'`)).toEqual([
    { department: 'null' },
  ]);
});

test('a row that becomes visible after its stamp has passed is not missed', async () => {
  const { data, clock } = pipeline.sandbox;
  const at = clock.now();
  data.update('Contact', 20, { LastName: 'Late' }, { at, visibleAt: at + 150_000 });
  data.update('Contact', 21, { LastName: 'In time' }, { at });
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  // The source does not vouch for the time since: the window ends before it.
  const [covered] = await pipeline.ledger((ledger) => ledger.coverage('crm', 'Contact'));
  expect(Date.parse(covered?.until ?? '')).toBeLessThanOrEqual(at);
  pipeline.pass(120_000);
  expect((await pipeline.sync()).outcome).toBe('ok');
  await expectEqual();
  const id = data.idOf('Contact', 20);
  expect(await pipeline.rows(`SELECT last_name FROM crm.contact WHERE id = '${id}'`)).toEqual([
    { last_name: 'Late' },
  ]);
});

test('every row of a window at one stamp; the next run does not change it', async () => {
  pipeline.sandbox.data.touchMany('Contact', 1);
  pipeline.pass();
  const end = await pipeline.sync();
  expect([end.message, lineOf(end).verdict]).toEqual(['', 'proven']);
  expect(lineOf(end).updated).toBeGreaterThan(2_400);
  await expectEqual();
  pipeline.pass();
  // Within the look-back the rows are read again, and none of them changes.
  const next = await pipeline.sync();
  expect(next.outcome).toBe('ok');
  if ((next.run?.objects.length ?? 0) > 0) expect(lineOf(next)).toMatchObject({ inserted: 0, updated: 0 });
});

test('an idle run proves its empty windows with few calls and events', async () => {
  pipeline.pass(3_600_000);
  await pipeline.sync();
  pipeline.pass(3_600_000);
  pipeline.sandbox.stats.reset();
  const handle = await pipeline.begin();
  const end = await pipeline.ended(handle);
  expect(end).toMatchObject({ outcome: 'ok', run: { idle: 2, objects: [] } });
  expect(pipeline.sandbox.stats.apiRequests).toBeLessThanOrEqual(2 * IDLE_CALLS_PER_OBJECT_MAX);
  const history = await handle.fetchHistory();
  expect(history.events?.length).toBeLessThanOrEqual(IDLE_EVENTS_MAX);
  const [newest] = await pipeline.ledger((ledger) =>
    ledger.windows({ connection: 'crm', object: 'Contact', limit: 1 }),
  );
  expect(newest?.receipt).toMatchObject({ verdict: 'proven', transport: { received: 0 } });
});

test('a living org: window after window, the warehouse equals the org', async () => {
  for (let round = 0; round < 3; round += 1) {
    pipeline.sandbox.living.run(400);
    pipeline.pass(600_000);
    const end = await pipeline.sync();
    expect(end.outcome).toBe('ok');
    for (const line of end.run?.objects ?? []) expect(line.verdict).toBe('proven');
    await expectEqual();
  }
  expect(
    await pipeline.ledger(async (ledger) => [
      await ledger.coverage('crm', 'Contact'),
      await ledger.openWindows('crm'),
    ]),
  ).toMatchObject([[{ from: '0001-01-01T00:00:00.000Z' }], []]);
});
