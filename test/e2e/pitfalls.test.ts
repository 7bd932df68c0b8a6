/** What extracts are known to get wrong, each under its name: rows lost, values changed, success claimed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CRM, lineOf, openPipeline, type Pipeline, type SyncEnd } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const PAGE_ROWS = 100;
/** Ten full pages and one more row. */
const ROWS = 10 * PAGE_ROWS + 1;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: ROWS } },
    connection: { thresholds: { bulkRowsMin: 200, bulkPageRowsMax: PAGE_ROWS } },
  });
  await pipeline.start();
  pipeline.pass();
}, 120_000);
afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
});

async function land(): Promise<SyncEnd> {
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(await pipeline.oracle('Contact')).toEqual([]);
  return end;
}

async function valuesOf(row: number, columns: string): Promise<unknown[]> {
  const id = pipeline.sandbox.data.idOf('Contact', row);
  const [found] = await pipeline.rows(`SELECT ${columns} FROM ${CRM}.contact WHERE id = '${id}'`);
  return Object.values(found ?? {});
}

test('ten pages and one row, each page with a header line: no header among the rows, no page twice or left out', async () => {
  const end = await land();
  expect(pipeline.sandbox.stats.of('bulk.results')).toBe(11);
  expect(lineOf(end)).toMatchObject({ rows: ROWS, inserted: ROWS, verdict: 'proven' });
  const counted = `SELECT count(*)::INTEGER AS "rows", count(DISTINCT id)::INTEGER AS ids, count(*) FILTER (WHERE id = 'Id')::INTEGER AS headers FROM ${CRM}.contact`;
  expect(await pipeline.rows(counted)).toEqual([{ rows: ROWS, ids: ROWS, headers: 0 }]);
});

test('the first and the last row of every page are there', async () => {
  const edges = Array.from({ length: 11 }, (_, page) => page * PAGE_ROWS).flatMap((first) =>
    first === 0 ? [first] : [first - 1, first],
  );
  const ids = edges.map((row) => `'${pipeline.sandbox.data.idOf('Contact', row)}'`).join(', ');
  const counted = `SELECT count(*)::INTEGER AS edges FROM ${CRM}.contact WHERE id IN (${ids})`;
  expect(await pipeline.rows(counted)).toEqual([{ edges: edges.length }]);
});

test('late rows at the very stamp at which the last window ended, and at the last one that it had', async () => {
  const { data, clock } = pipeline.sandbox;
  const at = Math.floor(clock.now() / 1_000) * 1_000;
  data.update('Contact', 1, { LastName: 'On time' }, { at });
  clock.set(at + 1_000);
  await land();
  const [window] = await pipeline.ledger((ledger) =>
    ledger.windows({ connection: CRM, object: 'Contact', limit: 1 }),
  );
  const until = Date.parse(window?.until ?? '');
  expect(until).toBeGreaterThan(at);
  // The same stamp as a row that has been read, and exactly the end, which the window does not include.
  data.update('Contact', 2, { LastName: 'Late' }, { at });
  data.update('Contact', 3, { LastName: 'At the end' }, { at: Math.floor(until / 1_000) * 1_000 });
  pipeline.pass();
  await land();
  expect([await valuesOf(2, 'last_name'), await valuesOf(3, 'last_name')]).toEqual([
    ['Late'],
    ['At the end'],
  ]);
});

test('a change whose stamp lies before the last run by our clock, because the clock of the org is behind', async () => {
  const { data, clock } = pipeline.sandbox;
  const [run] = await pipeline.ledger((ledger) => ledger.runs({ connection: CRM, limit: 1 }));
  data.update('Contact', 4, { LastName: 'Behind' });
  expect(clock.now()).toBeLessThan(Date.parse(run?.startedAt ?? ''));
  pipeline.pass();
  await land();
  expect(await valuesOf(4, 'last_name')).toEqual(['Behind']);
});

test.each([
  ['the text NULL', 'NULL', 'NULL'],
  ['the text null', 'null', 'null'],
  ['the text N/A', 'N/A', 'N/A'],
  ['the text None', 'None', 'None'],
  ['the text \\N', String.raw`\N`, String.raw`\N`],
  ['one blank', ' ', ' '],
  ['no value', null, null],
])('%s is what it was', async (_, value, landed) => {
  pipeline.pass(1_200_000);
  await land();
  for (const [api, rows] of [
    ['rest', 3],
    ['bulk', 300],
  ] as const) {
    for (let row = 10; row < 10 + rows; row += 1)
      pipeline.sandbox.data.setRaw('Contact', row, 'Department', value);
    // Beyond the look-back, so that only these rows are read.
    pipeline.pass(1_200_000);
    const end = await land();
    expect([api, lineOf(end).rows]).toEqual([api, rows]);
    expect(await valuesOf(12, 'department')).toEqual([landed]);
  }
});

test('soft deletes: marked with their values, alive again when restored, and not missed when erased', async () => {
  const { data } = pipeline.sandbox;
  const before = await valuesOf(20, 'last_name, email');
  data.delete('Contact', 20);
  data.delete('Contact', 21);
  data.purge('Contact', 21);
  pipeline.pass();
  const end = await land();
  expect(lineOf(end).deleted).toBe(2);
  expect(await valuesOf(20, '_deleted, last_name, email')).toEqual([true, ...before]);
  expect(await valuesOf(21, '_deleted')).toEqual([true]);
  data.undelete('Contact', 20);
  pipeline.pass();
  await land();
  expect(await valuesOf(20, '_deleted, last_name, email')).toEqual([false, ...before]);
});

test('nothing is green over an empty window while the source names changes', async () => {
  const { data, faults } = pipeline.sandbox;
  data.touchMany('Contact', 0.05);
  pipeline.pass(1_200_000);
  faults.add({ match: { path: '/query' }, action: { emptyOk: true } });
  const end = await pipeline.sync();
  expect([end.outcome, end.run?.outcome]).toEqual(['RECEIPT_SOURCE', 'failed']);
  faults.clear();
  await land();
});
