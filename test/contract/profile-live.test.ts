/** Values younger than those at hand: asked of the sources by the inbox, by one question for all who wait. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InboxRow } from '../../stores/inbox/inbox.ts';
import { record, START_MS, startProfileApi, type ProfileApi } from '../support/profile-api.ts';
import { patient } from '../support/patience.ts';

const MINUTE_MS = 60_000;

let api: ProfileApi;
let title = 'Engineer';
/** What the stand-in for the fast lane took, in its order; it works while this is true. */
const taken: InboxRow[] = [];
let draining = false;
const ended = new AbortController();
let drainer: Promise<void>;

/** Does what the worker does: takes, fetches the record as it is now, adds it to the claims, says so. */
async function drain(): Promise<void> {
  for (let after = 0; !ended.signal.aborted; await sleep(5)) {
    if (!draining) continue;
    const rows = await api.inbox.take('crm', after, 100);
    if (rows.length === 0) continue;
    after = rows.at(-1)?.position ?? after;
    taken.push(...rows);
    for (const row of rows) {
      const ms = api.clock.ms;
      const fields =
        row.object === 'Order'
          ? { number: row.record, status: 'paid', fulfilmentStatus: 'shipped' }
          : { email: `${row.record}@example.org`, jobTitle: title };
      const entity = row.object === 'Order' ? 'order' : 'contact';
      await api.apply(record(entity, row.object, row.record, fields, ms));
    }
    await api.inbox.claimed(
      'crm',
      rows.map(({ position }) => position),
    );
  }
}

beforeAll(async () => {
  api = await startProfileApi({ serve: { liveWithin: '300ms' } });
  drainer = drain();
}, 60_000);
afterAll(async () => {
  ended.abort();
  await drainer;
  await api.close();
});

async function person(name: string): Promise<string> {
  await api.apply(record('contact', 'Contact', name, { email: `${name}@example.org`, jobTitle: 'Engineer' }));
  return await api.idOf('Contact', name);
}

describe('max_age', () => {
  test('young enough asks nobody', async () => {
    const id = await person('ann');
    await api.prove('Contact', START_MS - MINUTE_MS);
    await sleep(1_100);
    const before = taken.length;
    const answer = await api.get(`/v1/profiles/${id}?max_age=2m`);
    expect(answer.body.stale).toBeUndefined();
    expect(taken.length).toBe(before);
  });

  test('without an answer in time: the old value, marked, with the reason; require=fresh is 503', async () => {
    const id = await person('bob');
    draining = false;
    const started = performance.now();
    const answer = await api.get(`/v1/profiles/${id}?max_age=10s`);
    expect(performance.now() - started).toBeLessThan(patient(1_000));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ stale: true, stale_reason: 'the source did not answer in time' });
    expect(answer.body.fields.jobTitle.value).toBe('Engineer');
    const refused = await api.get(`/v1/profiles/${id}?max_age=10s&require=fresh`);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.body.stale_reason).toBe('the source did not answer in time');
    draining = true;
    for (;;) {
      const { waiting } = (await api.inbox.states()).find(({ connection }) => connection === 'crm')!;
      const done = taken.filter(({ record: name }) => name === 'bob').length;
      if (done >= 1 && waiting >= 0) break;
      await sleep(10);
    }
  });

  test('the source is read once for all who ask at the same time, and the answer is what it said', async () => {
    const id = await person('carl');
    draining = true;
    title = 'Director';
    const before = taken.length;
    const all = await Promise.all(
      Array.from({ length: 20 }, async () => await api.get(`/v1/profiles/${id}?max_age=10s&require=fresh`)),
    );
    for (const { status, body } of all) {
      expect(status).toBe(200);
      expect(body.fields.jobTitle).toMatchObject({ value: 'Director', age_s: 0 });
      expect(body.stale).toBeUndefined();
    }
    const asked = taken.slice(before);
    expect(asked.map(({ record: name }) => name)).toEqual(['carl']);
    expect(asked[0]?.id).toMatch(/^live:/);
    // What was just read is young enough for the next.
    await api.get(`/v1/profiles/${id}?max_age=10s`);
    expect(taken.length).toBe(before + 1);
  });
});

describe('live fields', () => {
  test('are read through when they are too old, and left out with a reason when nobody answers', async () => {
    const fields = { number: 'o1', status: 'open', fulfilmentStatus: 'packed' };
    await api.apply(record('order', 'Order', 'o1', fields));
    const id = await api.idOf('Order', 'o1');
    draining = false;
    await sleep(20);
    const without = await api.get(`/v1/profiles/${id}`);
    expect(without.status).toBe(200);
    expect(without.body.fields.status.value).toBe('open');
    expect(without.body.fields.fulfilmentStatus).toBeUndefined();
    expect(without.body.omitted).toEqual([
      { field: 'fulfilmentStatus', reason: expect.stringContaining('too old') },
    ]);
    expect(without.text).not.toContain('packed');
    draining = true;
    const live = await api.get(`/v1/profiles/${id}`);
    expect(live.body.fields.fulfilmentStatus.value).toBe('shipped');
    expect(live.body.omitted).toBeUndefined();
  });
});
