import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ORIGIN } from '../../../../schemas/instant.ts';
import {
  afterRecord,
  inRange,
  keysetOrder,
  quote,
  soql,
  type Condition,
  type SoqlQuery,
} from '../../../../sources/salesforce/soql.ts';

const contact = {
  object: 'Contact',
  key: 'Id',
  stamp: 'SystemModstamp',
  fields: ['Id', 'LastName', 'External_Id__c', 'SystemModstamp'].map((name) => ({ name })),
};
const color = { object: 'ColorDefinition', key: 'Id', stamp: null, fields: [{ name: 'Id' }] };
const FROM = '2026-11-21T08:00:00.000Z';
const UNTIL = '2026-11-21T09:00:00.000Z';

test.each<[SoqlQuery, string]>([
  [{ select: ['Id', 'LastName'] }, 'SELECT Id,LastName FROM Contact'],
  [{ select: 'count' }, 'SELECT COUNT() FROM Contact'],
  [{ select: ['Id'], limit: 1.9 }, 'SELECT Id FROM Contact LIMIT 1'],
  [
    { select: ['Id'], orderBy: ['SystemModstamp', 'Id'] },
    'SELECT Id FROM Contact ORDER BY SystemModstamp,Id',
  ],
  [
    { select: ['Id'], orderBy: ['Id'], descending: true, limit: 1 },
    'SELECT Id FROM Contact ORDER BY Id DESC LIMIT 1',
  ],
  [
    { select: ['Id'], where: [{ field: 'LastName', op: '=', value: { text: "O'Neil \\ \n" } }] },
    String.raw`SELECT Id FROM Contact WHERE LastName = 'O\'Neil \\ \n'`,
  ],
  [
    { select: ['Id'], where: [{ field: 'Id', oneOf: ['003A', "x') OR (Id != '"] }] },
    String.raw`SELECT Id FROM Contact WHERE Id IN ('003A','x\') OR (Id != \'')`,
  ],
  [
    {
      select: 'count',
      where: inRange(contact, { readFrom: FROM, until: UNTIL, idFrom: null, idUntil: null }),
    },
    `SELECT COUNT() FROM Contact WHERE SystemModstamp >= ${FROM} AND SystemModstamp < ${UNTIL}`,
  ],
  [
    {
      select: ['Id'],
      where: inRange(contact, { readFrom: ORIGIN, until: UNTIL, idFrom: '003A', idUntil: '003B' }),
    },
    `SELECT Id FROM Contact WHERE SystemModstamp < ${UNTIL} AND Id >= '003A' AND Id < '003B'`,
  ],
  [
    { select: ['Id'], where: [afterRecord(contact, { stamp: FROM, id: '003A' })] },
    `SELECT Id FROM Contact WHERE (SystemModstamp > ${FROM} OR (SystemModstamp = ${FROM} AND Id > '003A'))`,
  ],
])('%j', (query, expected) => {
  expect(soql(contact, query)).toBe(expected);
});

test('an object without a stamp is read whole, in the order of its ids', () => {
  const range = { readFrom: FROM, until: UNTIL, idFrom: null, idUntil: null };
  expect(soql(color, { select: ['Id'], where: inRange(color, range), orderBy: keysetOrder(color) })).toBe(
    'SELECT Id FROM ColorDefinition ORDER BY Id',
  );
  expect(soql(color, { select: ['Id'], where: [afterRecord(color, { stamp: null, id: '0cd' })] })).toBe(
    "SELECT Id FROM ColorDefinition WHERE Id > '0cd'",
  );
});

const BAD = [
  'Nope',
  'Id; DROP',
  'Id FROM User--',
  '',
  '"; drop--',
  'x'.repeat(200),
  '😀',
  'Account.Name',
  'lastname',
];
test.each(BAD)('%j is never an identifier', (name) => {
  const where: Condition[] = [{ field: name, op: '=', value: { text: 'x' } }];
  expect(() => soql(contact, { select: [name] })).toThrow('not a name of this object');
  expect(() => soql(contact, { select: ['Id'], where })).toThrow('not a name of this object');
  expect(() => soql(contact, { select: ['Id'], orderBy: [name] })).toThrow('not a name of this object');
});

test.each(['Contact WHERE Id', 'x'.repeat(81), '_x'])('%j is never an object', (object) => {
  expect(() => soql({ ...contact, object }, { select: ['Id'] })).toThrow('not a name of this object');
  // Not even if describe itself brought such a name.
  expect(() => soql({ ...contact, fields: [{ name: object }] }, { select: [object] })).toThrow('not a name');
});

test.each(['2026-11-21', "2026-11-21T08:00:00.000Z' OR Id != '", 'TODAY', ''])('%j is no time', (instant) => {
  const where: Condition[] = [{ field: 'SystemModstamp', op: '<', value: { instant } }];
  expect(() => soql(contact, { select: ['Id'], where })).toThrow('not a UTC time');
});

test('IN without values is refused: Salesforce would call it a syntax error', () => {
  expect(() => soql(contact, { select: ['Id'], where: [{ field: 'Id', oneOf: [] }] })).toThrow(
    'at least one',
  );
});

test('no text leaves its quotes', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("'", '\\', '\n', '\t', 'a', '"') }), (text) => {
      const literal = quote(text);
      expect(literal.slice(1, -1)).toMatch(/^(?:[^'\\\n\r]|\\['\\nrtbf])*$/);
    }),
  );
});
