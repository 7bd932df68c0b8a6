import { afterEach, expect, test } from '@jest/globals';
import { LosslessNumber } from 'lossless-json';
import { describeObject, toObjectSchema } from '../../../../sources/hubspot/describe.ts';
import { hubspotConfigSchema } from '../../../../sources/hubspot/index.ts';
import { mergedIds, readRecord, stampOf, toInstant, toRow } from '../../../../sources/hubspot/records.ts';
import { fakeAccount, type FakeAccount } from './fake-account.ts';

const open: FakeAccount[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const PROPERTIES = [
  { name: 'email', type: 'string', hubspotDefined: true },
  { name: 'amount', type: 'number', hubspotDefined: true },
  { name: 'optout', type: 'bool' },
  { name: 'birthday', type: 'date' },
  { name: 'lastmodifieddate', type: 'datetime', hubspotDefined: true },
  { name: 'topics', type: 'enumeration' },
  { name: 'phone', type: 'phone_number' },
  { name: 'score', type: 'number', calculated: true },
  { name: 'id', type: 'string' },
  { name: 'old', type: 'string', archived: true },
];

test('types, flags and columns', () => {
  const schema = toObjectSchema('contacts', PROPERTIES);
  expect(schema).toMatchObject({ table: 'contacts', key: 'id', stamp: 'changedAt', deleted: 'archived' });
  const fields = Object.fromEntries(schema.fields.map((field) => [field.name, field]));
  expect(Object.keys(fields)).toEqual([
    ...['id', 'createdAt', 'updatedAt', 'archived', 'archivedAt', 'changedAt'],
    ...[
      'email',
      'amount',
      'optout',
      'birthday',
      'lastmodifieddate',
      'topics',
      'phone',
      'score',
      'property_id',
    ],
  ]);
  expect(fields['amount']?.type).toEqual({ kind: 'decimal', precision: 22, scale: 4 });
  expect(fields['optout']).toMatchObject({ type: { kind: 'boolean' }, custom: true });
  expect(fields['birthday']?.type.kind).toBe('date');
  expect(fields['lastmodifieddate']?.type.kind).toBe('timestamp');
  expect(fields['topics']?.type.kind).toBe('string');
  expect(fields['score']).toMatchObject({ calculated: true, custom: true });
  expect(fields['email']).toMatchObject({ calculated: false, custom: false, column: 'email' });
  expect(fields['changedAt']?.column).toBe('changed_at');
});

test('leaving out a property renames no other and changes the hash; what merging needs stays', () => {
  const whole = toObjectSchema('contacts', PROPERTIES);
  const some = toObjectSchema('contacts', PROPERTIES, { include: ['email', 'optout'], exclude: ['optout'] });
  expect(some.fields.map((field) => field.name).slice(6)).toEqual(['email']);
  expect(some.hash).not.toBe(whole.hash);
  expect(toObjectSchema('contacts', PROPERTIES).hash).toBe(whole.hash);
});

test('a record becomes a flat row of texts', () => {
  const schema = toObjectSchema('contacts', PROPERTIES);
  const record = readRecord(
    {
      id: '51',
      properties: {
        email: '',
        amount: new LosslessNumber('12345678901234567.89'),
        optout: '',
        id: 'mine',
        topics: 'a;b',
      },
      createdAt: '2026-01-01T00:00:00Z',
      updatedAt: '2026-02-01T00:00:00.5Z',
      archived: false,
    },
    'contacts',
  );
  expect(toRow(schema, record)).toEqual({
    ...{ id: '51', createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-02-01T00:00:00.5Z' },
    ...{ archived: false, archivedAt: null, changedAt: '2026-02-01T00:00:00.500Z' },
    ...{ email: '', amount: '12345678901234567.89', optout: null, birthday: null, lastmodifieddate: null },
    ...{ topics: 'a;b', phone: null, score: null, property_id: 'mine' },
  });
});

test('the stamp is the later of the modified date and the archiving', () => {
  const record = (properties: object, more: object = {}) =>
    stampOf(readRecord({ id: '1', properties, ...more }, 'contacts'), 'contacts');
  const at = (text: string) => Date.parse(text);
  const modified = {
    lastmodifieddate: '2026-03-01T00:00:00.001Z',
    hs_lastmodifieddate: '2020-01-01T00:00:00Z',
  };
  expect(record(modified)).toBe(at('2026-03-01T00:00:00.001Z'));
  expect(record(modified, { archived: true, archivedAt: '2026-03-02T00:00:00Z' })).toBe(
    at('2026-03-02T00:00:00Z'),
  );
  expect(record(modified, { archived: true, archivedAt: '2026-02-02T00:00:00Z' })).toBe(
    at('2026-03-01T00:00:00.001Z'),
  );
  expect(record(modified, { archivedAt: '2026-04-02T00:00:00Z' })).toBe(at('2026-03-01T00:00:00.001Z'));
  expect(record({ lastmodifieddate: '1772323200001' })).toBe(1_772_323_200_001);
  expect(record({}, { updatedAt: '2026-05-01T00:00:00Z' })).toBe(at('2026-05-01T00:00:00Z'));
  expect(record({})).toBeNull();
  expect(toInstant(1_772_323_200_001)).toBe('2026-03-01T00:00:00.001Z');
});

test('merged ids are those of others', () => {
  const record = (text: unknown) =>
    readRecord({ id: '7', properties: { hs_merged_object_ids: text } }, 'deals');
  expect(mergedIds(record('5;6;7;x'))).toEqual(['5', '6']);
  expect(mergedIds(record(null))).toEqual([]);
});

test('associations are described without a call, everything else by its properties', async () => {
  const account = await fakeAccount(() => ({ body: { results: PROPERTIES } }));
  open.push(account);
  const pair = await describeObject(account.client, 'contacts~companies');
  expect(pair).toMatchObject({ table: 'contacts_companies', key: 'id', stamp: null, deleted: null });
  expect(pair.fields.map((field) => field.column)).toEqual([
    'id',
    'from_id',
    'to_id',
    'category',
    'type_id',
    'label',
  ]);
  expect(account.server.calls).toHaveLength(0);
  await describeObject(account.client, 'p123_car');
  expect(account.server.calls[0]?.path).toBe('/crm/properties/2026-03/p123_car');
});

test.each([
  [{ baseUrl: 'http://api.hubapi.com' }, 'baseUrl'],
  [{ auth: { kind: 'token' } }, 'auth'],
  [{ apiVersion: 'v3' }, 'apiVersion'],
  [{ objects: ['contacts/companies'] }, 'objects'],
  [{ surprise: 1 }, ''],
])('the configuration refuses %j', (over, path) => {
  const base = { kind: 'hubspot', auth: { kind: 'token', token: 'x' }, objects: ['contacts'] };
  expect(hubspotConfigSchema.safeParse(base).success).toBe(true);
  const issues = hubspotConfigSchema.safeParse({ ...base, ...over }).error?.issues ?? [];
  expect(issues.map((issue) => String(issue.path[0] ?? ''))).toContain(path);
});
