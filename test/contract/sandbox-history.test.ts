import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { API, loginTo, type BareClient } from '../support/sandbox-client.ts';

const NOW = Date.UTC(2026, 6, 1, 12, 0, 30);
const MINUTE_MS = 60_000;
let sandbox: SalesforceSandbox;
let client: BareClient;

beforeEach(async () => {
  sandbox = await startSalesforceSandbox({
    objects: { Contact: 400, Account: 10 },
    records: 0,
    seed: 4,
    now: () => NOW,
  });
  client = await loginTo(sandbox);
});
afterEach(() => sandbox.close());

interface Replication {
  readonly ids?: readonly string[];
  readonly deletedRecords?: readonly { readonly id: string }[];
  readonly latestDateCovered: string;
  readonly earliestDateAvailable?: string;
}

async function replication(kind: 'updated' | 'deleted', from: number, until: number): Promise<Replication> {
  const range = new URLSearchParams({
    start: new Date(from).toISOString(),
    end: new Date(until).toISOString(),
  });
  const answer = await client.get(`${API}/sobjects/Contact/${kind}?${range.toString()}`);
  if (answer.status !== 200) throw new Error(await answer.text());
  const parsed: Replication = JSON.parse(await answer.text());
  return parsed;
}

const idOf = (index: number): string => sandbox.data.idOf('Contact', index);
const seen = async (where: string, resource: 'query' | 'queryAll' = 'query'): Promise<string[]> =>
  (await client.query(`SELECT Id FROM Contact WHERE ${where}`, resource)).records.map((row) =>
    String(row['Id']),
  );

test('a row that commits late is unseen until then, and latestDateCovered stays behind its stamp', async () => {
  const at = NOW - 4 * MINUTE_MS;
  const before = sandbox.data.get('Contact', 9)?.values['Title'];
  sandbox.data.update('Contact', 9, { Title: 'late' }, { at, visibleAt: NOW + MINUTE_MS });
  const made = sandbox.data.create('Contact', { LastName: 'Late' }, { at, visibleAt: NOW + MINUTE_MS });
  expect(sandbox.data.get('Contact', 9)?.values['Title']).toBe(before);
  expect(await seen(`Id = '${made}'`)).toEqual([]);
  expect((await client.query('SELECT COUNT() FROM Contact')).totalSize).toBe(400);
  expect((await client.query('SELECT Id FROM Contact')).records).toHaveLength(400);
  const early = await replication('updated', NOW - 10 * MINUTE_MS, NOW);
  expect(early.ids).toEqual([]);
  expect(Date.parse(early.latestDateCovered)).toBe(at);
  sandbox.clock.advance(MINUTE_MS);
  const later = await replication('updated', NOW - 10 * MINUTE_MS, NOW);
  expect(later.ids?.toSorted()).toEqual([idOf(9), made]);
  expect(Date.parse(later.latestDateCovered)).toBe(NOW);
  expect(sandbox.data.get('Contact', 9)).toMatchObject({ stampMs: at, values: { Title: 'late' } });
});

test('the end of /updated is exclusive; seconds count unless minute resolution is asked for', async () => {
  sandbox.data.update('Contact', 1, { Title: 'a' }, { at: NOW - 20_000 });
  expect((await replication('updated', NOW - 60_000, NOW - 20_000)).ids).toEqual([]);
  expect((await replication('updated', NOW - 20_000, NOW - 19_000)).ids).toEqual([idOf(1)]);
  sandbox.behaviour.minuteResolution = true;
  const coarse = await replication('updated', NOW - 60_000, NOW);
  expect(coarse.ids).toEqual([]);
  expect(Date.parse(coarse.latestDateCovered)).toBe(NOW - 30_000);
  sandbox.behaviour.visibilityLagMs = 2 * MINUTE_MS;
  expect(Date.parse((await replication('updated', NOW - 300_000, NOW)).latestDateCovered)).toBe(
    NOW - 150_000,
  );
});

test('windows older than 30 days and backward windows are refused', async () => {
  await expect(replication('updated', NOW - 31 * 86_400_000, NOW)).rejects.toThrow(
    'INVALID_REPLICATION_DATE',
  );
  await expect(replication('deleted', NOW, NOW - 60_000)).rejects.toThrow('INVALID_REPLICATION_DATE');
});

test('delete, undelete, purge and merge as the API shows them', async () => {
  sandbox.data.delete('Contact', 1);
  sandbox.data.delete('Contact', 2);
  sandbox.data.delete('Contact', 3);
  sandbox.data.undelete('Contact', 2);
  sandbox.data.purge('Contact', 3);
  sandbox.data.merge('Contact', 5, 6, { Title: 'winner' });
  expect(await seen('IsDeleted = true')).toEqual([]);
  expect(await seen('IsDeleted = true', 'queryAll')).toEqual([idOf(1), idOf(6)]);
  const gone = await replication('deleted', NOW - MINUTE_MS, NOW + MINUTE_MS);
  expect(gone.deletedRecords?.map((one) => one.id)).toEqual([idOf(1), idOf(3), idOf(6)]);
  const changed = await replication('updated', NOW - MINUTE_MS, NOW + MINUTE_MS);
  expect(changed.ids).toEqual([idOf(2), idOf(5)]);
  const loser = await client.query(`SELECT MasterRecordId FROM Contact WHERE Id = '${idOf(6)}'`, 'queryAll');
  expect(loser.records[0]).toMatchObject({ MasterRecordId: idOf(5) });
  expect(sandbox.data.get('Contact', 3)).toBeUndefined();
  expect(sandbox.data.countTruth('Contact')).toEqual({ live: 397, deleted: 2 });
  sandbox.data.forgetDeletions('Contact', NOW + 1000);
  const forgotten = await replication('deleted', NOW - MINUTE_MS, NOW + MINUTE_MS);
  expect(forgotten.deletedRecords).toEqual([]);
  expect(Date.parse(forgotten.earliestDateAvailable ?? '')).toBeGreaterThan(NOW - MINUTE_MS);
});

const describeNames = async (): Promise<Record<string, string>> => {
  const answer: { fields: { name: string; type: string }[] } = JSON.parse(
    await (await client.get(`${API}/sobjects/Contact/describe`)).text(),
  );
  return Object.fromEntries(answer.fields.map((field) => [field.name, field.type]));
};

test('the schema drifts without moving stamps', async () => {
  const stamps = async () => (await client.query('SELECT Id, SystemModstamp FROM Contact')).records;
  const before = await stamps();
  sandbox.data.addField('Contact', { name: 'Added__c', type: 'string', filled: true });
  sandbox.data.addField('Contact', { name: 'Blank__c', type: 'currency', precision: 18, scale: 2 });
  sandbox.data.hideField('Contact', 'Score__c');
  sandbox.data.removeField('Contact', 'Discount__c');
  sandbox.data.retypeField('Contact', 'Legacy_Code__c', 'double', { precision: 18 });
  sandbox.data.bumpFormula('Contact', 'Greeting__c');
  const fields = await describeNames();
  expect(fields).toMatchObject({ Added__c: 'string', Blank__c: 'currency', Legacy_Code__c: 'double' });
  expect([fields['Score__c'], fields['Discount__c']]).toEqual([undefined, undefined]);
  const row = (await client.query('SELECT Added__c, Blank__c, Greeting__c FROM Contact LIMIT 1')).records[0];
  expect(row).toMatchObject({
    Added__c: expect.stringMatching(/^text/),
    Blank__c: null,
    Greeting__c: expect.stringMatching(/^Hello \(1\)/),
  });
  const refused = await client.get(`${API}/query?q=SELECT+Score__c+FROM+Contact`);
  expect(await refused.text()).toContain('INVALID_FIELD');
  sandbox.data.hideField('Contact', 'Score__c', false);
  expect(await describeNames()).toHaveProperty('Score__c', 'double');
  expect(await stamps()).toEqual(before);
});

test('an answer that has begun does not change with the schema, and a renamed or retyped field keeps its values', async () => {
  const before = sandbox.data.get('Contact', 1)?.values;
  const made = await client.send('POST', `${API}/jobs/query`, {
    operation: 'query',
    query: 'SELECT Id, Title, Visits__c FROM Contact',
  });
  const { id }: { id: string } = JSON.parse(await made.text());
  const results = async (): Promise<string> => (await client.get(`${API}/jobs/query/${id}/results`)).text();
  await sleep(80);
  const first = await results();
  sandbox.data.removeField('Contact', 'Title');
  sandbox.data.renameField('Contact', 'Visits__c', 'Calls__c');
  sandbox.data.retypeField('Contact', 'Legacy_Code__c', 'double', { precision: 18 });
  expect(await results()).toBe(first);
  expect(sandbox.data.get('Contact', 1)?.values).toMatchObject({
    Calls__c: before?.['Visits__c'],
    Legacy_Code__c: before?.['Legacy_Code__c'],
  });
  sandbox.data.update('Contact', 1, { Calls__c: '77' });
  expect(
    (await client.query(`SELECT Calls__c FROM Contact WHERE Id = '${idOf(1)}'`)).records[0],
  ).toMatchObject({ Calls__c: 77 });
  const described = await client.get(`${API}/sobjects/Contact/describe`);
  const since = { 'if-modified-since': described.headers.get('last-modified') ?? '' };
  expect((await client.get(`${API}/sobjects/Contact/describe`, since)).status).toBe(304);
  sandbox.clock.advance(5000);
  sandbox.data.hideField('Contact', 'Email');
  expect((await client.get(`${API}/sobjects/Contact/describe`, since)).status).toBe(200);
  sandbox.data.hideObject('Account');
  expect((await client.get(`${API}/sobjects/Account/describe`)).status).toBe(404);
  expect(await (await client.get(`${API}/query?q=SELECT+Id+FROM+Account`)).text()).toContain('INVALID_TYPE');
});

test('poison goes out as it is: over REST escaped, over Bulk as raw bytes', async () => {
  sandbox.data.setRaw('Contact', 0, 'Lifetime_Value__c', 'not a number');
  sandbox.data.setRaw('Contact', 0, 'Title', 'nul\u0000 and \uD800 alone');
  sandbox.data.setRaw('Contact', 0, 'Department', 'x'.repeat(17_000_000));
  sandbox.data.setRaw('Contact', 1, 'Lifetime_Value__c', '9999999999999999.99');
  const fields = 'Lifetime_Value__c, Title, Department';
  const rest = await client.get(
    `${API}/query?q=${encodeURIComponent(`SELECT ${fields} FROM Contact WHERE Id IN ('${idOf(0)}','${idOf(1)}')`)}`,
  );
  const text = await rest.text();
  expect(text).toContain(String.raw`"Lifetime_Value__c":"not a number","Title":"nul\u0000 and \ud800 alone"`);
  expect(text).toContain('"Lifetime_Value__c":9999999999999999.99');
  expect(text.length).toBeGreaterThan(17_000_000);
  const made = await client.send('POST', `${API}/jobs/query`, {
    operation: 'query',
    query: `SELECT Title FROM Contact WHERE Id = '${idOf(0)}'`,
  });
  const { id }: { id: string } = JSON.parse(await made.text());
  await sleep(80);
  const bytes = Buffer.from(await (await client.get(`${API}/jobs/query/${id}/results`)).arrayBuffer());
  expect(bytes.includes(Buffer.from([0]))).toBe(true);
  expect(bytes.includes(Buffer.from([0xed, 0xa0, 0x80]))).toBe(true);
});

test('equal seeds give equal rows and equal lives, other seeds other ones', async () => {
  const dump = async (seed: number): Promise<string> => {
    const one = await startSalesforceSandbox({
      objects: { Contact: 300 },
      records: 100,
      seed,
      now: () => NOW,
    });
    one.living.run(200);
    const rows: string[] = [];
    for (const object of ['Contact', 'Account', 'Opportunity']) {
      for await (const row of one.data.truth(object)) rows.push(JSON.stringify(row));
    }
    await one.close();
    return rows.join('\n');
  };
  const [first, second, other] = [await dump(1), await dump(1), await dump(2)];
  expect(first).toBe(second);
  expect(first).not.toBe(other);
  expect(first).toContain('"IsDeleted":true');
});
