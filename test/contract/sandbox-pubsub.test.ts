/** The sandbox's Pub/Sub API as a client sees it that others have written: the npm package salesforce-pubsub-api-client. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import PubSubApiClient from 'salesforce-pubsub-api-client';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { selfSigned } from '../support/certificate.ts';
import { until } from './topics-fixture.ts';

const ALL = '/data/ChangeEvents';
const CONTACTS = '/data/ContactChangeEvent';

interface Told {
  replayId: number;
  payload: { ChangeEventHeader: Record<string, unknown>; [field: string]: unknown };
}

let sandbox: SalesforceSandbox;
let client: PubSubApiClient;
let clients: PubSubApiClient[];
let told: Told[];
let errors: unknown[];
let alive: number;

async function connected(clientSecret = sandbox.clientSecret): Promise<PubSubApiClient> {
  const { url, clientId, pubsub } = sandbox;
  const made = new PubSubApiClient(
    {
      authType: 'oauth-client-credentials',
      ...{ loginUrl: url, clientId, clientSecret },
      pubSubEndpoint: new URL(pubsub?.url ?? '').host,
      rejectUnauthorizedSsl: false,
    },
    { debug: () => undefined, info: () => undefined, error: () => undefined, warn: () => undefined },
  );
  clients.push(made);
  await made.connect();
  return made;
}

/** What the client calls back with. */
function hear(_subscription: unknown, kind: string, data?: unknown): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as its documentation describes an event.
  if (kind === 'event') told.push(data as Told);
  if (kind === 'error') errors.push(data);
  if (kind === 'grpcKeepAlive') alive += 1;
}

beforeEach(async () => {
  [clients, told, errors, alive] = [[], [], [], 0];
  sandbox = await startSalesforceSandbox({
    objects: { Contact: 20, Account: 5 },
    records: 100,
    tokenLifeMs: 365 * 86_400_000,
    pubsub: { tls: selfSigned('127.0.0.1'), keepaliveMs: 150 },
  });
  client = await connected();
});
afterEach(async () => {
  // The other order would leave its streams without anybody who hears how they end.
  await sandbox.close();
  for (const one of clients) one.close();
});

const idOf = (index: number) => sandbox.data.idOf('Contact', index);
const headers = () => told.map(({ payload }) => payload.ChangeEventHeader);
const heard = (count: number) => until(() => Promise.resolve(told.length === count));

test('events of every kind, with header, changed fields and values', async () => {
  client.subscribe(ALL, hear, 100);
  await until(() => Promise.resolve(alive > 0));
  sandbox.data.update('Contact', 1, { Title: 'Told', Department: null });
  sandbox.data.delete('Contact', 2);
  sandbox.data.undelete('Contact', 2);
  const created = sandbox.data.create('Account', { Name: 'New' });
  await heard(4);
  expect(
    headers().map(({ entityName, changeType, recordIds }) => [entityName, changeType, recordIds]),
  ).toEqual([
    ['Contact', 'UPDATE', [idOf(1)]],
    ['Contact', 'DELETE', [idOf(2)]],
    ['Contact', 'UNDELETE', [idOf(2)]],
    ['Account', 'CREATE', [created]],
  ]);
  expect(headers()[0]).toMatchObject({
    changedFields: ['Title', 'Department'],
    nulledFields: ['Department'],
  });
  expect(told[0]?.payload).toMatchObject({ Title: 'Told', Department: null });
  expect(told[3]?.payload['Name']).toBe('New');
  expect(errors).toEqual([]);
});

test('a topic of one object, from a replay id on, and from the earliest event', async () => {
  for (let index = 0; index < 5; index += 1) sandbox.data.update('Contact', index, { Title: `t${index}` });
  sandbox.data.update('Account', 1, { Name: 'Another topic' });
  client.subscribeFromEarliestEvent(CONTACTS, hear, 100);
  await heard(5);
  const from = told[2]?.replayId ?? 0;
  expect(told.map(({ payload }) => payload['Title'])).toEqual(['t0', 't1', 't2', 't3', 't4']);
  told = [];
  const other = await connected();
  other.subscribeFromReplayId(CONTACTS, hear, 100, from);
  await heard(2);
  expect(told.map(({ payload }) => payload['Title'])).toEqual(['t3', 't4']);
});

test('no more comes than was asked for, until more is', async () => {
  for (let index = 0; index < 10; index += 1) sandbox.data.update('Contact', index, { Title: `t${index}` });
  client.subscribeFromEarliestEvent(CONTACTS, hear, 4);
  await heard(4);
  await until(() => Promise.resolve(alive > 1));
  expect(told).toHaveLength(4);
  client.requestAdditionalEvents(CONTACTS, 3);
  await heard(7);
});

test('a replay id that is too old is refused with the code of the service', async () => {
  sandbox.data.update('Contact', 1, { Title: 'Old' });
  client.subscribeFromEarliestEvent(CONTACTS, hear, 100);
  await heard(1);
  const from = (told[0]?.replayId ?? 0) - 1;
  sandbox.clock.advance(73 * 3_600_000);
  sandbox.data.update('Contact', 1, { Title: 'New' });
  const other = await connected();
  other.subscribeFromReplayId(CONTACTS, hear, 100, from);
  await until(() => Promise.resolve(errors.length > 0));
  expect(errors[0]).toMatchObject({ code: 3 });
  const { metadata } = Object(errors[0]);
  expect(metadata.get('error-code')).toEqual([
    'sfdc.platform.eventbus.grpc.subscription.fetch.replayid.validation.failed',
  ]);
});

test('a change over REST names the API and its client', async () => {
  client.subscribe(ALL, hear, 100);
  await until(() => Promise.resolve(alive > 0));
  const { url, clientId, clientSecret } = sandbox;
  const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
  const login = await fetch(`${url}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  });
  const { access_token: token } = Object(await login.json());
  await fetch(`${url}/services/data/v66.0/sobjects/Contact/${idOf(3)}`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${token}`, 'sforce-call-options': 'client=Somebody' },
    body: JSON.stringify({ Title: 'By REST' }),
  });
  await heard(1);
  expect(headers()[0]).toMatchObject({ changeOrigin: 'com/salesforce/api/rest/66.0;client=Somebody' });
});
