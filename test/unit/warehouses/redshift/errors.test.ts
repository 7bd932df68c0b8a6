import { expect, test } from '@jest/globals';
import { isRefusedBucket, wordsOf, wrapped } from '../../../../warehouses/redshift/errors.ts';

const told = (message: string, code = 'XX000', detail?: string): Error =>
  Object.assign(new Error(message), { code, ...(detail === undefined ? {} : { detail }) });

test.each([
  ['1023', 'Serializable isolation violation on table - 1256109, transactions forming the cycle are: 1, 2'],
  ['1018', 'Relation does not exist'],
])('error %s is another transaction that was first: tried again', (number, detail) => {
  const error = wrapped('loading batch b', told(number, 'XX000', `${number} DETAIL: ${detail}`));
  expect([error.code, error.message]).toEqual([
    'WAREHOUSE_UNAVAILABLE',
    'loading batch b: another transaction was first (1023)',
  ]);
});

test.each([
  ['57014', "Query (12) cancelled on user's request", 'WAREHOUSE_UNAVAILABLE'],
  ['57P01', 'terminating connection due to administrator command', 'WAREHOUSE_UNAVAILABLE'],
  ['XX000', 'Disk Full', 'WAREHOUSE_UNAVAILABLE'],
  [
    'XX000',
    'S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown,Rid 1',
    'WAREHOUSE_UNAVAILABLE',
  ],
  ['XX000', 'S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid 1', 'WAREHOUSE_REJECTED'],
  ['42501', 'permission denied for schema crm', 'WAREHOUSE_REJECTED'],
  ['28P01', 'password authentication failed for user "headwater"', 'WAREHOUSE_REJECTED'],
  ['42703', 'column "x" does not exist', 'WAREHOUSE_REJECTED'],
  ['22001', 'value too long', 'WAREHOUSE_REJECTED'],
])('%s %s is %s', (code, message, expected) => {
  expect(wrapped('loading', told(message, code)).code).toBe(expected);
});

test('what only an operator can mend says how', () => {
  for (const [code, message] of [
    ['42501', 'permission denied'],
    ['XX000', 'User arn:aws:redshift:x is not authorized to assume IAM Role arn:aws:iam::1:role/r'],
  ] as const)
    expect(wrapped('loading', told(message, code)).remedy).toMatch(/headwater check/);
  expect(isRefusedBucket(told('Access Denied', '42501'))).toBe(false);
});

test("I5: Redshift's own errors and those about values are told without their words", () => {
  for (const error of [
    told('Spectrum Scan Error: value Jane Canary of column name does not fit'),
    told('Load failed for Jane Canary'),
    told('invalid input syntax for integer: "Jane Canary"', '22P02'),
    told('Jane Canary', 'XX000', 'Jane Canary'),
  ])
    expect([wordsOf(error), wrapped('loading', error).message].join(' ')).not.toContain('Jane');
});
