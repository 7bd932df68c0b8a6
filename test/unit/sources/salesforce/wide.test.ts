import { afterEach, expect, test } from '@jest/globals';
import type { ObjectSchema } from '../../../../schemas/object-schema.ts';
import { SalesforceClient } from '../../../../sources/salesforce/client.ts';
import { salesforceConfigSchema } from '../../../../sources/salesforce/index.ts';
import { fieldGroups, readByIds } from '../../../../sources/salesforce/wide.ts';
import { reply, startFake, testContext } from '../fake-server.ts';

const open: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const field = (name: string): ObjectSchema['fields'][number] => ({
  name,
  column: name.toLowerCase(),
  type: { kind: 'string' },
  sourceType: 'string',
  nullable: true,
  calculated: false,
  custom: true,
});

function schemaOf(fields: number): ObjectSchema {
  const names = Array.from({ length: fields }, (_, n) => `Long_Field_Name_That_Takes_Much_Room_${n}__c`);
  return {
    object: 'Wide__c',
    table: 'wide__c',
    key: 'Id',
    stamp: 'SystemModstamp',
    deleted: null,
    fields: ['Id', ...names, 'SystemModstamp'].map(field),
    hash: 'h',
  };
}

type Row = Record<string, unknown>;

/** Answers the n-th look-up, from 0, with these raw records. */
async function connect(
  answer: (query: string, n: number) => string,
): Promise<{ client: SalesforceClient; paths: string[] }> {
  const paths: string[] = [];
  const server = await startFake((call, response) => {
    if (call.path.endsWith('/token')) {
      reply(response, 200, { access_token: '00D000000000001!A', instance_url: server.url });
      return;
    }
    const query = call.url.searchParams.get('q') ?? '';
    paths.push(call.url.pathname + call.url.search);
    reply(response, 200, answer(query, paths.length - 1));
  });
  const client = new SalesforceClient(
    salesforceConfigSchema.parse({
      kind: 'salesforce',
      loginUrl: server.url,
      auth: { grant: 'client_credentials', clientId: 'a', clientSecret: 'b' },
      objects: 'all',
    }),
    testContext(),
  );
  open.push(client, server);
  return { client, paths };
}

async function read(client: SalesforceClient, schema: ObjectSchema, ids: string[]): Promise<string> {
  let text = '';
  for await (const page of readByIds(client, schema, ids, undefined)) text += page.text.toString('utf8');
  return text;
}

const page = (records: string[]): string =>
  `{"totalSize":${records.length},"done":true,"records":[${records.join(',')}]}`;
const row = (id: string, stamp: string, more = ''): string =>
  `{"Id":"${id}","SystemModstamp":"2026-11-21T08:00:0${stamp}.000+0000"${more}}`;
const isFirst = (query: string): boolean => query.includes('Room_0__c');

test('every field is in exactly one group, key and stamp in all, and a look-up of 200 ids fits', () => {
  const schema = schemaOf(700);
  const groups = fieldGroups(schema);
  expect(groups.length).toBeGreaterThan(1);
  const rest = groups.flatMap((group) => group.filter((name) => name.endsWith('__c')));
  expect(rest).toEqual(schema.fields.map(({ name }) => name).filter((name) => name.endsWith('__c')));
  for (const group of groups) expect(group).toEqual(expect.arrayContaining(['Id', 'SystemModstamp']));
});

test('200 ids and a full group stay below the limit of a URI', async () => {
  const { client, paths } = await connect(() => page([]));
  await read(
    client,
    schemaOf(700),
    Array.from({ length: 200 }, (_, n) => `a00${String(n).padStart(15, '0')}`),
  );
  for (const path of paths) expect(path.length).toBeLessThan(14_000);
});

test('one group is passed on byte for byte', async () => {
  const raw = page([row('a1', '1', ',"Long_Field_Name_That_Takes_Much_Room_0__c":12345678901234567.890')]);
  const { client } = await connect(() => raw);
  expect(await read(client, schemaOf(1), ['a1'])).toBe(raw);
});

test('several groups are joined with every digit', async () => {
  const { client } = await connect((query) =>
    page([row('a1', '1', isFirst(query) ? ',"X":12345678901234567.890' : ',"Y":1.0E7')]),
  );
  const text = await read(client, schemaOf(700), ['a1']);
  expect(text).toContain('"X":12345678901234567.890');
  expect(text).toContain('"Y":1.0E7');
});

test.each([
  ['changed', [row('a1', '2')]],
  ['vanished', []],
])('a row that %s between two look-ups is read again', async (name, torn) => {
  const { client, paths } = await connect((query, n) => {
    if (n === 1) return page(torn);
    return page([
      row('a1', n === 0 && name === 'changed' ? '1' : '2', isFirst(query) ? ',"X":"x"' : ',"Y":"y"'),
    ]);
  });
  const schema = schemaOf(400);
  expect(fieldGroups(schema)).toHaveLength(3);
  const answer = JSON.parse(await read(client, schema, ['a1'])) as { records: Row[] };
  expect(answer.records).toEqual([
    { Id: 'a1', SystemModstamp: '2026-11-21T08:00:02.000+0000', X: 'x', Y: 'y' },
  ]);
  expect(paths).toHaveLength(6);
});

test('a row that never holds still is an error that can be tried again', async () => {
  const { client } = await connect((_query, n) => page([row('a1', String(n % 10))]));
  await expect(read(client, schemaOf(400), ['a1'])).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
});

test('a row that is gone from all look-ups is left out', async () => {
  const { client } = await connect(() => page([row('a1', '1')]));
  const answer = JSON.parse(await read(client, schemaOf(400), ['a1', 'a2'])) as { records: Row[] };
  expect(answer.records.map((record) => record['Id'])).toEqual(['a1']);
});
