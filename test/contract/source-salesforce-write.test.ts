import { expect, test } from '@jest/globals';
import { Connection } from 'jsforce';
import { connect, sandbox } from './salesforce-fixture.ts';
import { sourceWriteSuite } from './source-write-suite.ts';

const ROW = 7;
const id = () => sandbox.data.idOf('Contact', ROW);
const value = (field: string) => sandbox.data.get('Contact', ROW)?.values[field];

sourceWriteSuite({
  name: 'salesforce',
  object: 'Contact',
  text: 'Title',
  other: 'Department',
  readOnly: 'CreatedDate',
  record: id,
  connect: () => connect(),
  truth: value,
  change: (values) => sandbox.data.update('Contact', ROW, values),
  now: () => new Date(sandbox.clock.now()).toISOString(),
  advance: (ms) => sandbox.clock.advance(ms),
  rule(matches) {
    sandbox.behaviour.validations = [{ object: 'Contact', field: 'Title', matches, message: 'no' }];
  },
  trigger() {
    sandbox.behaviour.triggers = [{ object: 'Contact', field: 'Title', to: 'upper' }];
  },
  fail(how) {
    const action = how === 'unavailable' ? { status: 503 } : { resetAfterWork: true as const };
    sandbox.faults.add({ match: { method: 'PATCH', times: 1 }, action });
  },
  writes: () => sandbox.stats.of('PATCH rest.record'),
  codes: {
    readOnly: 'INVALID_FIELD_FOR_INSERT_UPDATE',
    rule: 'FIELD_CUSTOM_VALIDATION_EXCEPTION',
    gone: 'ENTITY_IS_DELETED',
  },
  remove: () => sandbox.data.delete('Contact', ROW),
});

test('an edit between reading and writing is refused by the org, and told as moved', async () => {
  const source = connect();
  const schema = await source.describe('Contact');
  const before = value('Title');
  sandbox.clock.advance(5_000);
  // The PATCH itself waits; meanwhile somebody else saves.
  sandbox.faults.add({ match: { method: 'PATCH', times: 1 }, action: { delayMs: 300 } });
  const writing = source.write?.(
    { schema, record: id(), values: { Title: 'Chief' }, unlessChangedSince: null },
    new AbortController().signal,
  );
  const patching = () => sandbox.stats.of('PATCH rest.record') > 0;
  for (let tries = 0; tries < 200 && !patching(); tries += 1)
    await new Promise((next) => setTimeout(next, 5));
  sandbox.data.update('Contact', ROW, { Department: 'News' });
  expect(await writing).toMatchObject({ outcome: 'moved' });
  expect(value('Title')).toBe(before);
});

test('numbers keep all of their digits on the way there', async () => {
  const source = connect({ objects: ['Account'] });
  const schema = await source.describe('Account');
  const record = sandbox.data.idOf('Account', 3);
  const receipt = await source.write?.(
    { schema, record, values: { AnnualRevenue: '1234567890123456.78' }, unlessChangedSince: null },
    new AbortController().signal,
  );
  expect(receipt).toMatchObject({ outcome: 'written' });
  expect(sandbox.data.get('Account', 3)?.values['AnnualRevenue']).toMatch(/^123456789012345/);
});

test("the sandbox refuses in the vendor's form: jsforce reads code and fields", async () => {
  sandbox.behaviour.validations = [{ object: 'Contact', field: 'Title', matches: '^[A-Z]', message: 'no' }];
  const oauth2 = {
    clientId: sandbox.clientId,
    clientSecret: sandbox.clientSecret,
    loginUrl: sandbox.loginUrl,
  };
  const connection = new Connection({ instanceUrl: sandbox.url, version: '66.0', oauth2 });
  await connection.authorize({ grant_type: 'client_credentials' });
  await expect(connection.sobject('Contact').update({ Id: id(), Title: 'chief' })).rejects.toMatchObject({
    errorCode: 'FIELD_CUSTOM_VALIDATION_EXCEPTION',
    data: { fields: ['Title'] },
  });
  const stale = { headers: { 'If-Unmodified-Since': new Date(0).toUTCString() } };
  await expect(
    connection.sobject('Contact').update({ Id: id(), Title: 'Chief' }, stale),
  ).rejects.toMatchObject({ errorCode: 'PRECONDITION_FAILED' });
});
