/** Changes that are known and could not be read: below the reserve of a quota, or while the source is away. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InboxEvent } from '../../schemas/inbox.ts';
import type { Field, ObjectSchema } from '../../schemas/object-schema.ts';
import { patient } from '../support/patience.ts';
import { at, record, startProfileApi, type ProfileApi } from '../support/profile-api.ts';

const ANN = { email: 'ann@example.org', firstName: 'Ann', jobTitle: 'Engineer' };
const HOUR_MS = 3_600_000;

let api: ProfileApi;
let ann: string;
let events = 0;

const field = (name: string, kind: 'string' | 'date'): Field => ({
  name,
  column: name.toLowerCase(),
  type: { kind },
  sourceType: kind,
  nullable: true,
  calculated: false,
  custom: false,
});
const SCHEMA: ObjectSchema = {
  object: 'Contact',
  table: 'contact',
  key: 'Id',
  stamp: 'SystemModstamp',
  deleted: 'IsDeleted',
  fields: [
    field('Id', 'string'),
    field('Title', 'string'),
    field('Email', 'string'),
    field('Birthdate', 'date'),
  ],
  hash: 'h1',
};

beforeAll(async () => {
  api = await startProfileApi();
  await api.ledger.storeSchema('crm', SCHEMA, at(0));
}, 60_000);
afterAll(async () => await api.close());

beforeEach(async () => {
  // The inbox has a clock of its own; this one is ahead of it, so that what is accepted has waited long enough.
  api.clock.ms = Date.now() + 60_000;
  const rows = await api.inbox.take('crm', 0, 1_000);
  const positions = rows.map(({ position }) => position);
  await api.inbox.settle('crm', positions);
  events += 1;
  await api.apply(
    record('contact', 'Contact', `ann${events}`, { ...ANN, email: `ann${events}@example.org` }),
  );
  ann = await api.idOf('Contact', `ann${events}`);
});

async function told(more: Partial<InboxEvent>): Promise<number> {
  events += 1;
  const of = (await api.claims.profile(ann))?.records[0]?.record ?? '';
  const event: InboxEvent = {
    ...{ id: `e${events}`, object: 'Contact', record: of, kind: 'changed', values: null },
    at: at(Date.now() - 1_000),
    ...more,
  };
  const { positions } = await api.inbox.accept('crm', [event]);
  return positions[0] ?? 0;
}

type Body = Awaited<ReturnType<ProfileApi['get']>>['body'];

async function eventually(path: string, holds: (body: Body) => boolean): Promise<Body> {
  const until = performance.now() + patient(5_000);
  for (;;) {
    const { body } = await api.get(path);
    if (holds(body)) return body;
    if (performance.now() > until) return body;
    await sleep(20);
  }
}

const read = async (holds: (body: Body) => boolean) => await eventually(`/v1/profiles/${ann}`, holds);
const waits = (body: Body) => body.freshness.refresh_pending !== undefined;

test('a change that cannot be read is told of, and is no news once it was read', async () => {
  expect((await api.get(`/v1/profiles/${ann}`)).body.freshness.refresh_pending).toBeUndefined();
  const position = await told({});
  const body = await read(waits);
  expect(body.freshness.refresh_pending).toEqual([`crm:Contact:${body.links[0].record}`]);
  expect(body.fields.jobTitle).toMatchObject({ value: 'Engineer' });
  expect(body.fields.jobTitle.unconfirmed).toBeUndefined();
  const refused = await api.get(`/v1/profiles/${ann}?require=fresh`);
  expect(refused.status).toBe(503);
  await api.inbox.claimed('crm', [position]);
  expect(waits(await read((now) => !waits(now)))).toBe(false);
});

test('what the event says holds as unconfirmed, by the ordinary rules, and nothing is written (I1)', async () => {
  const before = await api.get(`/v1/profiles/${ann}`);
  await told({ values: { Title: 'Director' } });
  const body = await read(waits);
  expect(body.fields.jobTitle).toMatchObject({ value: 'Director', source: 'crm', unconfirmed: true });
  expect(body.fields.email.unconfirmed).toBeUndefined();
  expect(body.version).toBe(before.body.version);
  expect((await api.claims.profile(ann))?.fields['jobTitle']?.value).toBe('Engineer');
  expect(await api.claims.verify()).toMatchObject({ ok: true });
  const { profiles } = (await api.post('/v1/profiles/batch', { ids: [ann] })).body;
  expect(profiles[0].fields.jobTitle.unconfirmed).toBe(true);
  // A reader that holds the unconfirmed value must not hear "as it was" afterwards, nor the other way round.
  const now = await api.get(`/v1/profiles/${ann}`);
  expect(now.headers.get('etag')).not.toBe(before.headers.get('etag'));
  const same = await api.get(`/v1/profiles/${ann}`, {
    headers: { 'if-none-match': before.headers.get('etag') ?? '' },
  });
  expect(same.status).toBe(200);
});

test('an event older than what is known changes nothing; of two the later counts', async () => {
  await told({ values: { Title: 'Intern' }, at: at(Date.now() - 10 * 24 * HOUR_MS) });
  expect((await read(waits)).fields.jobTitle).toMatchObject({ value: 'Engineer' });
  await told({ values: { Title: 'Director' }, at: at(Date.now() - 2_000) });
  await told({ values: { Title: 'Partner' }, at: at(Date.now() - 3_000) });
  const body = await read((now) => now.fields.jobTitle.unconfirmed === true);
  expect(body.fields.jobTitle.value).toBe('Director');
});

test('values that are no text in the source, are refused by the schema or have no time are left alone', async () => {
  await told({ values: { Birthdate: '662688000000' } });
  await told({ values: { Title: 'Director' }, at: null });
  await told({ values: { Title: 4711, Unknown__c: 'x' } });
  await told({ kind: 'deleted', values: { Title: 'Gone' } });
  const { fields } = await read(waits);
  expect(fields.jobTitle).toMatchObject({ value: 'Engineer' });
  expect(fields.birthday).toBeUndefined();
  expect(JSON.stringify(fields)).not.toContain('unconfirmed');
});

test('an operator stands above it, and a mask hides it', async () => {
  const cause = { via: 'operator', run: null, actor: 'op', reason: 'test', at: at(Date.now()) } as const;
  await api.claims.override(ann, 'jobTitle', 'Captain', cause);
  await told({ values: { Title: 'Director', Email: 'new@example.org' } });
  const body = await read((now) => waits(now) && now.fields.jobTitle.value === 'Captain');
  expect(body.fields.jobTitle.unconfirmed).toBeUndefined();
  expect(body.fields.email).toMatchObject({ value: 'new@example.org', unconfirmed: true });
  const { body: masked, text } = await api.get(`/v1/profiles/${ann}`, { key: 'business' });
  expect(masked.redactions).toContain('email');
  expect(text).not.toContain('new@example.org');
});
