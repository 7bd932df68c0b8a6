import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { API, loginTo, type BareClient } from '../support/sandbox-client.ts';

let sandbox: SalesforceSandbox;
let client: BareClient;

beforeAll(async () => {
  sandbox = await startSalesforceSandbox({ objects: { Contact: 30_000 }, seed: 5 });
  client = await loginTo(sandbox);
});
afterAll(() => sandbox.close());

interface Job {
  readonly id: string;
  readonly state: string;
  readonly numberRecordsProcessed: number;
}

async function start(query: string, extra: Record<string, unknown> = {}): Promise<Job> {
  const answer = await client.send('POST', `${API}/jobs/query`, { operation: 'query', query, ...extra });
  const job: Job = JSON.parse(await answer.text());
  return job;
}

async function done(id: string): Promise<Job> {
  for (let tries = 0; tries < 100; tries++) {
    const job: Job = JSON.parse(await (await client.get(`${API}/jobs/query/${id}`)).text());
    if (job.state !== 'UploadComplete' && job.state !== 'InProgress') return job;
    await sleep(20);
  }
  throw new Error('the job did not end');
}

/** A plain RFC 4180 reader, so that quoting is judged by something the sandbox does not share. */
function csvRows(text: string, delimiter = ','): string[][] {
  const rows: string[][] = [];
  const row: string[] = [];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const c = text.charAt(at);
    if (quoted && c === '"' && text.charAt(at + 1) === '"') cell += text.charAt(++at);
    else if (c === '"') quoted = !quoted;
    else if (!quoted && (c === delimiter || c === '\n')) {
      row.push(cell);
      cell = '';
      if (c === '\n') rows.push(row.splice(0));
    } else if (quoted || c !== '\r') cell += c;
  }
  return rows;
}

async function pages(id: string, maxRecords: number): Promise<{ headers: Headers; rows: string[][] }[]> {
  const found: { headers: Headers; rows: string[][] }[] = [];
  for (let locator = ''; locator !== 'null';) {
    const tail = locator === '' ? '' : `&locator=${locator}`;
    const answer = await client.get(`${API}/jobs/query/${id}/results?maxRecords=${maxRecords}${tail}`);
    found.push({ headers: answer.headers, rows: csvRows(await answer.text()) });
    locator = answer.headers.get('sforce-locator') ?? 'null';
  }
  return found;
}

const FIELDS = [
  'Id',
  'FirstName',
  'Department',
  'Description',
  'MailingStreet',
  'Lifetime_Value__c',
  'DoNotCall',
  'SystemModstamp',
];

test('pages with changed rows among untouched ones equal the truth, row by row', async () => {
  sandbox.data.touchMany('Contact', 0.01);
  sandbox.data.update('Contact', 12_345, { Description: 'said "hi",\r\nthen left 🚀', FirstName: null });
  sandbox.data.delete('Contact', 20_000);
  sandbox.data.create('Contact', { LastName: 'New', Department: 'a;b' });
  const job = await start(`SELECT ${FIELDS.join(', ')} FROM Contact`);
  const ended = await done(job.id);
  const all = await pages(job.id, 7000);
  expect(all).toHaveLength(5);
  for (const page of all) {
    expect(page.rows[0]).toEqual(FIELDS);
    expect(Number(page.headers.get('sforce-numberofrecords'))).toBe(page.rows.length - 1);
  }
  const rows = all.flatMap((page) => page.rows.slice(1));
  expect(rows).toHaveLength(ended.numberRecordsProcessed);
  const wanted: string[][] = [];
  for await (const row of sandbox.data.truth('Contact')) {
    if (!row.IsDeleted) wanted.push(FIELDS.map((name) => row.values[name] ?? ''));
  }
  expect(rows).toEqual(wanted);
});

test('a job is a snapshot: later changes do not show, pages can be asked for again, null is a pair of quotes', async () => {
  sandbox.data.update('Contact', 100, { Title: null });
  const job = await start(
    "SELECT Id, Title FROM Contact WHERE Id = '" + sandbox.data.idOf('Contact', 100) + "'",
  );
  sandbox.data.update('Contact', 100, { Title: 'after' });
  await done(job.id);
  const wanted = `"Id","Title"\n"${sandbox.data.idOf('Contact', 100)}",""\n`;
  for (let n = 0; n < 2; n++) {
    expect(await (await client.get(`${API}/jobs/query/${job.id}/results`)).text()).toBe(wanted);
  }
});

test('delimiters, line endings and parallel pages', async () => {
  const job = await start('SELECT Id, DoNotCall FROM Contact LIMIT 10', {
    columnDelimiter: 'PIPE',
    lineEnding: 'CRLF',
  });
  await done(job.id);
  const text = await (await client.get(`${API}/jobs/query/${job.id}/results`)).text();
  expect(text.startsWith('"Id"|"DoNotCall"\r\n"003')).toBe(true);
  const answer = await client.get(`${API}/jobs/query/${job.id}/resultPages?maxRecords=4`);
  const listed: { resultPages: { resultUrl: string }[] } = JSON.parse(await answer.text());
  const parts = await Promise.all(
    listed.resultPages.map(async ({ resultUrl }) =>
      (await (await client.get(resultUrl)).text()).split('\r\n').slice(1, -1),
    ),
  );
  expect(parts.map((part) => part.length)).toEqual([4, 4, 2]);
  expect(parts.flat()).toEqual(text.split('\r\n').slice(1, -1));
});

test.each([
  ['SELECT Id, MailingAddress FROM Contact', 'Selecting compound data not supported in Bulk Query'],
  ['SELECT COUNT() FROM Contact', 'not supported'],
  ['SELECT MAX(Id) FROM Contact', 'not supported'],
  ['SELECT Id FROM Contact OFFSET 5', 'OFFSET'],
  ['SELECT Id, (SELECT Id FROM Cases) FROM Contact', 'Aggregate Relationships not supported'],
  ['SELECT TYPEOF What WHEN Account THEN Phone END FROM Task', 'TYPEOF'],
  ['SELECT Id FROM Log__b', 'is not supported by the Bulk API'],
])('%s is refused', async (query, reason) => {
  const answer = await client.send('POST', `${API}/jobs/query`, { operation: 'query', query });
  expect(answer.status).toBe(400);
  expect(await answer.text()).toContain(reason);
});

test('a job goes through its states, can be aborted, deleted, and is then unknown', async () => {
  sandbox.behaviour.bulkJobMs = 200;
  const job = await start('SELECT Id FROM Contact LIMIT 1');
  expect(job.state).toBe('UploadComplete');
  expect((await client.get(`${API}/jobs/query/${job.id}/results`)).status).toBe(400);
  expect((await client.send('DELETE', `${API}/jobs/query/${job.id}`)).status).toBe(400);
  expect((await client.send('PATCH', `${API}/jobs/query/${job.id}`, { state: 'Aborted' })).status).toBe(200);
  expect((await done(job.id)).state).toBe('Aborted');
  expect((await client.send('DELETE', `${API}/jobs/query/${job.id}`)).status).toBe(204);
  expect((await client.get(`${API}/jobs/query/${job.id}`)).status).toBe(404);
  sandbox.behaviour.bulkJobMs = 50;
});
