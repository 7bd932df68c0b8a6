import { expect, test } from '@jest/globals';
import { requestError, statementError } from '../../../../warehouses/redshift/data-errors.ts';
import { wrapped } from '../../../../warehouses/redshift/errors.ts';

const told = (words: string, isOpening = false): [string, string] => {
  const { code, message } = wrapped('loading', statementError(words, isOpening));
  return [code, message];
};

test.each([
  [
    'ERROR: 1023\n  Detail: Serializable isolation violation on table - 1, transactions forming the cycle are: 1, 2 [ErrorId: 1-x]',
    'WAREHOUSE_UNAVAILABLE',
    'loading: another transaction was first (1023)',
  ],
  [
    "ERROR: Query (12) cancelled on user's request [ErrorId: 1-x]",
    'WAREHOUSE_UNAVAILABLE',
    "loading: Query (12) cancelled on user's request (57014)",
  ],
  ['ERROR: Disk Full', 'WAREHOUSE_UNAVAILABLE', 'loading: the disk or memory of Redshift is full'],
  [
    'ERROR: S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid 1',
    'WAREHOUSE_REJECTED',
    'loading: COPY cannot read the bucket: Access Denied, 403, AccessDenied',
  ],
  [
    'ERROR: permission denied for schema crm',
    'WAREHOUSE_REJECTED',
    'loading: permission denied for schema crm (42501)',
  ],
  [
    'ERROR: column "x" does not exist in contact',
    'WAREHOUSE_REJECTED',
    'loading: column "x" does not exist in contact (42703)',
  ],
])('%s', (words, code, message) => {
  expect(told(words)).toEqual([code, message]);
});

test('of a session that cannot be opened the words are told, for they are of names and logins', () => {
  expect(told('FATAL: database "none" does not exist', true)).toEqual([
    'WAREHOUSE_REJECTED',
    'loading: database "none" does not exist (3D000)',
  ]);
});

test('I5: words that nothing fits may quote a value, and so may those of a request', () => {
  const words = [
    'ERROR: Load failed for Jane Canary',
    'ERROR: invalid input syntax for integer: "Jane Canary"',
  ];
  for (const one of words) expect(told(one).join()).not.toMatch(/Jane/);
  const refused = Object.assign(new Error("Value 'SELECT Jane Canary' at 'sql' failed"), {
    ...{ name: 'ValidationException', $metadata: { httpStatusCode: 400 } },
  });
  expect(wrapped('loading', requestError(refused)).message).not.toMatch(/Jane/);
});

test.each([
  ['ExpiredTokenException', '', 'WAREHOUSE_REJECTED'],
  ['CredentialsProviderError', '', 'WAREHOUSE_REJECTED'],
  ['ValidationException', 'Session is not available', 'WAREHOUSE_UNAVAILABLE'],
  ['ActiveSessionsExceededException', '', 'WAREHOUSE_UNAVAILABLE'],
  ['TimeoutError', '', 'WAREHOUSE_UNAVAILABLE'],
])('%s is %s%s', (name, message, code) => {
  expect(wrapped('loading', requestError(Object.assign(new Error(message), { name }))).code).toBe(code);
});
