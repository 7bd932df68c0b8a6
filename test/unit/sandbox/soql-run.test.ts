import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { OffsetClock } from '../../../sandbox/clock.ts';
import { CsvCache } from '../../../sandbox/salesforce/csv-cache.ts';
import { SandboxData } from '../../../sandbox/salesforce/data.ts';
import { headerOf, tablesOf } from '../../../sandbox/salesforce/options.ts';
import { parseQuery } from '../../../sandbox/salesforce/soql-parser.ts';
import { bindQuery, countQuery, runQuery } from '../../../sandbox/salesforce/soql-run.ts';
import { Store } from '../../../sandbox/salesforce/store.ts';
import { indexOfEntry, type Table } from '../../../sandbox/salesforce/table.ts';

const NOW = Date.UTC(2026, 5, 1);
const ROWS = 600;
let store: Store;
let table: Table;
let data: SandboxData;

beforeAll(() => {
  const header = headerOf({ objects: { Contact: ROWS, Account: 5 }, seed: 3, stampTies: 4 }, NOW);
  const clock = new OffsetClock(() => NOW);
  store = new Store(clock, tablesOf(header), undefined, header, undefined);
  table = store.table('Contact');
  data = new SandboxData(store, new CsvCache());
  for (let n = 0; n < ROWS; n += 7)
    data.update('Contact', n, { Title: `new ${n}` }, { at: NOW - n * 60_000 });
  for (let n = 3; n < ROWS; n += 50) data.delete('Contact', n, { at: NOW - n * 1000 });
  for (let n = 0; n < 20; n++)
    data.create('Contact', { LastName: `Made ${n}` }, { at: NOW - 86_400_000 * n });
  data.create('Contact', { LastName: 'Later' }, { at: NOW, visibleAt: NOW + 1000 });
});
afterAll(() => store.close());

const run = (text: string, all = false): string[] => {
  const query = parseQuery(text);
  const bound = bindQuery(query, store.find(query.from.text), all);
  return runQuery(bound, NOW).map((entry) => table.idOf(indexOfEntry(entry)));
};
const count = (text: string): number => {
  const query = parseQuery(text);
  return countQuery(bindQuery(query, store.find(query.from.text), false), NOW);
};

interface Seen {
  id: string;
  stamp: number;
  deleted: boolean;
  value: (name: string) => string | null;
}

async function truth(): Promise<Seen[]> {
  const rows: Seen[] = [];
  for await (const row of data.truth('Contact')) {
    rows.push({
      id: row.Id,
      stamp: row.stampMs,
      deleted: row.IsDeleted,
      value: (name) => row.values[name] ?? null,
    });
  }
  return rows;
}

test('any window, in any order, holds exactly the rows that a full scan finds', async () => {
  const rows = await truth();
  // Bounds that fall on a row's own stamp are where windows go wrong.
  const onStamp = fc.nat(rows.length - 1).map((at) => rows[at]!.stamp);
  const instant = fc.oneof(onStamp, fc.integer({ min: NOW - 735 * 86_400_000, max: NOW + 5000 }));
  await fc.assert(
    fc.asyncProperty(instant, instant, fc.boolean(), fc.nat(30), async (a, b, all, skip) => {
      const [from, until] = [Math.min(a, b), Math.max(a, b)];
      const where = `SystemModstamp >= ${new Date(from).toISOString()} AND SystemModstamp < ${new Date(until).toISOString()}`;
      const kept = rows.filter((row) => row.stamp >= from && row.stamp < until && (all || !row.deleted));
      const byStamp = kept
        .toSorted((x, y) => x.stamp - y.stamp || (x.id < y.id ? -1 : 1))
        .map((row) => row.id);
      const select = 'SELECT Id FROM Contact WHERE';
      expect(run(`${select} ${where} ORDER BY SystemModstamp, Id`, all)).toEqual(byStamp);
      expect(run(`${select} ${where} ORDER BY SystemModstamp DESC, Id DESC`, all)).toEqual(
        byStamp.toReversed(),
      );
      expect(run(`${select} ${where}`, all)).toEqual(byStamp.toSorted());
      expect(run(`${select} ${where} ORDER BY SystemModstamp LIMIT 10 OFFSET ${skip}`, all)).toEqual(
        byStamp.slice(skip, skip + 10),
      );
      if (!all) expect(count(`SELECT COUNT() FROM Contact WHERE ${where}`)).toBe(kept.length);
    }),
    { numRuns: 60 },
  );
});

test('an Id keyset walks every row once', async () => {
  const wanted = (await truth()).filter((row) => !row.deleted).map((row) => row.id);
  const walked: string[] = [];
  for (let last = ''; ;) {
    const page = run(
      `SELECT Id FROM Contact WHERE Id > '${last === '' ? '000000000000000' : last}' ORDER BY Id LIMIT 97`,
    );
    walked.push(...page);
    last = page.at(-1) ?? '';
    if (page.length < 97) break;
  }
  expect(walked).toEqual(wanted);
});

test.each([
  ['Email = null', (row: Seen) => row.value('Email') === null],
  ['Email != null', (row: Seen) => row.value('Email') !== null],
  ["LeadSource != 'Web'", (row: Seen) => row.value('LeadSource') !== 'Web'],
  ["LastName = 'O\\'BRIEN'", (row: Seen) => row.value('LastName') === "O'Brien"],
  ["Title LIKE 'NEW %'", (row: Seen) => (row.value('Title') ?? '').toLowerCase().startsWith('new ')],
  ['DoNotCall = true', (row: Seen) => row.value('DoNotCall') === 'true'],
  [
    'Score__c > 50000.5',
    (row: Seen) => row.value('Score__c') !== null && Number(row.value('Score__c')) > 50000.5,
  ],
  ['NOT (Score__c > 50000.5)', (row: Seen) => !(Number(row.value('Score__c') ?? '0') > 50000.5)],
  ['Birthdate < 1980-01-01', (row: Seen) => (row.value('Birthdate') ?? '9') < '1980-01-01'],
  ["LeadSource IN ('Web','Other')", (row: Seen) => ['Web', 'Other'].includes(row.value('LeadSource') ?? '')],
  [
    "LeadSource NOT IN ('Web','Other')",
    (row: Seen) => !['Web', 'Other'].includes(row.value('LeadSource') ?? ''),
  ],
  [
    "Interests__c INCLUDES ('Chess')",
    (row: Seen) => (row.value('Interests__c') ?? '').split(';').includes('Chess'),
  ],
  ['Title = null OR Email = null', (row: Seen) => row.value('Title') === null || row.value('Email') === null],
] as const)('WHERE %s', async (where, holds) => {
  const wanted = (await truth()).filter((row) => !row.deleted && holds(row)).map((row) => row.id);
  expect(wanted.length).toBeGreaterThan(0);
  expect(run(`SELECT Id FROM Contact WHERE ${where}`)).toEqual(wanted);
});

test.each([
  ['SELECT Foo FROM Contact', 'INVALID_FIELD', "No such column 'Foo' on entity 'Contact'"],
  ['SELECT Id FROM Nothing', 'INVALID_TYPE', "sObject type 'Nothing' is not supported"],
  ['SELECT Id FROM ContactChangeEvent', 'INVALID_TYPE', 'is not supported'],
  ["SELECT Id FROM Contact WHERE SystemModstamp > '2026-01-01'", 'INVALID_FIELD', 'must be of type dateTime'],
  ['SELECT Id FROM Contact WHERE LastName = 5', 'INVALID_FIELD', 'should be enclosed in quotes'],
  ["SELECT Id FROM Contact WHERE Description = 'x'", 'INVALID_FIELD', 'can not be filtered'],
  ['SELECT FIELDS(ALL) FROM Contact', 'MALFORMED_QUERY', 'LIMIT of at most 200'],
  ['SELECT Id FROM Contact OFFSET 2001', 'NUMBER_OUTSIDE_VALID_RANGE', 'Maximum SOQL offset'],
  ['SELECT Id FROM ContentDocumentLink', 'MALFORMED_QUERY', 'requires a filter by a single Id'],
])('%s gives %s', (text, code, message) => {
  expect(() => run(text)).toThrow(
    expect.objectContaining({ errorCode: code, message: expect.stringContaining(message) }),
  );
});
