/** Rows by the Storage Write API, judged by Google's own client: whatever is lost on the way, each is in the table once. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import { bigqueryConfigSchema } from '../../warehouses/bigquery/config.ts';
import { openStorageWrite } from '../../warehouses/bigquery/storage-write.ts';
import type { StorageWrite, WireRow } from '../../warehouses/bigquery/storage-write.ts';
import { startFakeStorageWrite, type FakeStorageWrite, type Fault } from '../support/fake-storage-write.ts';

let fake: FakeStorageWrite;
let storage: StorageWrite;
beforeAll(async () => {
  fake = await startFakeStorageWrite();
  storage = openStorageWrite(
    bigqueryConfigSchema.parse({ kind: 'bigquery', project: 'fake-project', writeEndpoint: fake.endpoint }),
  );
});
afterAll(async () => {
  await storage.close();
  await fake.close();
});
beforeEach(() => {
  fake.calls.length = 0;
});
afterEach(() => {
  fake.tables.clear();
  fake.plan = [];
});

const row = (n: number): WireRow => ({ n: String(n), name: `row ${n}` });
const FIELDS = [
  { name: 'n', type: 'INT64' },
  { name: 'name', type: 'STRING' },
];
const PARTS = [[row(0), row(1), row(2)], [row(3), row(4)], [row(5)]];
const write = (signal?: AbortSignal): Promise<void> =>
  storage.write({ dataset: 'd', table: 't', fields: FIELDS, parts: PARTS, signal });

/** Numbers of the committed rows: of each message the name, which ends it. */
const landed = (): string[] =>
  [...fake.tables.values()].flat().map((bytes) => /row (\d+)$/.exec(bytes.toString('latin1'))?.[1] ?? '?');
const ALL = ['0', '1', '2', '3', '4', '5'];

test('each part is appended at its place, and all become visible together', async () => {
  await write();
  expect([landed(), [...fake.tables.keys()]]).toEqual([ALL, ['projects/fake-project/datasets/d/tables/t']]);
  expect(fake.calls).toEqual(['create', 'append', 'append', 'append', 'finalize', 'commit']);
});

const LOST_AND_LATE: readonly [string, Fault[], streams: number][] = [
  ['the answer to an append', [{ call: 'append', fault: 'lost' }], 1],
  ['an append on its way there', [{ call: 'append', fault: status.UNAVAILABLE }], 1],
  ['two appends in a row', [1, 2].map(() => ({ call: 'append', fault: 'lost' }) as const), 1],
  [
    'an append that comes too often',
    [{ call: 'append', fault: status.RESOURCE_EXHAUSTED, inAnswer: true }],
    1,
  ],
  ['the answer to the making of a stream', [{ call: 'create', fault: 'lost' }], 2],
  [
    'a table that is not known for a while',
    [1, 2, 3].map(() => ({ call: 'create', fault: status.NOT_FOUND }) as const),
    1,
  ],
  ['the answer to finalize', [{ call: 'finalize', fault: 'lost' }], 1],
  ['the answer to the commit', [{ call: 'commit', fault: 'lost' }], 1],
  ['the commit on its way there', [{ call: 'commit', fault: status.UNAVAILABLE }], 1],
  ['rows that it had taken (OUT_OF_RANGE)', [{ call: 'append', fault: 'forgotten' }], 2],
  ['the stream', [{ call: 'append', fault: status.NOT_FOUND }], 2],
  ['the stream, told in an answer', [{ call: 'append', fault: status.NOT_FOUND, inAnswer: true }], 2],
  ['a stream that somebody closed', [{ call: 'append', fault: status.FAILED_PRECONDITION }], 2],
];
for (const [what, plan, streams] of LOST_AND_LATE)
  test(`I2: the service loses ${what}: each row lands once`, async () => {
    fake.plan = [...plan];
    await write();
    expect([landed(), fake.plan]).toEqual([ALL, []]);
    const made = fake.calls.filter((call) => call === 'create').length;
    const tried = plan.filter(({ call, fault }) => call === 'create' && typeof fault === 'number').length;
    expect(made - tried).toBe(streams);
  });

test('I7: rows that are missing at the end are found by the count, and nothing of them is ever seen', async () => {
  // Of the last part nobody else would notice.
  fake.plan = [{ call: 'append', fault: 'forgotten' }];
  await storage.write({ dataset: 'd', table: 't', fields: FIELDS, parts: [[row(7)]] });
  expect(landed()).toEqual(['7']);
  expect(fake.calls.filter((call) => call === 'commit')).toHaveLength(1);
});

test('what is refused is told at once, and leaves nothing', async () => {
  for (const [call, code] of [
    ['create', status.PERMISSION_DENIED],
    ['append', status.INVALID_ARGUMENT],
    ['commit', status.PERMISSION_DENIED],
  ] as const) {
    fake.plan = [{ call, fault: code }];
    await expect(write()).rejects.toMatchObject({ code });
  }
  expect(landed()).toEqual([]);
});

test('a service that stays away is not asked for ever', async () => {
  fake.plan = Array.from({ length: 3 }, () => ({ call: 'append', fault: status.UNAVAILABLE }) as const);
  await expect(write()).rejects.toMatchObject({ code: status.UNAVAILABLE });
  expect([landed(), fake.calls.filter((call) => call === 'append')]).toEqual([
    [],
    ['append', 'append', 'append'],
  ]);
});

test('an abort ends it, and nothing lands', async () => {
  fake.plan = Array.from({ length: 3 }, () => ({ call: 'append', fault: status.UNAVAILABLE }) as const);
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('stop')), 100);
  await expect(write(controller.signal)).rejects.toThrow();
  expect([landed(), fake.calls.includes('commit')]).toEqual([[], false]);
});
