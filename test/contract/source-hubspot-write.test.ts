import { expect, test } from '@jest/globals';
import { Client } from '@hubspot/api-client';
import { connect, freshAccount, sandbox } from './hubspot-fixture.ts';
import { sourceWriteSuite } from './source-write-suite.ts';

const ROW = 7;
const id = () => sandbox.data.idOf('contacts', ROW);
const value = (field: string) => sandbox.data.get('contacts', ROW).values[field];

freshAccount();

sourceWriteSuite({
  name: 'hubspot',
  object: 'contacts',
  text: 'jobtitle',
  other: 'city',
  readOnly: 'createdate',
  record: id,
  connect: () => connect(),
  truth: value,
  change: (values) => sandbox.data.update('contacts', ROW, values),
  now: () => new Date(sandbox.clock.now()).toISOString(),
  advance: (ms) => sandbox.clock.advance(ms),
  rule(matches) {
    sandbox.behaviour.validations = [{ object: 'contacts', field: 'jobtitle', matches, message: 'no' }];
  },
  trigger() {
    sandbox.behaviour.triggers = [{ object: 'contacts', field: 'jobtitle', to: 'upper' }];
  },
  fail(how) {
    const action = how === 'unavailable' ? { status: 503 } : { resetAfterWork: true as const };
    sandbox.faults.add({ match: { method: 'PATCH', times: 1 }, action });
  },
  writes: () => sandbox.stats.get('PATCH record contacts') ?? 0,
  codes: { readOnly: 'READ_ONLY_VALUE', rule: 'VALIDATION_RULE', gone: 'OBJECT_NOT_FOUND' },
  remove: () => sandbox.data.archive('contacts', ROW),
});

test('a record that was merged into another one is not written to by its old id', async () => {
  const source = connect();
  const schema = await source.describe('contacts');
  const record = id();
  sandbox.data.merge('contacts', 8, ROW);
  const receipt = await source.write?.(
    { schema, record, values: { jobtitle: 'Chief' }, unlessChangedSince: null },
    new AbortController().signal,
  );
  expect(receipt).toEqual({ outcome: 'refused', code: 'OBJECT_NOT_FOUND', field: null });
});

test("the sandbox refuses in the vendor's form: its own client reads code and property", async () => {
  sandbox.behaviour.validations = [
    { object: 'contacts', field: 'jobtitle', matches: '^[A-Z]', message: 'no' },
  ];
  const client = new Client({ accessToken: sandbox.privateToken, basePath: sandbox.url });
  await expect(
    client.crm.contacts.basicApi.update(id(), { properties: { jobtitle: 'chief' } }),
  ).rejects.toMatchObject({
    code: 400,
    body: { category: 'VALIDATION_ERROR', errors: [{ code: 'VALIDATION_RULE' }] },
  });
  const changed = await client.crm.contacts.basicApi.update(id(), { properties: { jobtitle: 'Chief' } });
  expect(changed.properties['jobtitle']).toBe('Chief');
});
