/** What a subscriber is told of real profiles, over real HTTP: which versions, which values, and what a death repeats. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import type { Dependencies, SubscriptionSettings } from '../../activities/dependencies.ts';
import { notifySteps } from '../../activities/notify.ts';
import type { Interest } from '../../rules/notice.ts';
import { entities } from '../../schemas/entities/index.ts';
import type { DeliveryReceipt } from '../../schemas/notification.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { SIGNING_SECRET, startReceiver, type TestReceiver } from '../support/receiver.ts';
import { applyAll, cause, masterKey, options, ref, seen } from './claims-fixture.ts';
import { patient } from '../support/patience.ts';

const KEY = Buffer.from(SIGNING_SECRET.slice('whsec_'.length), 'base64');
const ALL: Interest = { where: {}, sees: ['business', 'identifier', 'personal', 'sensitive'] };
const PLAIN: Interest = { ...ALL, sees: ['business', 'identifier', 'personal'] };

let folder: string;
let claims: Claims;
let receiver: TestReceiver;
let count = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-notify-'));
  claims = await openSqliteClaims({ path: join(folder, 'claims.db'), masterKey, ...options() });
  receiver = await startReceiver();
  count = 1;
});
afterEach(async () => {
  await receiver.close();
  await claims.close();
  await rm(folder, { recursive: true, force: true });
});

/** A worker: what it remembers between rounds is gone with it. */
function worker(interest: Interest = PLAIN, consents: string[] = []) {
  const settings: SubscriptionSettings = {
    interest,
    consents,
    receiver: () => ({ url: receiver.url, keys: [KEY], allowPrivate: true }),
  };
  const stopping = new AbortController();
  const dependencies = {
    profiles: { claims, entities },
    notify: { subscriptions: new Map([['bot', settings]]), stopping: stopping.signal },
    ledger: {},
    now: Date.now,
    log: () => undefined,
  } as unknown as Dependencies;
  const { deliverChanges } = notifySteps(dependencies, { log: () => undefined, namesOf: async () => ({}) });
  const context = {
    cancellationSignal: new AbortController().signal,
    heartbeat: () => undefined,
    info: { attempt: 1 },
  } as unknown as Context;
  return {
    stop: () => stopping.abort(),
    round: async (roundMs = 200): Promise<DeliveryReceipt> =>
      await asyncLocalStorage.run(context, () =>
        deliverChanges({ given: { subscription: 'bot', tuning: { roundMs } } }),
      ),
  };
}

async function say(record: string, fields: Record<string, string | null>, source = 'crm'): Promise<void> {
  count += 1;
  await applyAll(claims, [seen(source, record, count, fields)], count);
}
const idOf = async (record: string, source = 'crm') => (await claims.profileOf(ref(source, record))) ?? '';

describe('what is told', () => {
  test('nothing of before it began; then each change with its names and values', async () => {
    await say('1', { email: 'a@x.org', jobTitle: 'Old' });
    const { round } = worker();
    expect(await round(200)).toMatchObject({ delivered: 0, waiting: 0 });
    await say('1', { email: 'a@x.org', jobTitle: 'New' });
    expect(await round()).toMatchObject({ delivered: 1, waiting: 0, failingSince: null });
    const profile = await idOf('1');
    const { version } = (await claims.profile(profile)) ?? {};
    expect(receiver.received).toEqual([
      {
        id: expect.stringMatching(/^msg_[0-9a-f]{32}$/),
        type: 'profile.changed',
        profile,
        entity: 'contact',
        version,
        at: expect.any(String),
        changed: ['jobTitle'],
        fields: { email: 'a@x.org', jobTitle: 'New' },
      },
    ]);
    expect(receiver.forged).toBe(0);
  });

  test('a subscription that began on an empty store hears of the first profile, in whatever round', async () => {
    await worker().round(100);
    await say('1', { email: 'a@x.org' });
    await worker().round();
    expect(receiver.received.map(({ fields }) => fields)).toEqual([{ email: 'a@x.org' }]);
  });

  test('I5: of a person who denied it only business values are told', async () => {
    const { round } = worker(ALL, ['emailMarketing']);
    await round(100);
    const denial = seen('crm', 'c1', 1, { email: 'a@x.org', emailMarketing: false });
    await applyAll(claims, [{ ...denial, entity: 'consent' }], 1);
    await say('1', { email: 'a@x.org', company: 'Acme', firstName: 'Ann' });
    await say('2', { email: 'b@x.org', company: 'Bond', firstName: 'Ben' });
    await round();
    const told = receiver.received.filter(({ entity }) => entity === 'contact').map(({ fields }) => fields);
    expect(told).toEqual(
      expect.arrayContaining([{ company: 'Acme' }, { email: 'b@x.org', company: 'Bond', firstName: 'Ben' }]),
    );
  });

  test('I5: values of classes that it does not see are in no message, nor their names', async () => {
    const { round } = worker({ ...ALL, sees: ['business'] });
    await round(100);
    await say('1', {
      email: 'a@x.org',
      company: 'Acme',
      birthday: '1990-01-02',
      nickname: 'no schema has it',
    });
    await round();
    await say('1', { email: 'b@x.org', company: 'Acme', birthday: '1991-01-02', nickname: 'other' });
    await round();
    expect(receiver.received.map(({ changed, fields }) => [changed, fields])).toEqual([
      [undefined, { company: 'Acme' }],
      [[], { company: 'Acme' }],
    ]);
  });

  test('fields: only changes of these, and what is gone is told as null', async () => {
    const { round } = worker({ ...PLAIN, fields: ['jobTitle'] });
    await round(100);
    await say('1', { email: 'a@x.org', jobTitle: 'A', city: 'Brno' });
    await round();
    await say('1', { email: 'a@x.org', jobTitle: 'A', city: 'Praha' });
    expect(await round()).toMatchObject({ delivered: 0, passed: 1 });
    await say('1', { email: 'a@x.org', jobTitle: null, city: 'Praha' });
    await round();
    expect(receiver.received.map(({ changed, fields }) => [changed, fields])).toEqual([
      [undefined, { jobTitle: 'A' }],
      [['jobTitle'], { jobTitle: null }],
    ]);
  });

  test('where: those that fit, and that one of them no longer does', async () => {
    const { round } = worker({
      ...PLAIN,
      entity: 'contact',
      where: { lifecycleStage: ['customer', 'partner'] },
    });
    await round(100);
    await say('1', { email: 'a@x.org', lifecycleStage: 'lead' });
    await say('2', { email: 'b@x.org', lifecycleStage: 'customer' });
    await round();
    await say('2', { email: 'b@x.org', lifecycleStage: 'former' });
    await round();
    await say('2', { email: 'b@x.org', lifecycleStage: 'gone' });
    await round();
    expect(receiver.received.map(({ fields, matches }) => [fields['lifecycleStage'], matches])).toEqual([
      ['customer', undefined],
      ['former', false],
    ]);
  });

  test('a merge and an erasure', async () => {
    await say('1', { email: 'a@x.org' });
    await say('2', { email: 'b@x.org' });
    const [one, two] = [await idOf('1'), await idOf('2')];
    const { round } = worker({ ...PLAIN, where: { city: ['Brno'] } });
    await round(100);
    await say('2', { email: 'a@x.org' });
    await round();
    expect(receiver.received).toEqual([
      expect.objectContaining({ type: 'profile.merged', profile: two, merged_into: one, fields: {} }),
    ]);
    await claims.erase(one, cause(90));
    await round();
    const erased = receiver.received.slice(1);
    expect(erased.map(({ type }) => type)).toContain('profile.erased');
    expect(erased.find(({ type }) => type === 'profile.erased')).toMatchObject({ profile: one, fields: {} });
    expect(JSON.stringify(erased)).not.toContain('x.org');
  });
});

describe('versions in order', () => {
  test('those that wait together are told as the newest one, and the diff is over all of them', async () => {
    const { round } = worker();
    await say('1', { email: 'a@x.org', jobTitle: 'A', city: 'Brno' });
    await round(100);
    for (const title of ['B', 'C', 'D']) await say('1', { email: 'a@x.org', jobTitle: title, city: 'Brno' });
    await say('1', { email: 'a@x.org', jobTitle: 'D', city: 'Praha' });
    await round();
    expect(receiver.received.map(({ changed, fields }) => [changed, fields['jobTitle']])).toEqual([
      [['city', 'jobTitle'], 'D'],
    ]);
  });

  test('a slow answer for one profile holds up its own next version alone', async () => {
    const { round } = worker();
    await round(100);
    await say('slow', { email: 's@x.org', jobTitle: '1' });
    const slow = await idOf('slow');
    const others = Promise.withResolvers<void>();
    receiver.answer = async ({ profile }, response) => {
      if (profile === slow) await others.promise;
      response.writeHead(204).end();
    };
    const running = round(4_000);
    await receiver.until((received) => received.length === 1);
    await say('slow', { email: 's@x.org', jobTitle: '2' });
    for (let index = 0; index < 20; index += 1) await say(`q${index}`, { email: `q${index}@x.org` });
    await receiver.until((received) => received.length === 21);
    others.resolve();
    await running;
    const titles = receiver.received.filter(({ profile }) => profile === slow);
    expect(titles.map(({ fields }) => fields['jobTitle'])).toEqual(['1', '2']);
    expect(receiver.received).toHaveLength(22);
    expect(receiver.atOnceMax).toBeGreaterThan(1);
    expect(receiver.atOnceMax).toBeLessThanOrEqual(8);
  });

  test('a worker that another one has followed tells nothing more', async () => {
    const first = worker();
    await first.round(100);
    const running = first.round(3_000);
    await sleep(150);
    const second = worker();
    const started = performance.now();
    await second.round(300);
    await running;
    expect(performance.now() - started).toBeLessThan(patient(2_000));
  });
});

describe('trouble', () => {
  test('I2: a death after the answer and before the cursor repeats the message under its id', async () => {
    await worker().round(100);
    for (let index = 0; index < 5; index += 1) await say(`r${index}`, { email: `r${index}@x.org` });
    // As if the process ended before anything was written down.
    const real = claims.moveCursor.bind(claims);
    claims.moveCursor = async (consumer, position) => {
      if (consumer === 'subscription/bot') throw Object.assign(new Error('gone'), { code: 'DEAD' });
      await real(consumer, position);
    };
    await expect(worker().round()).rejects.toThrow();
    claims.moveCursor = real;
    const before = receiver.received.map(({ id }) => id);
    expect(before.length).toBeGreaterThan(0);
    await worker().round();
    const ids = receiver.received.map(({ id }) => id);
    expect(new Set(ids).size).toBe(5);
    expect(ids.slice(before.length)).toEqual(expect.arrayContaining(before));
    await worker().round();
    expect(receiver.received).toHaveLength(ids.length);
  });

  test('a receiver that is away: nothing is lost, and the receipt says since when and why', async () => {
    const one = worker();
    await one.round(100);
    receiver.answer = (_message, response) => void response.writeHead(503, { 'retry-after': '1' }).end();
    await say('1', { email: 'a@x.org', jobTitle: 'A' });
    await say('2', { email: 'b@x.org' });
    const receipt = await one.round(300);
    expect(receipt).toMatchObject({ delivered: 0, waiting: 2, lastCode: 'HTTP_503', disabled: false });
    expect(receipt.failingSince).not.toBeNull();
    await say('1', { email: 'a@x.org', jobTitle: 'B' });
    // The pause goes on in the next round of the same worker.
    const asked = receiver.received.length;
    await one.round(300);
    expect(receiver.received).toHaveLength(asked);
    receiver.answer = (_message, response) => void response.writeHead(204).end();
    // Another worker knows of no pause.
    expect(await worker().round(600)).toMatchObject({ delivered: 2, waiting: 0, failingSince: null });
    expect(receiver.received.at(-2)?.fields).toMatchObject({ jobTitle: 'B' });
  });

  test('I5: of a customer who was erased while it waited no value is sent any more', async () => {
    const one = worker();
    await one.round(100);
    receiver.answer = (_message, response) => void response.writeHead(503).end();
    await say('1', { email: 'secret@x.org' });
    await one.round(200);
    const tried = receiver.received.length;
    await claims.erase(await idOf('1'), cause(90));
    receiver.answer = (_message, response) => void response.writeHead(204).end();
    await worker().round();
    expect(receiver.received.slice(tried).map(({ type, fields }) => [type, fields])).toEqual([
      ['profile.erased', {}],
    ]);
  });

  test('410: nothing more is sent, and what waits is kept for later', async () => {
    const one = worker();
    await one.round(100);
    receiver.answer = (_message, response) => void response.writeHead(410).end();
    await say('1', { email: 'a@x.org' });
    expect(await one.round(2_000)).toMatchObject({ disabled: true, lastCode: 'HTTP_410' });
    expect(receiver.received).toHaveLength(1);
    receiver.answer = (_message, response) => void response.writeHead(204).end();
    expect(await worker().round()).toMatchObject({ delivered: 1, disabled: false });
  });

  test('rows that were pruned meanwhile hide no change', async () => {
    const { round } = worker({ ...PLAIN, fields: ['jobTitle'] });
    await round(100);
    await say('1', { email: 'a@x.org', jobTitle: 'A', city: 'Brno' });
    await round();
    for (const city of ['Brno', 'Praha']) {
      count += 1;
      const observations = [seen('crm', '1', count, { email: 'a@x.org', jobTitle: 'B', city })];
      const at = new Date().toISOString();
      await claims.apply({ id: null, observations, cause: { ...cause(count), at } });
    }
    await claims.moveCursor('warehouse', 1_000);
    expect(await claims.prune(1_000)).toBeGreaterThan(0);
    await worker({ ...PLAIN, fields: ['jobTitle'] }).round();
    expect(receiver.received.map(({ changed, fields }) => [changed, fields['jobTitle']])).toEqual([
      [undefined, 'A'],
      [['jobTitle'], 'B'],
    ]);
  });
});
