/** One reader of the Pub/Sub API by itself: how calls end, whoever listens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { salesforceConfigSchema } from '../../sources/salesforce/config.ts';
import { PubSubReader } from '../../sources/salesforce/pubsub.ts';
import { ALL, CRM, topicsWorld, until, type TopicsWorld } from './topics-fixture.ts';

let world: TopicsWorld;
beforeEach(async () => {
  world = await topicsWorld({ keepaliveMs: 200 });
});
afterEach(async () => await world.stop());

const CONTEXT = {
  ...{ connection: CRM, now: Date.now, log: () => undefined },
  ...{ acquire: () => Promise.resolve(), reportQuota: () => undefined },
};
const idOf = (index: number) => world.sandbox.data.idOf('Contact', index);
const touch = (index: number) => world.sandbox.data.update('Contact', index, { Title: `t${index}` });

describe('a service that ends a call', () => {
  test('while nobody listens, or just after nobody does any more: it is heard, and hurts nobody', async () => {
    const { loginUrl, clientId, clientSecret } = world.sandbox;
    const auth = { grant: 'client_credentials' as const, clientId, clientSecret };
    const config = salesforceConfigSchema.parse({ kind: 'salesforce', loginUrl, auth, objects: 'all' });
    const pushed = { objects: 'all' as const, exclude: [], own: {} };
    const given = { config, endpoint: world.pubsub.url, organizationId: null, pushed };
    const reader = new PubSubReader(given, CONTEXT);
    const stop = new AbortController();
    const batches = reader.read(ALL, null, stop.signal);
    expect((await batches.next()).value).toMatchObject({ events: [], position: null });
    await world.followed();
    world.pubsub.cut();
    await sleep(100);
    await expect(batches.next()).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    const early = new AbortController();
    const opening = reader.read(ALL, null, early.signal).next();
    early.abort();
    expect(await opening).toMatchObject({ done: true });
    const left = reader.read(ALL, null, stop.signal);
    await left.next();
    stop.abort();
    await sleep(100);
    const returned = reader.read(ALL, null, new AbortController().signal);
    await returned.next();
    await returned.return(undefined);
    await sleep(100);
    await reader.close();
  });
});

describe('a service that falls silent', () => {
  test('is taken for dead, and followed anew behind the last place', async () => {
    const { loginUrl, clientId, clientSecret } = world.sandbox;
    const auth = { grant: 'client_credentials' as const, clientId, clientSecret };
    const config = salesforceConfigSchema.parse({ kind: 'salesforce', loginUrl, auth, objects: 'all' });
    const pushed = { objects: 'all' as const, exclude: [], own: {} };
    const given = { config, endpoint: world.pubsub.url, organizationId: null, pushed, silentMsMax: 500 };
    const reader = new PubSubReader(given, CONTEXT);
    const heard: string[] = [];
    let place: string | null = null;
    const listen = async (most: number) => {
      for await (const { events, position } of reader.read(ALL, place, new AbortController().signal)) {
        heard.push(...events.map(({ record }) => record));
        place = position ?? place;
        if (heard.length === most) return;
      }
    };
    const first = listen(Infinity);
    await until(() => Promise.resolve(place !== null));
    touch(1);
    await until(() => Promise.resolve(heard.length === 1));
    world.pubsub.behaviour.silent = true;
    touch(2);
    await expect(first).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    world.pubsub.behaviour.silent = false;
    await listen(2);
    expect(heard).toEqual([idOf(1), idOf(2)]);
    await reader.close();
    await until(() => Promise.resolve(world.pubsub.subscribers() === 0));
  });
});
