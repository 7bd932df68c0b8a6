/** A change of a profile reaches its systems of record, is read back, and is taken back where one of them refuses. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CRM } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { HUB, startTwoSystems, type TwoSystems } from '../support/two-systems.ts';

const TEST_MS_MAX = 60_000;

let temporal: TestTemporal;
let two: TwoSystems;

beforeAll(async () => {
  temporal = await withTemporal();
  two = await startTwoSystems(temporal, {
    writeBack: { jobTitle: [CRM, HUB], department: [CRM], lifecycleStage: [HUB], firstName: [CRM] },
  });
}, 120_000);

afterAll(async () => {
  await two.close();
  await temporal.stop();
});

const crmTitle = (index: number) => two.pipeline.sandbox.data.get('Contact', index)?.values['Title'];
const hubTitle = (index: number) => two.hubspot.data.get('contacts', index).values['jobtitle'];
const title = async (index: number) => (await two.profile(index)).fields['jobTitle'];
const wants = (jobTitle: unknown) => ({ fields: { jobTitle }, reason: 'told on the telephone' });

/** Every text of a history, also those of its payloads. */
function textsIn(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? value : '';
  return Object.values(value).map(textsIn).join('\n');
}

test(
  'both systems hold it, once each; until then it is pending in the profile; nothing of it is in Temporal (I5)',
  async () => {
    const { profile, version, records } = await two.profile(0);
    expect(records.map(({ source }) => source).toSorted()).toEqual([CRM, HUB]);
    const before = two.writes();
    const { status, headers, body } = await two.patch(profile, wants('Chief Zebra Officer'), {
      'if-match': `"${version}"`,
    });
    expect([status, headers['location']]).toEqual([202, `/v1/changes/${body.change_id}`]);
    expect(body).toMatchObject({
      state: 'pending',
      version: version + 1,
      actor: 'bot',
      fields: ['jobTitle'],
    });
    expect(body.targets.map(({ source }) => source)).toEqual([CRM, HUB]);
    const change = await two.settled(body.change_id);
    expect(change).toMatchObject({ state: 'confirmed', code: null });
    expect(change.targets.map(({ state, adjusted }) => [state, adjusted])).toEqual([
      ['confirmed', []],
      ['confirmed', []],
    ]);
    expect([crmTitle(0), hubTitle(0)]).toEqual(['Chief Zebra Officer', 'Chief Zebra Officer']);
    const golden = await title(0);
    expect(golden).toMatchObject({ value: 'Chief Zebra Officer' });
    expect(golden?.pending).toBeUndefined();
    expect(two.writes()).toEqual({ crm: before.crm + 1, hub: before.hub + 1 });
    // The hourly runs bring the same versions again: no news, no second write.
    await two.syncAll();
    expect(await title(0)).toEqual(golden);
    expect(two.writes()).toEqual({ crm: before.crm + 1, hub: before.hub + 1 });
    const handle = two.pipeline.client.workflow.getHandle(`change/${body.change_id}`);
    const history = textsIn(await handle.fetchHistory());
    expect(history).toContain(body.change_id);
    expect(history).not.toContain('Zebra');
    const { memo } = await handle.describe();
    expect(memo?.['summary']).toContain('confirmed');
    const events = await two.claims.history(profile, { field: 'jobTitle' });
    expect(events.filter(({ actor }) => actor === 'bot').map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['propose', 'observe', 'settle']),
    );
  },
  TEST_MS_MAX,
);

test(
  'when the second system refuses, the first gets its former value again, and the caller hears code and field',
  async () => {
    two.hubspot.behaviour.validations = [
      { object: 'contacts', field: 'jobtitle', matches: '^[A-Z]', message: 'no' },
    ];
    const before = await title(1);
    const { body } = await two.patch((await two.profile(1)).profile, wants('chief'));
    const change = await two.settled(body.change_id);
    two.hubspot.behaviour.validations = [];
    expect(change).toMatchObject({ state: 'refused', code: 'VALIDATION_RULE', field: 'jobTitle' });
    expect(change.targets.map(({ source, state }) => [source, state])).toEqual([
      [CRM, 'undone'],
      [HUB, 'refused'],
    ]);
    expect([crmTitle(1), hubTitle(1)]).toEqual(['Clerk', 'Clerk']);
    expect((await title(1))?.value).toBe(before?.value);
  },
  TEST_MS_MAX,
);

test(
  'a value that a trigger changes is confirmed as the system keeps it; the same again is sent to nobody',
  async () => {
    two.pipeline.sandbox.behaviour.triggers = [{ object: 'Contact', field: 'Department', to: 'upper' }];
    const { profile } = await two.profile(2);
    const wanted = { fields: { department: 'sales' }, reason: 'moved' };
    const first = await two.settled((await two.patch(profile, wanted)).body.change_id);
    expect(first).toMatchObject({ state: 'confirmed', targets: [{ adjusted: ['department'] }] });
    expect((await two.profile(2)).fields['department']?.value).toBe('SALES');
    const before = two.writes();
    const again = await two.settled((await two.patch(profile, wanted)).body.change_id);
    expect(again).toMatchObject({ state: 'confirmed', targets: [{ adjusted: ['department'] }] });
    const known = await two.patch(profile, { ...wanted, fields: { department: 'SALES' } });
    expect([known.status, known.body.state]).toEqual([200, 'confirmed']);
    expect(two.writes()).toEqual(before);
    two.pipeline.sandbox.behaviour.triggers = [];
  },
  TEST_MS_MAX,
);

test(
  "somebody else's change of the field wins, one of another field is no conflict",
  async () => {
    const { contact } = two.customer(3);
    two.pipeline.pass();
    two.pipeline.sandbox.data.update('Contact', contact, { Title: 'Theirs' });
    const mine = await two.settled(
      (await two.patch((await two.profile(3)).profile, wants('Mine'))).body.change_id,
    );
    expect(mine).toMatchObject({ state: 'refused', code: 'CHANGED_AT_SOURCE', field: 'jobTitle' });
    expect([crmTitle(3), hubTitle(3)]).toEqual(['Theirs', 'Clerk']);
    expect((await title(3))?.value).toBe('Theirs');

    two.pipeline.pass();
    two.pipeline.sandbox.data.update('Contact', two.customer(4).contact, { Department: 'News' });
    const other = await two.settled(
      (await two.patch((await two.profile(4)).profile, wants('Mine'))).body.change_id,
    );
    expect(other).toMatchObject({ state: 'confirmed' });
    expect([crmTitle(4), hubTitle(4)]).toEqual(['Mine', 'Mine']);
    expect((await two.profile(4)).fields['department']?.value).toBe('News');
  },
  TEST_MS_MAX,
);

test(
  'a system that is away is asked again; a choice goes back by its own name',
  async () => {
    two.hubspot.faults.add({ match: { method: 'PATCH', times: 2 }, action: { status: 503 } });
    const { profile } = await two.profile(5);
    const { body } = await two.patch(profile, { fields: { lifecycleStage: 'Customer' }, reason: 'bought' });
    expect(await two.settled(body.change_id)).toMatchObject({ state: 'confirmed' });
    expect(two.hubspot.data.get('contacts', 5).values['lifecyclestage']).toBe('customer');
  },
  TEST_MS_MAX,
);

test('what cannot be done is refused with its reason, and nothing changes', async () => {
  const { profile, version } = await two.profile(6);
  const events = (await two.claims.counts()).events;
  const problem = async (
    body: object,
    headers: Record<string, string> = {},
    key: 'bot' | 'reader' = 'bot',
    id = profile,
  ) => {
    const answer = await two.patch(id, body, headers, key);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    return [answer.status, answer.body['mistakes'] ?? answer.body.code ?? null];
  };
  expect(await problem(wants('x'), {}, 'reader')).toEqual([403, null]);
  expect(await problem(wants('x'), {}, 'bot', 'p_00000000000000000000000000000000')).toEqual([404, null]);
  expect(await problem(wants('x'), { 'if-match': `"${version + 1}"` })).toEqual([412, 'VERSION_CONFLICT']);
  expect(await problem({ ...wants('x'), if_match: { jobTitle: 'other' } })).toEqual([
    412,
    'VERSION_CONFLICT',
  ]);
  expect(await problem({ fields: { company: 'x' }, reason: 'y' })).toEqual([
    409,
    [{ field: 'company', reason: 'has no system of record' }],
  ]);
  expect(await problem({ fields: { email: 'no address', shoe: 1 }, reason: 'y' })).toEqual([
    422,
    [
      { field: 'email', reason: 'is not an e-mail address' },
      { field: 'shoe', reason: 'is no field of contact' },
    ],
  ]);
  expect((await problem({ fields: {}, reason: 'y' }))[0]).toBe(400);
  expect((await problem({ ...wants('x'), override: true }))[0]).toBe(403);
  expect((await problem({ fields: { birthday: '1990-01-01' }, reason: 'y' }))[0]).toBe(403);
  expect((await problem({ fields: { score: '1' }, reason: 'y', kind: 'inferred' }))[0]).toBe(400);
  expect((await two.claims.counts()).events).toBe(events);
});

test(
  'an Idempotency-Key makes one change of many requests, and means one body',
  async () => {
    const { profile } = await two.profile(7);
    const before = two.writes();
    const once = { 'idempotency-key': 'abc-1' };
    const answers = await Promise.all([1, 2, 3].map(() => two.patch(profile, wants('Once'), once)));
    const ids = new Set(answers.map(({ body }) => body.change_id));
    expect(ids.size).toBe(1);
    const [id = ''] = ids;
    expect(await two.settled(id)).toMatchObject({ state: 'confirmed' });
    const late = await two.patch(profile, wants('Once'), once);
    expect([late.status, late.body.change_id, late.body.state]).toEqual([200, id, 'confirmed']);
    expect((await two.patch(profile, wants('Twice'), once)).status).toBe(422);
    expect(two.writes()).toEqual({ crm: before.crm + 1, hub: before.hub + 1 });
  },
  TEST_MS_MAX,
);

test('what a model says is there at once, below what people said; an override of an admin above it', async () => {
  const { profile } = await two.profile(8);
  const before = two.writes();
  const model = { kind: 'inferred', confidence: 0.7, model: 'risk@3', reason: 'nightly' };
  const inferred = await two.patch(profile, { fields: { language: 'de', jobTitle: 'Guess' }, ...model });
  expect([inferred.status, inferred.body.state]).toEqual([200, 'confirmed']);
  const { fields } = await two.profile(8);
  expect(fields['language']).toMatchObject({ kind: expect.any(String) });
  expect(fields['jobTitle']?.value).toBe('Clerk');
  const override = await two.patch(
    profile,
    { fields: { company: 'Acme' }, reason: 'by hand', override: true },
    {},
    'admin',
  );
  expect([override.status, override.body.kind]).toEqual([200, 'override']);
  expect((await two.profile(8)).fields['company']).toMatchObject({ value: 'Acme', decidedBy: 'override' });
  expect(two.writes()).toEqual(before);
});
