import { afterEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { HeadwaterError } from '../../../../rules/errors.ts';
import {
  countLive,
  searchHits,
  type Hit,
  type Keyset,
  type StampRange,
} from '../../../../sources/hubspot/search.ts';
import { fakeAccount, FAST, searchIndex, type FakeAccount, type Indexed } from './fake-account.ts';

const open: FakeAccount[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const STAMP = 'hs_lastmodifieddate';
const START = Date.parse('2026-11-21T08:00:00.000Z');

async function indexed(rows: () => readonly Indexed[], searchRows = 200): Promise<FakeAccount> {
  const account = await fakeAccount(searchIndex(STAMP, rows), { thresholds: { ...FAST, searchRows } });
  open.push(account);
  return account;
}

async function all(
  { client }: FakeAccount,
  range: StampRange,
  start?: Keyset,
  onPage?: (next: Keyset) => void,
): Promise<Hit[]> {
  const hits: Hit[] = [];
  for await (const page of searchHits(client, 'deals', range, start, undefined)) {
    hits.push(...page.hits);
    onPage?.(page.next);
  }
  return hits;
}

const rowsAt = (count: number, stampOf: (n: number) => number): Indexed[] =>
  Array.from({ length: count }, (_, n) => ({ id: String(1000 + n), stampMs: stampOf(n) }));
const ids = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id).toSorted();

test('a window of more than 10,000 results is read whole, each record once', async () => {
  const rows = rowsAt(10_450, (n) => START + Math.floor(n / 3));
  const account = await indexed(() => rows);
  const range = { from: START, until: START + 3_600_000 };
  expect(ids(await all(account, range))).toEqual(ids(rows));
  expect(await countLive(account.client, 'deals', range)).toBe(10_450);
});

test('a millisecond of more than 10,000 records is drained by id', async () => {
  const rows = rowsAt(10_200, (n) => (n < 100 ? START + n : START + 500));
  const account = await indexed(() => [...rows, { id: '9', stampMs: START + 501 }]);
  const hits = await all(account, { from: START, until: START + 1000 });
  expect(ids(hits)).toEqual(ids([...rows, { id: '9' }]));
  expect(account.server.calls.length).toBeLessThan(60);
});

test('records that leave the window while it is read take no other with them', async () => {
  let rows = rowsAt(900, (n) => START + n);
  let page = 0;
  const account = await indexed(() => rows);
  const hits = await all(account, { from: START, until: START + 10_000 }, undefined, () => {
    page++;
    // By position these would shift the next page, and as many unseen records would be skipped.
    rows = rows.map((row, n) =>
      n >= page * 10 - 10 && n < page * 10 ? { ...row, stampMs: START + 99_999 } : row,
    );
  });
  const stay = rows.filter((row) => row.stampMs < START + 10_000);
  expect(ids(hits)).toEqual(expect.arrayContaining(ids(stay)));
});

test('any stamps, any page: everything inside once, nothing outside, from any point on', async () => {
  let rows: Indexed[] = [];
  const account = await indexed(() => rows, 5);
  const range = { from: START, until: START + 12 };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: -3, max: 15 }), { maxLength: 60 }), async (offsets) => {
      rows = offsets.map((offset, n) => ({ id: String(n + 1), stampMs: START + offset }));
      const inside = rows.filter(({ stampMs }) => stampMs >= range.from && stampMs < range.until);
      const states: { next: Keyset; seen: number }[] = [];
      let seen = 0;
      const hits: Hit[] = [];
      for await (const page of searchHits(account.client, 'deals', range, undefined, undefined)) {
        hits.push(...page.hits);
        seen += page.hits.length;
        states.push({ next: page.next, seen });
      }
      expect(hits.map(({ id }) => id).toSorted()).toEqual(ids(inside));
      expect(hits.map(({ stampMs }) => stampMs)).toEqual(
        inside.map(({ stampMs }) => stampMs).toSorted((a, b) => a - b),
      );
      for (const state of states) {
        const rest = await all(account, range, state.next);
        expect(ids([...hits.slice(0, state.seen), ...rest])).toEqual(ids(inside));
      }
    }),
    { numRuns: 40 },
  );
});

test('rows outside the window are discarded, whatever the index says', async () => {
  const account = await fakeAccount(() => ({
    body: {
      total: 3,
      results: [-1, 5, 20].map((offset, n) => ({
        id: String(n),
        properties: { [STAMP]: new Date(START + offset).toISOString() },
      })),
    },
  }));
  open.push(account);
  expect(await all(account, { from: START, until: START + 10 })).toEqual([{ id: '1', stampMs: START + 5 }]);
});

test.each([
  ['rows that are not in order', [5, 3], 2, 'is not ordered by hs_lastmodifieddate'],
  ['announced rows that do not come', [], 4, 'announces rows that it does not send'],
])('%s end the read', async (_name, offsets: number[], total, message) => {
  const account = await fakeAccount(() => ({
    body: {
      total,
      results: offsets.map((offset, n) => ({
        id: String(n),
        properties: { [STAMP]: new Date(START + offset).toISOString() },
      })),
    },
  }));
  open.push(account);
  const error = await all(account, { from: START, until: START + 10 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HeadwaterError);
  expect(error).toMatchObject({ code: 'SOURCE_PROTOCOL', message: expect.stringContaining(message) });
});

test.each([
  ['contacts', 'lastmodifieddate'],
  ['deals', 'hs_lastmodifieddate'],
  ['p123_car', 'hs_lastmodifieddate'],
])('%s are searched by %s', async (object, property) => {
  const account = await fakeAccount(() => ({ body: { total: 7, results: [] } }));
  open.push(account);
  expect(await countLive(account.client, object, { from: START, until: START + 5 })).toBe(7);
  const body = JSON.parse(account.server.calls[0]?.body ?? '');
  expect(body.filterGroups[0].filters).toEqual([
    { propertyName: property, operator: 'GTE', value: String(START) },
    { propertyName: property, operator: 'LT', value: String(START + 5) },
  ]);
  expect(account.server.calls[0]?.path).toBe(`/crm/objects/2026-03/${object}/search`);
});
