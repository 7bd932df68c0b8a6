/** Change events of the org, followed into the inbox: each once, whatever ends in between. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../rules/errors.ts';
import { salesforceConfigSchema } from '../../sources/salesforce/config.ts';
import { salesforce } from '../../sources/salesforce/index.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import { openInbox } from '../../stores/inbox/open.ts';
import { ALL, CONTACTS, CRM, topicsWorld, until, type TopicsWorld } from './topics-fixture.ts';

let world: TopicsWorld;
beforeEach(async () => {
  world = await topicsWorld({ keepaliveMs: 200 });
});
afterEach(async () => await world.stop());

const CONTEXT = {
  ...{ connection: CRM, now: Date.now, log: () => undefined },
  ...{ acquire: () => Promise.resolve(), reportQuota: () => undefined },
};
const idOf = (index: number, object = 'Contact') => world.sandbox.data.idOf(object, index);
const touch = (index: number) => world.sandbox.data.update('Contact', index, { Title: `t${index}` });
/** Until its place is known: from here on nothing is missed. */
const placed = (name = ALL) => until(async () => typeof (await world.topic(name))?.position === 'string');
const has = (count: number) => until(async () => (await world.kept()).length === count);
const logged = (text: string) => world.logged.filter((line) => line.includes(text));
/** As the real one, but for what is given. */
const inboxWith = (given: Partial<Inbox>): Inbox =>
  new Proxy(world.services.inbox, {
    get: (target, name) =>
      Object.hasOwn(given, name)
        ? Reflect.get(given, name)
        : Reflect.get(target, name, target)?.bind?.(target),
  });

describe('following', () => {
  test('each change of a synced object is a hint for its record, within moments', async () => {
    world.follow();
    await world.followed();
    touch(1);
    world.sandbox.data.delete('Contact', 2);
    world.sandbox.data.undelete('Contact', 2);
    const created = world.sandbox.data.create('Account', { Name: 'New' });
    world.sandbox.data.update('Lead', 1, { Company: 'Nobody syncs it' });
    await has(4);
    const rows = await world.kept();
    expect(rows.map(({ object, record, kind, values }) => [object, record, kind, values])).toEqual([
      ['Contact', idOf(1), 'changed', null],
      ['Contact', idOf(2), 'deleted', null],
      ['Contact', idOf(2), 'changed', null],
      ['Account', created, 'changed', null],
    ]);
    for (const { at } of rows) expect(Math.abs(Date.parse(at ?? '') - Date.now())).toBeLessThan(60_000);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(4);
    await placed();
    expect(await world.topic()).toMatchObject({ trouble: null, owed: null });
  });

  test('I5: no value of an event is kept or logged', async () => {
    world.follow();
    await world.followed();
    world.sandbox.data.update('Contact', 3, { Title: 'Very private', Email: 'private@example.com' });
    await has(1);
    const text = JSON.stringify([await world.kept(), await world.topic(), world.logged]);
    expect(text).not.toMatch(/rivate/);
  });

  test('I2: what happens while nobody follows is told to the next who does, once', async () => {
    const first = world.follow();
    await world.followed();
    touch(1);
    await has(1);
    await placed();
    await first.close();
    expect((await world.topic())?.since).toBeNull();
    for (let index = 10; index < 40; index += 1) touch(index);
    world.follow();
    await has(31);
    await sleep(100);
    expect((await world.records()).slice(1)).toEqual(Array.from({ length: 30 }, (_, at) => idOf(10 + at)));
  });

  test('I2: dead after the events were kept, and before the place was: they come again, and are known', async () => {
    const started = world.follow();
    await placed();
    await started.close();
    let accepts = 0;
    const half = inboxWith({
      accept: async (name, events) => {
        accepts += 1;
        return await world.services.inbox.accept(name, events);
      },
      keepTopic: async (topic) => {
        if (accepts > 0) throw new Error('dead');
        await world.services.inbox.keepTopic(topic);
      },
    });
    for (let index = 0; index < 20; index += 1) touch(index);
    const second = world.follow(half);
    await has(20);
    await second.close();
    const before = await world.kept();
    const third = world.follow();
    touch(30);
    await has(21);
    expect((await world.kept()).slice(0, 20)).toEqual(before);
    await third.close();
  });

  test('I2: the place does not move before the events behind it are kept', async () => {
    const away = () => Promise.reject(new HeadwaterError('INBOX_UNAVAILABLE', 'away'));
    const first = world.follow(inboxWith({ accept: away }));
    await placed();
    const before = await world.topic();
    touch(1);
    await until(() => Promise.resolve(logged('waits for the inbox').length > 0));
    await sleep(500);
    await first.close();
    expect((await world.topic())?.position).toBe(before?.position);
    world.follow();
    await has(1);
  });

  test('I2: a change that two topics tell is one event', async () => {
    world.follow(undefined, [ALL, CONTACTS]);
    await until(() => Promise.resolve(world.pubsub.subscribers() === 2));
    await placed(CONTACTS);
    touch(1);
    world.sandbox.data.update('Account', 1, { Name: 'Only of all' });
    await until(() => Promise.resolve(world.pubsub.sent() === 3));
    await has(2);
    await sleep(100);
    expect((await world.records()).toSorted()).toEqual([idOf(1), idOf(1, 'Account')].toSorted());
  });

  test('a change that we wrote ourselves is known as ours, and is a hint like any other', async () => {
    world.follow();
    await placed();
    const { loginUrl, clientId, clientSecret } = world.sandbox;
    const auth = { grant: 'client_credentials' as const, clientId, clientSecret };
    const config = salesforceConfigSchema.parse({ kind: 'salesforce', loginUrl, auth, objects: 'all' });
    const source = salesforce.connect(config, CONTEXT);
    const schema = await source.describe('Contact');
    const request = { schema, record: idOf(5), values: { Title: 'Ours' }, unlessChangedSince: null };
    const { outcome } = (await source.write?.(request, new AbortController().signal)) ?? {};
    expect(outcome).toBe('written');
    await source.close();
    await has(1);
    expect(await world.records()).toEqual([idOf(5)]);
    await until(() => Promise.resolve(logged('"own":1').length === 1));
  });

  test('a keepalive counts as heard, and moves the place, without an event', async () => {
    world.follow();
    await placed();
    const [state] = await world.services.inbox.states();
    expect(state).toMatchObject({ connection: CRM, waiting: 0, lastAt: null });
    const { heardAt } = state ?? {};
    await until(async () => ((await world.services.inbox.states())[0]?.heardAt ?? '') > (heardAt ?? ''));
  });
});

describe('when something is the matter', () => {
  test('cut off, it goes on behind the last place', async () => {
    world.follow();
    await world.followed();
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 10; index += 1) touch(10 * round + index);
      world.pubsub.cut();
      await has(10 * (round + 1));
      await world.followed();
    }
    expect(new Set(await world.records()).size).toBe(30);
    expect(world.runs.filter((run) => run === 'all').length).toBeLessThanOrEqual(1);
  });

  test('an expired token is renewed, and nothing is missed', async () => {
    world.follow();
    await placed();
    for (let round = 1; round <= 3; round += 1) {
      world.sandbox.expire.tokens();
      touch(round);
      await has(round);
    }
    expect(world.sandbox.stats.of('POST oauth.token') ?? 0).toBeLessThanOrEqual(8);
    expect(logged('cannot be followed')).toEqual([]);
  });

  test('a log-in that is refused is told once, in the log and as the topic’s trouble', async () => {
    world.follow();
    await placed();
    const body = JSON.stringify({ error: 'invalid_grant', error_description: 'expired' });
    const rule = world.sandbox.faults.add({
      match: { path: '/oauth2/token' },
      action: { status: 400, body },
    });
    world.sandbox.expire.tokens();
    await until(async () => (await world.topic())?.trouble === 'AUTH_FAILED');
    touch(1);
    await sleep(300);
    expect(logged('cannot be followed')).toHaveLength(1);
    world.sandbox.faults.remove(rule);
    await has(1);
    expect(logged('followed again')).toHaveLength(1);
    expect(await world.topic()).toMatchObject({ trouble: null });
  });

  test.each(['expired', 'corrupt'])('a place that is %s: one line, the tip, and a run', async (how) => {
    const first = world.follow();
    await world.followed();
    touch(1);
    await has(1);
    await placed();
    await first.close();
    touch(2);
    if (how === 'expired') world.sandbox.clock.advance(73 * 3_600_000);
    const topic = await world.topic();
    if (how === 'corrupt' && topic !== undefined)
      await world.services.inbox.keepTopic({ ...topic, position: 'AAAA' });
    touch(3);
    world.follow();
    await until(() => Promise.resolve(world.runs.length > 0));
    expect(world.runs).toEqual(['all']);
    expect(logged('lost our place')).toHaveLength(1);
    await placed();
    touch(4);
    await has(2);
    expect(await world.records()).toEqual([idOf(1), idOf(4)]);
    expect(await world.topic()).toMatchObject({ owed: null, trouble: null });
  });

  test('gap events are hints; an overflow and a wildcard owe a run of their object, which waits for its turn', async () => {
    world.follow();
    await placed();
    world.isBusy = true;
    const gap = { recordIds: [idOf(1), idOf(2)], changeType: 'GAP_UPDATE' } as const;
    world.pubsub.publish('Contact', gap);
    world.pubsub.publish('Contact', { recordIds: [idOf(3)], changeType: 'GAP_DELETE' });
    world.pubsub.publish('Account', { recordIds: ['000000000000000AAA'], changeType: 'GAP_OVERFLOW' });
    world.pubsub.publish('Contact', { recordIds: ['003*'], changeType: 'UPDATE' });
    world.pubsub.publish('Lead', { recordIds: ['000000000000000AAA'], changeType: 'GAP_OVERFLOW' });
    touch(4);
    await has(4);
    expect((await world.kept()).map(({ record, kind }) => [record, kind])).toEqual([
      [idOf(1), 'changed'],
      [idOf(2), 'changed'],
      [idOf(3), 'deleted'],
      [idOf(4), 'changed'],
    ]);
    await sleep(100);
    expect((await world.topic())?.owed?.objects).toEqual(['Account', 'Contact']);
    world.isBusy = false;
    await until(async () => (await world.topic())?.owed === null);
    expect(world.runs).toEqual([['Account', 'Contact']]);
  });

  test('an event that nobody can read stops nothing: a run finds what it was', async () => {
    world.follow();
    await placed();
    world.pubsub.publishRaw('Contact', Buffer.from('nonsense'));
    world.pubsub.publishRaw('Contact', Buffer.alloc(0), 'no such schema');
    touch(1);
    await has(1);
    await until(() => Promise.resolve(world.runs.includes('all')));
    expect(await world.records()).toEqual([idOf(1)]);
  });

  test('events of a schema that has changed since are read by their own', async () => {
    world.follow();
    await world.followed();
    touch(1);
    world.sandbox.data.addField('Contact', { name: 'Extra__c', type: 'string' });
    world.sandbox.data.update('Contact', 2, { Extra__c: 'x' });
    await has(2);
    expect(world.runs).toEqual([]);
  });

  test('a topic that is not there is told, and tried again', async () => {
    const topics = ['/data/Nothing__chn', CONTACTS];
    const loaded = structuredClone(world.services.loaded);
    const { webhooks } = loaded.config.connections[CRM] ?? {};
    Object.assign(webhooks?.['changeDataCapture'] ?? {}, { topics });
    Object.assign(world.services, { loaded });
    world.follow();
    await until(async () => (await world.topic('/data/Nothing__chn'))?.trouble === 'OBJECT_UNKNOWN');
    await placed(CONTACTS);
    touch(1);
    await has(1);
    expect(logged('cannot be followed')).toHaveLength(1);
  });
});

describe('more than can be kept', () => {
  test('while the inbox is full no more is asked for; then all of it arrives', async () => {
    const small = await openInbox({ path: `${world.home}/small.db`, waitingMax: 120 });
    try {
      const first = world.follow(small);
      await until(async () => typeof (await small.topics())[0]?.position === 'string');
      for (let round = 0; round < 8; round += 1) for (let index = 0; index < 50; index += 1) touch(index);
      const take = () => small.take(CRM, 0, 1_000);
      await until(() => Promise.resolve(logged('waits for the inbox').length > 0));
      await sleep(300);
      expect((await take()).length).toBeLessThanOrEqual(120);
      // Kept, held, and asked for already: the rest is the source's.
      expect(world.pubsub.sent()).toBeLessThanOrEqual(320);
      const seen = new Set<string>();
      await until(async () => {
        const rows = await take();
        for (const { id } of rows) seen.add(id);
        await small.settle(
          CRM,
          rows.map(({ position }) => position),
        );
        return seen.size === 400;
      });
      await first.close();
    } finally {
      await small.close();
    }
  });

  test('a server that sends far more than was asked for', async () => {
    Object.assign(world.pubsub.behaviour, { ignoresRequests: true, batchMax: 5_000 });
    const first = world.follow();
    await placed();
    await first.close();
    for (let round = 0; round < 60; round += 1) for (let index = 0; index < 50; index += 1) touch(index);
    world.follow();
    await has(3_000);
  });

  test('a message that is too large to be read: the tip, and a run; what comes later is followed', async () => {
    world.follow();
    await placed();
    world.pubsub.publishRaw('Contact', Buffer.alloc(9 * 1_048_576));
    await until(() => Promise.resolve(world.runs.includes('all')));
    await placed();
    touch(1);
    await has(1);
    expect(logged('lost our place')).toHaveLength(1);
  });
});
