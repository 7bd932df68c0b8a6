import { expect, test } from '@jest/globals';
import { ApiError } from '../../../sandbox/salesforce/api-error.ts';
import { parseQuery } from '../../../sandbox/salesforce/soql-parser.ts';

function refusal(text: string): string {
  try {
    parseQuery(text);
  } catch (error) {
    if (error instanceof ApiError) return `${error.errorCode} ${error.message.split('\n').at(-1)}`;
  }
  return 'accepted';
}

test('a whole query becomes a tree', () => {
  const query = parseQuery(
    "select Id, COUNT(Email) c FROM Contact WHERE (Name LIKE 'O\\'B%' OR Email = null) AND NOT Id IN ('a','b') GROUP BY Id ORDER BY SystemModstamp DESC NULLS LAST, Id LIMIT 5 OFFSET 2",
  );
  expect(query.selected.map((item) => item.kind)).toEqual(['field', 'aggregate']);
  expect(query.from.text).toBe('Contact');
  expect(query.where).toMatchObject({
    kind: 'and',
    parts: [{ kind: 'or' }, { kind: 'not', part: { kind: 'test', operator: 'IN' } }],
  });
  expect(query.orderBy).toMatchObject([
    { descending: true, nullsLast: true },
    { descending: false, nullsLast: false },
  ]);
  expect([query.limit, query.offset]).toEqual([5, 2]);
});

test.each([
  ['SELECT Id FRM Contact', "MALFORMED_QUERY unexpected token: 'FRM'"],
  ['SELECT Id FROM Contact WHERE', 'MALFORMED_QUERY unexpected token: <EOF>'],
  ['SELECT Id FROM Contact WHERE A = 1 AND B = 2 OR C = 3', "MALFORMED_QUERY unexpected token: 'OR'"],
  ["SELECT Id FROM Contact WHERE A = 'open", 'MALFORMED_QUERY mismatched character: missing closing quote'],
  ['SELECT Id FROM Contact; DROP', "MALFORMED_QUERY unexpected token: ';'"],
  ['SELECT Id FROM Contact LIMIT -1', "MALFORMED_QUERY unexpected token: '-1'"],
  ['SELECT Id FROM Contact WHERE (A = 1', 'MALFORMED_QUERY unexpected token: <EOF>'],
])('%s is refused', (text, reason) => {
  expect(refusal(text)).toBe(reason);
});

test('an error points at its row and column', () => {
  expect(() => parseQuery('SELECT Id\nFROM Contact WHERE ,')).toThrow('ERROR at Row:2:Column:20');
});

test('deep nesting ends in an error, not in a stack overflow', () => {
  const deep = `SELECT Id FROM Contact WHERE ${'('.repeat(5000)}A = 1${')'.repeat(5000)}`;
  expect(refusal(deep)).toMatch(/^MALFORMED_QUERY/);
});
