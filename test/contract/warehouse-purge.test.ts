import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { duckdb } from '../../warehouses/duckdb/index.ts';
import type { PurgeRequest } from '../../warehouses/warehouse.ts';
import { windowOf } from './warehouse-fixture.ts';
import { row, signal, T, useWarehouse } from './warehouse-harness.ts';

const folders: string[] = [];
const h = useWarehouse({
  open: (folder) => {
    folders.push(folder);
    const config = duckdb.config.parse({ kind: 'duckdb', path: join(folder, 'warehouse.duckdb') });
    const tempDirectory = join(folder, 'spill');
    const limits = { tempDirectory, memoryMbMax: 400, threads: 2 };
    return duckdb.connect(config, { now: Date.now, log: () => undefined, ...limits });
  },
});

const CANARY = 'Zanarycorvinho';

const about = (more: Partial<PurgeRequest> = {}): PurgeRequest => ({
  records: [{ connection: 'crm', object: 'Contact', table: 'contact', key: 'id', records: ['1', 'x9'] }],
  // A whole word only: what merely holds it is somebody else's.
  texts: [CANARY, 'others1'],
  own: [],
  ...more,
});

function bytes(): string {
  const folder = folders.at(-1) ?? '';
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'latin1'))
    .join('\n');
}

test('what the count says goes, and only that; the file keeps no byte of it and works on', async () => {
  const rows = Array.from({ length: 50 }, (_, at) => row(String(at + 1), 1, at === 0 ? CANARY : `n${at}`));
  await h.load({ csv: rows }, { window: windowOf('w1'), id: 'b_1' });
  const dry = await h.warehouse.purge(about(), { dryRun: true });
  expect(dry).toEqual([{ table: 'crm.contact', rows: 1 }]);
  expect(await h.contacts()).toHaveLength(50);
  expect(await h.warehouse.purge(about(), { dryRun: false })).toEqual(dry);
  expect(await h.warehouse.purge(about(), { dryRun: false })).toEqual([]);
  expect((await h.contacts()).map(([id]) => Number(id)).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 49 }, (_, at) => at + 2),
  );
  const reads = Promise.all(Array.from({ length: 5 }, () => h.contacts()));
  expect(await h.warehouse.scrub()).toEqual([]);
  expect((await reads).map((found) => found.length)).toEqual([49, 49, 49, 49, 49]);
  expect(bytes()).not.toContain(CANARY);
  expect(bytes()).toContain('n48');
  const late = await h.make({ csv: [row('60', 2, 'later')] }, { window: windowOf('w2'), id: 'b_2' });
  expect((await h.warehouse.load(late, signal)).inserted).toBe(1);
  expect(await h.contacts()).toHaveLength(50);
});

test('a table that is not there has no rows, and blank empties values but keeps the row', async () => {
  const nowhere = about({
    records: [{ connection: 'crm', object: 'Lead', table: 'lead', key: 'id', records: ['1'] }],
    own: [{ table: 'contact', where: { _profile: ['p_1'] } }],
  });
  expect(await h.warehouse.purge(nowhere, { dryRun: false })).toEqual([]);
});

test('a line that was set aside without a record is found by what it holds, in any case of letters', async () => {
  const nameless = (text: string) => [null, T(1), 'false', text];
  const csv = [nameless(`about ${CANARY.toUpperCase()}`), nameless('about others12'), row('2', 1, 'b')];
  await h.load({ csv }, { window: windowOf('w1'), id: 'b_1' });
  expect(await h.select('SELECT count(*) FROM _headwater.quarantine WHERE record IS NULL')).toEqual([['2']]);
  const dry = await h.warehouse.purge(about(), { dryRun: true });
  expect(dry).toEqual([{ table: '_headwater.quarantine', rows: 1 }]);
  await h.warehouse.purge(about(), { dryRun: false });
  const [left] = await h.select('SELECT raw FROM _headwater.quarantine');
  expect(String(left)).toContain('about others12');
});

test('old rows come oldest first, some passed over', async () => {
  await h.load(
    { csv: [row('1', 3, 'c'), row('2', 1, 'a'), row('3', 2, 'b'), row('4', 30, 'new')] },
    { window: windowOf('w1'), id: 'b_1' },
  );
  const table = { connection: 'crm', table: 'contact', key: 'id', before: T(10), limit: 2 };
  expect(await h.warehouse.olderThan({ ...table, offset: 0 })).toEqual(['2', '3']);
  expect(await h.warehouse.olderThan({ ...table, offset: 2 })).toEqual(['1']);
  expect(await h.warehouse.olderThan({ ...table, table: 'none', offset: 0 })).toEqual([]);
});
