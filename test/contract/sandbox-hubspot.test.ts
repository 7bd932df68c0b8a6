import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from '@hubspot/api-client';
import { FilterOperatorEnum } from '@hubspot/api-client/lib/codegen/crm/contacts/models/Filter.js';
import { AssociationSpecAssociationCategoryEnum } from '@hubspot/api-client/lib/codegen/crm/associations/v4/models/AssociationSpec.js';
import {
  PropertyCreateFieldTypeEnum,
  PropertyCreateTypeEnum,
} from '@hubspot/api-client/lib/codegen/crm/properties/models/PropertyCreate.js';
import { startHubSpotSandbox, type HubSpotSandbox, type TruthRow } from '../../sandbox/hubspot/server.ts';

/** HubSpot's own client, unmodified, is the judge of the sandbox's shapes. */
let sandbox: HubSpotSandbox;
let client: Client;

const UNLIMITED = { tenSecondCallsMax: 100_000, searchesPerSecondMax: 100_000 };

beforeAll(async () => {
  sandbox = await startHubSpotSandbox({ records: 4000, seed: 11, ...UNLIMITED });
  client = new Client({ accessToken: sandbox.privateToken, basePath: sandbox.url });
});
afterAll(() => sandbox.close());

async function truthOf(object: string): Promise<Map<string, TruthRow>> {
  const rows = new Map<string, TruthRow>();
  for await (const row of sandbox.data.truth(object)) if (!row.archived) rows.set(row.id, row);
  return rows;
}

test('a list gives every live record once, with the wanted properties as text', async () => {
  sandbox.data.archive('contacts', 10);
  const truth = await truthOf('contacts');
  const listed = await client.crm.contacts.getAll(100, undefined, ['email', 'total_revenue']);
  expect(new Set(listed.map(({ id }) => id))).toEqual(new Set(truth.keys()));
  expect(listed).toHaveLength(truth.size);
  for (const { id, properties, updatedAt } of listed) {
    expect(properties['email']).toBe(truth.get(id)?.values['email']);
    expect(properties['total_revenue']).toBe(truth.get(id)?.values['total_revenue']);
    expect(updatedAt.getTime()).toBe(truth.get(id)?.stampMs);
  }
  const archived = await client.crm.contacts.getAll(100, undefined, undefined, undefined, undefined, true);
  expect(archived.map(({ id }) => id)).toEqual([sandbox.data.idOf('contacts', 10)]);
  expect(archived[0]?.archivedAt).toBeInstanceOf(Date);
});

test('search pages through a window in the order of the modified date', async () => {
  const truth = [...(await truthOf('contacts')).values()];
  const stamps = truth.map(({ stampMs }) => stampMs).toSorted((a, b) => a - b);
  const [from, until] = [stamps[200]!, stamps[900]!];
  const found: number[] = [];
  let after: string | undefined;
  do {
    const page = await client.crm.contacts.searchApi.doSearch({
      filterGroups: [
        {
          filters: [
            { propertyName: 'lastmodifieddate', operator: FilterOperatorEnum.Gte, value: String(from) },
            { propertyName: 'lastmodifieddate', operator: FilterOperatorEnum.Lt, value: String(until) },
          ],
        },
      ],
      sorts: ['lastmodifieddate'],
      properties: ['lastmodifieddate'],
      limit: 200,
      ...(after === undefined ? {} : { after }),
    });
    expect(page.total).toBe(stamps.filter((stamp) => stamp >= from && stamp < until).length);
    found.push(...page.results.map(({ updatedAt }) => updatedAt.getTime()));
    after = page.paging?.next?.after;
  } while (after !== undefined);
  expect(found).toEqual(stamps.filter((stamp) => stamp >= from && stamp < until));
});

test('batch read finds by id and by e-mail, and names what is missing', async () => {
  const id = sandbox.data.idOf('contacts', 3);
  sandbox.data.update('contacts', 3, { email: 'Known.Person@example.com', firstname: 'Known' });
  const inputs = [{ id }, { id: '4' }];
  const read = await client.crm.contacts.batchApi.read({
    inputs,
    properties: ['firstname'],
    propertiesWithHistory: ['firstname'],
  });
  expect(read.results.map((one) => one.id)).toEqual([id]);
  expect(read).toMatchObject({ numErrors: 1, errors: [{ context: { ids: ['4'] } }] });
  const history = read.results[0]?.propertiesWithHistory?.['firstname'];
  expect(history?.map(({ value }) => value)).toEqual(['Known', expect.any(String)]);
  const byMail = await client.crm.contacts.batchApi.read({
    idProperty: 'email',
    inputs: [{ id: 'KNOWN.person@example.com' }],
    properties: ['email'],
    propertiesWithHistory: [],
  });
  expect(byMail.results.map((one) => one.id)).toEqual([id]);
});

test('every base e-mail is found by itself', async () => {
  const truth = [...(await truthOf('contacts')).values()].filter((row) => row.values['email'] !== null);
  const some = truth.filter((_, n) => n % 17 === 0).slice(0, 100);
  const read = await client.crm.contacts.batchApi.read({
    idProperty: 'email',
    inputs: some.map((row) => ({ id: row.values['email']! })),
    properties: ['email'],
    propertiesWithHistory: [],
  });
  expect(read.results.map(({ id }) => id).toSorted()).toEqual(some.map(({ id }) => id).toSorted());
});

test('records are created, changed and archived; a known e-mail is a conflict', async () => {
  const api = client.crm.contacts.basicApi;
  const made = await api.create({
    properties: { email: 'New.One@example.com', firstname: 'New' },
    associations: [],
  });
  expect(made.properties['email']).toBe('new.one@example.com');
  await expect(
    api.create({ properties: { email: 'NEW.one@example.com' }, associations: [] }),
  ).rejects.toMatchObject({
    code: 409,
    body: { category: 'CONFLICT', message: expect.stringContaining(made.id) },
  });
  await expect(api.create({ properties: { nonsense: 'x' }, associations: [] })).rejects.toMatchObject({
    code: 400,
    body: { category: 'VALIDATION_ERROR' },
  });
  const before = (await api.getById(made.id)).updatedAt.getTime();
  sandbox.clock.advance(5000);
  await api.update(made.id, { properties: { firstname: 'Newer', topics: 'chess;music' } });
  const changed = await api.getById(made.id, ['firstname', 'topics', 'country']);
  expect(changed.properties).toMatchObject({ firstname: 'Newer', topics: 'chess;music', country: null });
  expect(changed.updatedAt.getTime()).toBeGreaterThanOrEqual(before + 5000);
  await api.archive(made.id);
  await expect(api.getById(made.id)).rejects.toMatchObject({ code: 404 });
  expect((await api.getById(made.id, undefined, undefined, undefined, true)).archived).toBe(true);
  sandbox.data.restore('contacts', made.id);
  expect((await api.getById(made.id)).archived).toBe(false);
});

test('batches create, update, upsert and archive', async () => {
  const api = client.crm.companies.batchApi;
  const properties = (name: string): Record<string, string> => ({ name });
  const inputs = ['One', 'Two'].map((name) => ({ properties: properties(name), associations: [] }));
  const made = (await api.create({ inputs })).results.map(({ id }) => id);
  const updated = await api.update({ inputs: made.map((id) => ({ id, properties: properties('Both') })) });
  expect(updated.results.map((one) => one.properties['name'])).toEqual(['Both', 'Both']);
  await api.archive({ inputs: made.map((id) => ({ id })) });
  await expect(client.crm.companies.basicApi.getById(made[0]!)).rejects.toMatchObject({ code: 404 });
  const upsert = (firstname: string) =>
    client.crm.contacts.batchApi.upsert({
      inputs: [{ id: 'upserted@example.com', idProperty: 'email', properties: { firstname } }],
    });
  const first = (await upsert('First')).results[0];
  const second = (await upsert('Second')).results[0];
  expect([first, second]).toMatchObject([{ _new: true }, { _new: false, id: first?.id }]);
});

test('a merge makes a new id, and both old ids lead to it', async () => {
  const [primary, other] = [20, 21].map((index) => sandbox.data.idOf('contacts', index));
  const companies = await client.crm.associations.v4.batchApi.getPage('contacts', 'companies', {
    inputs: [{ id: primary! }, { id: other! }],
  });
  const linked = companies.results.flatMap(({ to }) => to.map(({ toObjectId }) => toObjectId));
  const merged = await client.crm.contacts.basicApi.merge({
    primaryObjectId: primary!,
    objectIdToMerge: other!,
  });
  expect([primary, other]).not.toContain(merged.id);
  expect(merged.properties['hs_merged_object_ids']).toBe(`${primary};${other}`);
  const read = await client.crm.contacts.batchApi.read({
    inputs: [{ id: primary! }, { id: other! }],
    properties: ['hs_merged_object_ids'],
    propertiesWithHistory: [],
  });
  expect(read.results.map(({ id }) => id)).toEqual([merged.id]);
  const after = await client.crm.associations.v4.batchApi.getPage('contacts', 'companies', {
    inputs: [{ id: merged.id }],
  });
  expect(after.results.flatMap(({ to }) => to.map(({ toObjectId }) => toObjectId)).toSorted()).toEqual(
    [...new Set(linked)].toSorted(),
  );
  expect((await truthOf('contacts')).has(primary!)).toBe(false);
});

test('associations have types and labels in both directions, and move no date', async () => {
  const contact = sandbox.data.idOf('contacts', 30);
  const company = sandbox.data.idOf('companies', 30);
  const before = sandbox.data.get('contacts', 30).stampMs;
  const batch = client.crm.associations.v4.batchApi;
  await batch.create('contacts', 'companies', {
    inputs: [
      {
        _from: { id: contact },
        to: { id: company },
        types: [
          { associationCategory: AssociationSpecAssociationCategoryEnum.UserDefined, associationTypeId: 36 },
        ],
      },
    ],
  });
  const typesOf = async (from: string, to: string, id: string, other: string) => {
    const page = await batch.getPage(from, to, { inputs: [{ id }] });
    const found = page.results[0]?.to.find(({ toObjectId }) => toObjectId === other);
    return found?.associationTypes.map(({ typeId }) => typeId).toSorted();
  };
  expect(await typesOf('contacts', 'companies', contact, company)).toEqual([279, 36]);
  expect(await typesOf('companies', 'contacts', company, contact)).toEqual([280, 37]);
  expect(sandbox.data.get('contacts', 30).stampMs).toBe(before);
  await batch.archive('contacts', 'companies', {
    inputs: [{ _from: { id: contact }, to: [{ id: company }] }],
  });
  expect(await typesOf('contacts', 'companies', contact, company)).toBeUndefined();
  const old = await client.crm.associations.batchApi.read('contacts', 'companies', {
    inputs: [{ id: sandbox.data.idOf('contacts', 31) }],
  });
  expect(old.results[0]?.to.map(({ type }) => type)).toEqual([
    'contact_to_company_unlabeled',
    'contact_to_company',
  ]);
});

test('associations of one record come in pages', async () => {
  sandbox.behaviour.associationPageRowsMax = 2;
  const company = sandbox.data.idOf('companies', 40);
  for (let n = 100; n < 105; n++) sandbox.data.associate('companies', 40, 'contacts', n);
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = await client.crm.associations.v4.batchApi.getPage('companies', 'contacts', {
      inputs: [{ id: company, ...(after === undefined ? {} : { after }) }],
    });
    const one = page.results[0];
    found.push(...(one?.to ?? []).map(({ toObjectId }) => toObjectId));
    after = one?.paging?.next?.after;
  } while (after !== undefined);
  sandbox.behaviour.associationPageRowsMax = 500;
  const listed = await client.crm.associations.v4.basicApi.getPage('companies', company, 'contacts');
  expect(found).toEqual(listed.results.map(({ toObjectId }) => toObjectId));
  expect(found.length).toBeGreaterThanOrEqual(5);
});

test('properties, schemas, owners and pipelines are described', async () => {
  const contacts = await client.crm.properties.coreApi.getAll('contacts');
  const byName = new Map(contacts.results.map((one) => [one.name, one]));
  expect(byName.get('lastmodifieddate')?.type).toBe('datetime');
  expect(byName.has('hs_lastmodifieddate')).toBe(false);
  expect(byName.get('email')?.hasUniqueValue).toBe(true);
  expect(byName.get('topics')?.options.map(({ value }) => value)).toContain('arts & crafts');
  const made = await client.crm.properties.coreApi.create('deals', {
    ...{ name: 'risk', label: 'Risk', groupName: 'dealinformation' },
    ...{ type: PropertyCreateTypeEnum.Number, fieldType: PropertyCreateFieldTypeEnum.Number },
  });
  expect(made).toMatchObject({ name: 'risk', hubspotDefined: false });
  const schemas = await client.crm.schemas.coreApi.getAll();
  expect(schemas.results.map(({ objectTypeId }) => objectTypeId)).toEqual(['2-1870042']);
  const byFullName = await client.crm.objects.basicApi.getPage('p62515_memberships', 5);
  expect(byFullName.results).toHaveLength(5);
  const owners = await client.crm.owners.ownersApi.getPage();
  const owner = await client.crm.owners.ownersApi.getById(Number(owners.results[0]!.id));
  expect(owner.email).toBe(owners.results[0]?.email);
  const pipelines = await client.crm.pipelines.pipelinesApi.getAll('deals');
  expect(pipelines.results[0]?.stages.map(({ id }) => id)).toContain('closedwon');
});

test('OAuth: code, refresh, facts, expiry', async () => {
  const app = { clientId: sandbox.clientId, clientSecret: sandbox.clientSecret };
  const redirect = 'http://127.0.0.1:9/callback';
  const asked = new URL(`${sandbox.url}/oauth/authorize`);
  asked.search = new URLSearchParams({
    client_id: app.clientId,
    redirect_uri: redirect,
    state: 's',
  }).toString();
  const answer = await fetch(asked, { redirect: 'manual' });
  const code = new URL(answer.headers.get('location') ?? '').searchParams.get('code')!;
  const guest = new Client({ basePath: sandbox.url });
  const token = guest.oauth.tokensApi;
  const granted = await token.create('authorization_code', code, redirect, app.clientId, app.clientSecret);
  expect(granted.expiresIn).toBe(1800);
  await expect(
    token.create('authorization_code', code, redirect, app.clientId, app.clientSecret),
  ).rejects.toMatchObject({ code: 400 });
  const user = new Client({ accessToken: granted.accessToken, basePath: sandbox.url });
  await user.crm.deals.basicApi.getPage(1);
  expect(await guest.oauth.accessTokensApi.get(granted.accessToken)).toMatchObject({
    hubId: sandbox.portalId,
  });
  sandbox.clock.advance(31 * 60_000);
  await expect(user.crm.deals.basicApi.getPage(1)).rejects.toMatchObject({
    code: 401,
    body: { category: 'EXPIRED_AUTHENTICATION' },
  });
  const refresh = () =>
    token.create('refresh_token', undefined, undefined, app.clientId, app.clientSecret, granted.refreshToken);
  user.setAccessToken((await refresh()).accessToken);
  await user.crm.deals.basicApi.getPage(1);
  sandbox.tokens.revokeAll();
  await expect(refresh()).rejects.toMatchObject({ code: 400, body: { status: 'BAD_REFRESH_TOKEN' } });
});
