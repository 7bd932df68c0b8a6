import { expect, test } from '@jest/globals';
import type { DescribeSObjectResult } from 'jsforce';
import { whyNot } from '../../../../sources/salesforce/catalog.ts';
import { salesforceConfigSchema } from '../../../../sources/salesforce/config.ts';
import { toObjectSchema } from '../../../../sources/salesforce/describe.ts';
import { idleCallsPerDay, parseLimitInfo, quotaOf } from '../../../../sources/salesforce/limits.ts';
import { fieldType } from '../../../../sources/salesforce/types.ts';

type SourceField = DescribeSObjectResult['fields'][number];

function described(
  ...fields: (Partial<SourceField> & { name: string })[]
): Pick<DescribeSObjectResult, 'name' | 'fields'> {
  const full = fields.map((field) => ({
    type: 'string',
    precision: 0,
    scale: 0,
    nillable: true,
    calculated: false,
    custom: field.name.endsWith('__c'),
    ...field,
  }));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- describe has fifty more properties that nothing reads.
  return { name: 'Thing__c', fields: full as SourceField[] };
}

test.each([
  ['id', 0, 0, { kind: 'string' }],
  ['reference', 0, 0, { kind: 'string' }],
  ['multipicklist', 0, 0, { kind: 'string' }],
  ['encryptedstring', 0, 0, { kind: 'string' }],
  ['anyType', 0, 0, { kind: 'string' }],
  ['a type of the future', 0, 0, { kind: 'string' }],
  ['boolean', 0, 0, { kind: 'boolean' }],
  ['int', 0, 0, { kind: 'integer' }],
  ['long', 0, 0, { kind: 'integer' }],
  ['double', 18, 15, { kind: 'decimal', precision: 18, scale: 15 }],
  ['currency', 18, 2, { kind: 'decimal', precision: 18, scale: 2 }],
  ['percent', 5, 0, { kind: 'decimal', precision: 5, scale: 0 }],
  ['double', 0, 0, { kind: 'double' }],
  ['double', 39, 2, { kind: 'double' }],
  ['double', 3, 4, { kind: 'double' }],
  ['date', 0, 0, { kind: 'date' }],
  ['datetime', 0, 0, { kind: 'timestamp' }],
  ['time', 0, 0, { kind: 'time' }],
  ['complexvalue', 0, 0, { kind: 'json' }],
])('%s(%d, %d) becomes %j', (type, precision, scale, expected) => {
  expect(fieldType({ type, precision, scale })).toEqual(expected);
});

test('coordinates are doubles: their digits do not keep to the described scale', () => {
  for (const name of ['MailingLatitude', 'MailingLongitude', 'Place__Latitude__s']) {
    expect(fieldType({ name, type: 'double', precision: 18, scale: 15 })).toEqual({ kind: 'double' });
  }
});

const ID = { name: 'Id', type: 'id' } as const;
test.each([
  [['SystemModstamp', 'LastModifiedDate', 'CreatedDate'], 'SystemModstamp'],
  [['CreatedDate', 'LastModifiedDate'], 'LastModifiedDate'],
  [['CreatedDate'], 'CreatedDate'],
  [['LoginTime'], 'LoginTime'],
  [['Name'], null],
])('of %j the stamp is %j', (names, stamp) => {
  const schema = toObjectSchema(described(ID, ...names.map((name) => ({ name }))), 'thing__c', {});
  expect(schema.stamp).toBe(stamp);
});

test('compounds and files are left out; key, stamp and deleted flag are not', () => {
  const object = described(
    ID,
    { name: 'MailingAddress', type: 'address' },
    { name: 'Place__c', type: 'location' },
    { name: 'Body', type: 'base64' },
    { name: 'Name' },
    { name: 'Secret__c' },
    { name: 'IsDeleted', type: 'boolean' },
    { name: 'SystemModstamp', type: 'datetime' },
  );
  const names = (choice: Parameters<typeof toObjectSchema>[2]): string[] =>
    toObjectSchema(object, 'thing__c', choice).fields.map((field) => field.name);
  expect(names({})).toEqual(['Id', 'Name', 'Secret__c', 'IsDeleted', 'SystemModstamp']);
  expect(names({ exclude: ['Secret__c', 'Id', 'IsDeleted'] })).toEqual([
    'Id',
    'Name',
    'IsDeleted',
    'SystemModstamp',
  ]);
  expect(names({ include: ['Name'] })).toEqual(['Id', 'Name', 'IsDeleted', 'SystemModstamp']);
});

test('leaving a field out changes the hash but renames no other column', () => {
  const object = described(ID, { name: 'FooBar__c' }, { name: 'Foo_Bar__c' });
  const all = toObjectSchema(object, 'thing__c', {});
  const fewer = toObjectSchema(object, 'thing__c', { exclude: ['Foo_Bar__c'] });
  const column = (schema: typeof all): string | undefined =>
    schema.fields.find((field) => field.name === 'FooBar__c')?.column;
  expect(column(fewer)).toBe(column(all));
  expect(fewer.hash).not.toBe(all.hash);
  expect(toObjectSchema(object, 'thing__c', {}).hash).toBe(all.hash);
});

test('an object without Id cannot be synced', () => {
  expect(() => toObjectSchema(described({ name: 'Name' }), 'thing__c', {})).toThrow('has no Id field');
});

const NAMES = new Set(['Contact', 'LoginHistory', 'ContactHistory', 'Invoice__c', 'Subscription__c']);
test.each([
  ['Contact', true, undefined],
  ['Invoice__c', true, undefined],
  ['LoginHistory', true, undefined],
  ['ContactHistory', true, 'field history of another object'],
  ['ContactShare', true, 'sharing rows of another object'],
  ['ContactFeed', true, 'feed items of another object'],
  ['Invoice__Share', true, 'sharing rows of another object'],
  ['Invoice__History', true, 'field history of another object'],
  ['ContactChangeEvent', false, 'not queryable'],
  ['Ext__x', true, 'an external object: its rows live in another system'],
  ['Log__b', true, 'a big object: it cannot be read by change'],
  ['ContentDocumentLink', true, 'can only be queried with a filter'],
  ['Attachment', true, 'holds files; name it in `objects` to sync its other fields'],
  ['Draft', false, 'not queryable'],
])('%s (queryable: %s) is left out because: %s', (name, queryable, reason) => {
  expect(whyNot({ name, queryable }, NAMES)).toBe(reason);
});

test.each([
  ['api-usage=18/15000', { used: 18, limit: 15000 }],
  ['api-usage=18/5000; per-app-api-usage=17/250(appName=sample-connected-app)', { used: 18, limit: 5000 }],
  ['per-app-api-usage=17/250(appName=x)', undefined],
  [undefined, undefined],
])('limit info %j', (header, quota) => {
  expect(parseLimitInfo(header)).toEqual(quota);
});

test('limits and the estimate of calls', () => {
  expect(quotaOf({ DailyApiRequests: { Max: 100, Remaining: 60 } })).toEqual({ used: 40, limit: 100 });
  expect(quotaOf({})).toBeUndefined();
  expect(idleCallsPerDay(50)).toBe(2424);
});

const BASE = {
  kind: 'salesforce',
  auth: { grant: 'client_credentials', clientId: 'a', clientSecret: 'b' },
  objects: ['Contact'],
};

test('defaults are filled in, durations become milliseconds', () => {
  const config = salesforceConfigSchema.parse(BASE);
  expect(config).toMatchObject({
    apiVersion: '66.0',
    lookback: 600_000,
    lag: 300_000,
    exclude: [],
  });
  expect(config.thresholds).toEqual({
    bulkRowsMin: 10_000,
    restPageRows: 2000,
    bulkPageRowsMax: 250_000,
    sliceRowsTarget: 1_000_000,
  });
  expect(salesforceConfigSchema.parse({ ...BASE, lookback: '1h30m', lag: '90s' })).toMatchObject({
    lookback: 5_400_000,
    lag: 90_000,
  });
});

test.each([
  [{ loginUrl: 'http://login.example.com' }, 'use https'],
  [{ loginUrl: 'nonsense' }, 'Invalid URL'],
  [{ lag: '5 minutes' }, 'write a duration'],
  [{ apiVersion: 'v66' }, 'write a version'],
  [{ objects: ['Contact; DROP'] }, 'write the API name'],
  [{ objects: [] }, '>=1'],
  [{ surprise: 1 }, 'surprise'],
  [{ auth: { grant: 'password' } }, 'Invalid'],
])('%j is refused: %s', (over, message) => {
  expect(() => salesforceConfigSchema.parse({ ...BASE, ...over })).toThrow(message);
});

test('http is allowed on loopback', () => {
  expect(salesforceConfigSchema.parse({ ...BASE, loginUrl: 'http://127.0.0.1:8080' }).loginUrl).toBe(
    'http://127.0.0.1:8080',
  );
});
