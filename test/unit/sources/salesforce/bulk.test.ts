import { afterEach, expect, test } from '@jest/globals';
import { HeadwaterError } from '../../../../rules/errors.ts';
import { ORIGIN } from '../../../../schemas/instant.ts';
import type { ObjectSchema } from '../../../../schemas/object-schema.ts';
import { bulkRows, BulkRefused, endJob, type BulkCursor } from '../../../../sources/salesforce/bulk.ts';
import { SalesforceClient } from '../../../../sources/salesforce/client.ts';
import { salesforceConfigSchema } from '../../../../sources/salesforce/index.ts';
import { reply, startFake, testContext, type FakeServer } from '../fake-server.ts';

const open: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const JOB = '750000000000001AAA';
const SCHEMA: ObjectSchema = {
  object: 'Contact',
  table: 'contact',
  key: 'Id',
  stamp: null,
  deleted: null,
  fields: [
    {
      name: 'Id',
      column: 'id',
      type: { kind: 'string' },
      sourceType: 'id',
      nullable: false,
      calculated: false,
      custom: false,
    },
  ],
  hash: 'h',
};

interface Page {
  locator?: string;
  rows?: string;
  body: string;
  status?: number;
}

/** A job that is complete at once, with these result pages by locator (empty text: the first). */
async function job(
  pages: Record<string, Page>,
  info: Record<string, unknown> = {},
): Promise<{ client: SalesforceClient; server: FakeServer }> {
  const server = await startFake((call, response) => {
    if (call.path.endsWith('/token')) {
      reply(response, 200, { access_token: '00D000000000001!A', instance_url: server.url });
      return;
    }
    if (call.path.endsWith('/results')) {
      const page = pages[call.url.searchParams.get('locator') ?? ''] ?? { body: '', status: 400 };
      response.writeHead(page.status ?? 200, {
        'content-type': 'text/csv',
        ...(page.locator === undefined ? {} : { 'Sforce-Locator': page.locator }),
        ...(page.rows === undefined ? {} : { 'Sforce-NumberOfRecords': page.rows }),
      });
      response.end(page.body);
      return;
    }
    if (call.method === 'DELETE') reply(response, 404, [{ errorCode: 'NOT_FOUND', message: 'gone' }]);
    else if (call.method === 'PATCH')
      reply(response, 400, [{ errorCode: 'INVALIDJOBSTATE', message: 'over' }]);
    else reply(response, 200, { id: JOB, state: 'JobComplete', numberRecordsProcessed: 3, ...info });
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
  return { client, server };
}

async function read(
  client: SalesforceClient,
  after?: BulkCursor,
): Promise<{ text: string; cursors: unknown[] }> {
  const range = { readFrom: ORIGIN, until: '2026-11-21T08:00:00.000Z', idFrom: null, idUntil: null };
  const context = { signal: new AbortController().signal, onWait: () => undefined };
  let text = '';
  const cursors: unknown[] = [];
  for await (const page of bulkRows(client, SCHEMA, { range, pageRowsMax: 2, after }, context)) {
    for await (const chunk of page.body ?? []) text += Buffer.from(chunk).toString('utf8');
    cursors.push(page.cursor());
  }
  return { text, cursors };
}

const GOOD: Record<string, Page> = {
  '': { locator: 'MQ', rows: '2', body: '"Id"\n"1"\n"2"\n' },
  MQ: { locator: 'null', rows: '1', body: '"Id"\n"3"\n' },
};

test('pages are passed on untouched, and the cursor follows the locator', async () => {
  const { client, server } = await job(GOOD);
  const { text, cursors } = await read(client);
  expect(text).toBe('"Id"\n"1"\n"2"\n"Id"\n"3"\n');
  expect(cursors).toEqual([
    { api: 'bulk', jobId: JOB, locator: null, page: 0, rows: 0, done: false },
    { api: 'bulk', jobId: JOB, locator: 'MQ', page: 1, rows: 2, done: false },
    { api: 'bulk', jobId: JOB, locator: null, page: 2, rows: 3, done: true },
  ]);
  const posted: unknown = JSON.parse(
    server.calls.find((call) => call.method === 'POST' && call.path.endsWith('/jobs/query'))?.body ?? '',
  );
  expect(posted).toMatchObject({ operation: 'queryAll', query: 'SELECT Id FROM Contact', lineEnding: 'LF' });
});

test('a finished slice asks for nothing more', async () => {
  const { client, server } = await job(GOOD);
  await read(client, { api: 'bulk', jobId: JOB, locator: null, page: 2, rows: 3, done: true });
  expect(server.calls).toHaveLength(0);
});

test.each<[string, Record<string, Page>, string]>([
  ['a missing locator', { '': { rows: '2', body: '' } }, 'SOURCE_PROTOCOL'],
  ['a missing count', { '': { locator: 'MQ', body: '' } }, 'SOURCE_PROTOCOL'],
  ['a locator that repeats', { ...GOOD, MQ: { locator: 'MQ', rows: '1', body: '' } }, 'SOURCE_PROTOCOL'],
  ['fewer rows than the job read', { '': { locator: 'null', rows: '2', body: '' } }, 'RECEIPT_TRANSPORT'],
  ['more rows than the job read', { '': { locator: 'MQ', rows: '4', body: '' } }, 'RECEIPT_TRANSPORT'],
  ['results that are gone', { '': { body: '[]', status: 404 } }, 'JOB_LOST'],
])('%s is no success', async (_name, pages, code) => {
  const { client } = await job(pages);
  const error = await read(client).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HeadwaterError);
  expect(error).toMatchObject({ code });
});

test('a job without rows ends after an empty page, with or without content', async () => {
  for (const page of [
    { body: '', status: 204 },
    { locator: 'null', rows: '0', body: '"Id"\n' },
  ]) {
    const { client } = await job({ '': page }, { numberRecordsProcessed: 0 });
    const { cursors } = await read(client);
    expect(cursors).toHaveLength(2);
    expect(cursors.at(-1)).toMatchObject({ done: true, rows: 0 });
  }
});

test.each([
  ['Failed', 'compound data not supported in Bulk Query', BulkRefused],
  ['Failed', "Entity 'X' is not supported by the Bulk API.", BulkRefused],
  ['Failed', 'Max bulk v2 query jobs (10000) per 24 hrs has been reached', BulkRefused],
  ['Failed', 'UNKNOWN_EXCEPTION', HeadwaterError],
  ['Aborted', '', HeadwaterError],
])('a job that is %s with %j', async (state, errorMessage, kind) => {
  const { client } = await job(GOOD, { state, errorMessage });
  await expect(read(client)).rejects.toBeInstanceOf(kind);
});

test.each([
  'UNKNOWN_EXCEPTION: Jane Canary',
  'Jane Canary',
  'Jane: Canary',
  'INVALID_FIELD: Jane Canary <j@canary.example>',
])('I5: a failed job repeats no value: %s', async (errorMessage) => {
  const { client } = await job(GOOD, { state: 'Failed', errorMessage });
  const error = await read(client).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HeadwaterError);
  if (!errorMessage.startsWith('INVALID_FIELD')) expect(String(error)).not.toContain('Canary');
  expect(String(error)).not.toContain('canary.example');
});

test('an answer that is no job is refused before its id gets into a path', async () => {
  const { client } = await job(GOOD, { id: '../../limits' });
  await expect(read(client)).rejects.toMatchObject({ code: 'SOURCE_PROTOCOL' });
});

test('ending a job that is over or gone is success', async () => {
  const { client } = await job(GOOD);
  await expect(endJob(client, JOB, true)).resolves.toBeUndefined();
});
