import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from 'jsforce';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';

/** jsforce, unmodified, is the judge of the sandbox's shapes. */
let sandbox: SalesforceSandbox;
let connection: Connection;

beforeAll(async () => {
  sandbox = await startSalesforceSandbox({ records: 6000, seed: 11 });
  connection = new Connection({
    instanceUrl: sandbox.url,
    version: '66.0',
    oauth2: { clientId: sandbox.clientId, clientSecret: sandbox.clientSecret, loginUrl: sandbox.loginUrl },
  });
  await connection.authorize({ grant_type: 'client_credentials' });
});
afterAll(() => sandbox.close());

test('client credentials give a user and an organization', async () => {
  expect(connection.userInfo?.organizationId).toMatch(/^00D/);
  expect(await connection.identity()).toMatchObject({ user_id: connection.userInfo?.id });
});

test('describes are complete', async () => {
  const global = await connection.describeGlobal();
  expect(global.sobjects.map((one) => one.name)).toEqual(
    expect.arrayContaining([
      'Contact',
      'Account',
      'Subscription__c',
      'ContactShare',
      'Ext__x',
      'Log__b',
      'LoginHistory',
    ]),
  );
  const contact = await connection.describe('Contact');
  const scalar = contact.fields.filter((field) => field.type !== 'address');
  expect(scalar.length).toBeGreaterThanOrEqual(25);
  expect(new Set(scalar.map((field) => field.type)).size).toBeGreaterThanOrEqual(12);
  expect(contact.fields.find((field) => field.name === 'MailingCity')?.compoundFieldName).toBe(
    'MailingAddress',
  );
  expect(contact.fields.find((field) => field.name === 'Greeting__c')?.calculated).toBe(true);
});

test('query and queryMore give every live row once, queryAll the deleted ones too', async () => {
  sandbox.data.delete('Contact', 10);
  const ids = new Set<string>();
  let page = await connection.query<{ Id: string }>('SELECT Id FROM Contact');
  const total = page.totalSize;
  for (;;) {
    for (const record of page.records) ids.add(record.Id);
    if (page.done || page.nextRecordsUrl === undefined) break;
    page = await connection.queryMore(page.nextRecordsUrl);
  }
  expect(ids.size).toBe(total);
  expect(ids.has(sandbox.data.idOf('Contact', 10))).toBe(false);
  const all = await connection.query('SELECT Id, IsDeleted FROM Contact', { scanAll: true });
  expect(all.totalSize).toBe(total + sandbox.data.countTruth('Contact').deleted);
});

test('rows hold what the truth says, typed', async () => {
  const id = sandbox.data.idOf('Contact', 78);
  const row = await connection.sobject('Contact').retrieve(id);
  const truth = sandbox.data.get('Contact', id)?.values;
  expect(row['LastName']).toBe(truth?.['LastName']);
  expect(truth?.['Visits__c']).toMatch(/^-?\d+\.0$/);
  expect(row['Visits__c']).toBe(Number(truth?.['Visits__c']));
  expect(row['DoNotCall']).toBe(truth?.['DoNotCall'] === 'true');
  expect(row['SystemModstamp']).toBe(truth?.['SystemModstamp']?.replace('Z', '+0000'));
});

test('create, update, upsert, delete', async () => {
  const contacts = connection.sobject('Contact');
  const made = await contacts.create({ LastName: 'Ørsted', External_Id__c: 'ext-1' });
  if (!made.success) throw new Error('not created');
  await contacts.update({ Id: made.id, Title: 'Boss' });
  expect(await contacts.retrieve(made.id)).toMatchObject({ Title: 'Boss', LastName: 'Ørsted' });
  const again = await contacts.upsert({ External_Id__c: 'ext-1', Title: 'Head' }, 'External_Id__c');
  expect(again).toMatchObject({ success: true, id: made.id });
  await contacts.destroy(made.id);
  await expect(contacts.retrieve(made.id)).rejects.toMatchObject({ errorCode: 'ENTITY_IS_DELETED' });
});

test('a stale If-Unmodified-Since is refused with 412', async () => {
  const id = sandbox.data.idOf('Contact', 5);
  const headers = { 'If-Unmodified-Since': new Date(Date.now() - 60_000).toUTCString() };
  sandbox.data.update('Contact', id, { Title: 'theirs' });
  await expect(
    connection.sobject('Contact').update({ Id: id, Title: 'ours' }, { headers }),
  ).rejects.toMatchObject({
    errorCode: 'PRECONDITION_FAILED',
  });
  expect(sandbox.data.get('Contact', id)?.values['Title']).toBe('theirs');
});

test('updated and deleted', async () => {
  sandbox.data.update('Account', 3, { Name: 'Changed' });
  sandbox.data.delete('Account', 4);
  const [start, end] = [
    new Date(Date.now() - 600_000).toISOString(),
    new Date(Date.now() + 5000).toISOString(),
  ];
  const updated = await connection.sobject('Account').updated(start, end);
  expect(updated.ids).toEqual([sandbox.data.idOf('Account', 3)]);
  const deleted = await connection.sobject('Account').deleted(start, end);
  expect(deleted.deletedRecords.map((one) => one.id)).toEqual([sandbox.data.idOf('Account', 4)]);
  expect(Date.parse(updated.latestDateCovered)).toBeLessThanOrEqual(Date.now());
});

test('errors carry Salesforce codes, limits count calls', async () => {
  await expect(connection.query('SELECT Nope FROM Contact')).rejects.toMatchObject({
    errorCode: 'INVALID_FIELD',
  });
  await expect(connection.query('SELECT Id FRM Contact')).rejects.toMatchObject({
    errorCode: 'MALFORMED_QUERY',
  });
  const limits = await connection.limits();
  expect(limits['DailyApiRequests']?.Remaining).toBe(100_000 - sandbox.stats.report().apiRequests);
  expect(connection.limitInfo.apiUsage).toMatchObject({ limit: 100_000 });
});
