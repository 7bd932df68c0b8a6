/** Server-sent events over real HTTP: what each client hears, and that none is lost or doubled however often it comes back. */
import { get, type IncomingMessage } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { keyHash, newKey } from '../../config/keys.ts';
import { serveSchema } from '../../config/serve.ts';
import { notificationSchema, type Notification } from '../../schemas/notification.ts';
import { createApp } from '../../servers/app.ts';
import type { Services } from '../../servers/services.ts';
import { eventRoutes } from '../../servers/subscriptions/routes.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { randomOf } from '../support/random.ts';
import { applyAll, cause, masterKey, options, ref, seen } from './claims-fixture.ts';
import { patient } from '../support/patience.ts';

const KEYS = { bot: newKey(), shop: newKey(), orders: newKey(), ads: newKey(), tool: newKey() };
const BUFFER_BYTES = 40_000;

let folder: string;
let claims: Claims;
let app: FastifyInstance;
let url: string;
let questions = 0;
let count = 0;
const clients: Client[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-events-'));
  claims = await openSqliteClaims({ path: join(folder, 'claims.db'), masterKey, ...options() });
  const outbox = claims.outbox.bind(claims);
  claims.outbox = async (after, limit) => {
    questions += 1;
    return await outbox(after, limit);
  };
  const hash = (key: string) => keyHash(key);
  const { keys } = serveSchema.parse({
    keys: {
      bot: { hash: hash(KEYS.bot), sees: ['business', 'identifier', 'personal', 'sensitive'] },
      shop: { hash: hash(KEYS.shop), sees: ['business'] },
      orders: { hash: hash(KEYS.orders), entities: ['order'] },
      ads: { hash: hash(KEYS.ads), consents: ['emailMarketing'] },
      tool: { hash: hash(KEYS.tool), scopes: ['ingest'] },
    },
  });
  const services = {
    serve: { keys },
    loaded: { config: { profiles: { entities: [] } } },
    claims: async () => claims,
    now: Date.now,
    log: () => undefined,
  } as unknown as Services;
  app = createApp(services, { name: 'profiles' });
  eventRoutes(app, services, {
    clientsMax: 20,
    heartbeatMs: 150,
    bufferBytesMax: BUFFER_BYTES,
    drainMsMax: 400,
  });
  url = await app.listen({ host: '127.0.0.1', port: 0 });
  count = 1;
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.cut();
  await app.close();
  await claims.close();
  await rm(folder, { recursive: true, force: true });
});

async function say(record: string, fields: Record<string, string>, entity = 'contact'): Promise<void> {
  count += 1;
  await applyAll(claims, [seen('crm', record, count, fields, { entity })], count);
}

interface Heard {
  id: number;
  type: string;
  notice: Notification;
}

class Client {
  readonly heard: Heard[] = [];
  lastId = '';
  status = 0;
  resets = 0;
  closed = false;
  #answer: IncomingMessage | undefined;
  #text = '';

  async connect(key: string, query = '', headers: Record<string, string> = {}): Promise<this> {
    clients.push(this);
    this.#answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = get(`${url}/v1/events${query}`, {
        agent: false,
        headers: { authorization: `Bearer ${key}`, ...headers },
      });
      request.on('response', resolve).on('error', reject);
    });
    this.status = this.#answer.statusCode ?? 0;
    this.#answer.setEncoding('utf8').on('data', (part: string) => this.#take(part));
    this.#answer.on('error', () => undefined).on('close', () => (this.closed = true));
    // Where to go on is told before anything happens.
    while (this.status === 200 && this.lastId === '') await sleep(2);
    return this;
  }

  #take(part: string): void {
    this.#text += part;
    for (let end = this.#text.indexOf('\n\n'); end !== -1; end = this.#text.indexOf('\n\n')) {
      const lines = this.#text.slice(0, end).split('\n');
      this.#text = this.#text.slice(end + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      this.lastId = field('id') ?? this.lastId;
      const [type, data] = [field('event'), field('data')];
      if (type === 'reset') this.resets += 1;
      else if (type !== undefined && data !== undefined)
        this.heard.push({
          id: Number(field('id')),
          type,
          notice: notificationSchema.strict().parse(JSON.parse(data)),
        });
    }
  }

  pause(): void {
    this.#answer?.pause();
    this.#answer?.socket.pause();
  }

  cut(): void {
    this.#answer?.destroy();
  }

  async until(wanted: (heard: readonly Heard[]) => boolean): Promise<void> {
    const end = performance.now() + 8_000;
    while (!wanted(this.heard)) {
      if (performance.now() > end) throw new Error(`not in time; heard ${this.heard.length}`);
      await sleep(5);
    }
  }
}

const listen = async (key: string, query = '', headers = {}) =>
  await new Client().connect(key, query, headers);

describe('what a client hears', () => {
  test('I5: each as its key sees, of the entities that it sees', async () => {
    const [bot, shop, orders] = [await listen(KEYS.bot), await listen(KEYS.shop), await listen(KEYS.orders)];
    await say('1', { email: 'a@x.org', company: 'Acme', birthday: '1990-01-02' });
    await bot.until((heard) => heard.length === 1);
    await shop.until((heard) => heard.length === 1);
    expect(bot.heard[0]?.notice.fields).toEqual({
      email: 'a@x.org',
      company: 'Acme',
      birthday: '1990-01-02',
    });
    expect(shop.heard[0]?.notice.fields).toEqual({ company: 'Acme' });
    await sleep(100);
    expect(orders.heard).toEqual([]);
  });

  test('I5: of who denies what a key does with people, business fields alone', async () => {
    const ads = await listen(KEYS.ads, '?entity=contact');
    await applyAll(claims, [
      seen('crm', 'c1', 2, { email: 'no@x.org', emailMarketing: false }, { entity: 'consent' }),
    ]);
    await say('1', { email: 'no@x.org', company: 'Acme' });
    await say('2', { email: 'yes@x.org', company: 'Beta' });
    await ads.until((heard) => heard.length === 2);
    expect(ads.heard.map(({ notice }) => notice.fields)).toEqual([
      { company: 'Acme' },
      { email: 'yes@x.org', company: 'Beta' },
    ]);
  });

  test('entity, profile and fields narrow it', async () => {
    await say('1', { email: 'a@x.org', jobTitle: 'A', city: 'Brno' });
    await say('2', { email: 'b@x.org', jobTitle: 'A' });
    const profile = (await claims.profileOf(ref('crm', '1'))) ?? '';
    const one = await listen(KEYS.bot, `?profile=${profile}`);
    const titles = await listen(KEYS.bot, '?entity=contact&fields=jobTitle');
    await say('1', { email: 'a@x.org', jobTitle: 'A', city: 'Praha' });
    await say('2', { email: 'b@x.org', jobTitle: 'B' });
    await titles.until((heard) => heard.length === 1);
    await one.until((heard) => heard.length === 1);
    expect(one.heard[0]?.notice).toMatchObject({ profile, changed: ['city'] });
    expect(titles.heard[0]?.notice).toMatchObject({ changed: ['jobTitle'], fields: { jobTitle: 'B' } });
  });

  test('an erasure is told without a value', async () => {
    await say('1', { email: 'a@x.org' });
    const bot = await listen(KEYS.bot);
    const profile = (await claims.profileOf(ref('crm', '1'))) ?? '';
    await claims.erase(profile, cause(90));
    await bot.until((heard) => heard.length === 1);
    expect(bot.heard[0]).toMatchObject({ type: 'profile.erased', notice: { profile, fields: {} } });
  });

  test.each([
    ['without a key', '', '', 401],
    ['with a key for something else', KEYS.tool, '', 403],
    ['of an entity that is not seen', KEYS.orders, '?entity=contact', 403],
    ['with an unknown word', KEYS.bot, '?enttiy=contact', 400],
    ['after what is no id', KEYS.bot, '?after=x', 400],
  ])('%s it is refused', async (_name, key, query, status) => {
    expect((await listen(key, query)).status).toBe(status);
  });
});

describe('coming back', () => {
  test('I2: cut at any moment and back with its last id, it misses nothing and hears nothing twice', async () => {
    const random = randomOf(Number(process.env['HEADWATER_SEED'] ?? 7));
    let isWriting = true;
    const writing = (async () => {
      for (let index = 0; index < 250; index += 1) {
        await say(`r${Math.floor(random() * 40)}`, { email: `e${index}@x.org`, company: `c${index}` });
        if (index % 7 === 0) await sleep(random() * 12);
      }
      isWriting = false;
    })();
    const heard: Heard[] = [];
    let lastId = '';
    let cuts = 0;
    const steady = await listen(KEYS.bot, '?after=0');
    for (let quiet = 0; quiet < 3;) {
      const client = await listen(
        KEYS.bot,
        '',
        lastId === '' ? { 'last-event-id': '0' } : { 'last-event-id': lastId },
      );
      await sleep(random() * 60);
      client.cut();
      cuts += 1;
      heard.push(...client.heard);
      ({ lastId } = client);
      quiet = isWriting || client.heard.length > 0 ? 0 : quiet + 1;
    }
    await writing;
    const ids = heard.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted((left, right) => left - right));
    const told = heard.map(({ notice }) => `${notice.profile} ${notice.version}`);
    expect(new Set(told).size).toBe(told.length);
    const last = new Map(heard.map(({ notice }) => [notice.profile, notice.version]));
    const now = await claims.profiles({ limit: 1_000 });
    expect(Object.fromEntries(last)).toEqual(
      Object.fromEntries((await claims.current([...last.keys()])).map((one) => [one.profile, one.version])),
    );
    expect(now.every(({ profile, records }) => records.length === 0 || last.has(profile))).toBe(true);
    expect(cuts).toBeGreaterThan(4);
    const steadyIds = steady.heard.map(({ id }) => id);
    expect(steadyIds).toEqual([...new Set(steadyIds)].toSorted((left, right) => left - right));
    expect(new Map(steady.heard.map(({ notice }) => [notice.profile, notice.version]))).toEqual(last);
  });

  test('a client that is told nothing for long still learns where to go on', async () => {
    const orders = await listen(KEYS.orders);
    const before = Number(orders.lastId);
    for (let index = 0; index < 5; index += 1) await say(`r${index}`, { email: `e${index}@x.org` });
    const end = performance.now() + 5_000;
    while (Number(orders.lastId) < before + 5 && performance.now() < end) await sleep(10);
    expect(Number(orders.lastId)).toBe(before + 5);
    expect(orders.heard).toEqual([]);
  });

  test('an id of a store that is gone: told so, and on from now', async () => {
    const bot = await listen(KEYS.bot, '?after=999999');
    expect(bot.resets).toBe(1);
    await say('1', { email: 'a@x.org' });
    await bot.until((heard) => heard.length === 1);
  });
});

describe('many clients', () => {
  test('one that does not read is dropped, others hear everything, and it comes back by its id', async () => {
    const [slow, quick] = [await listen(KEYS.bot), await listen(KEYS.bot)];
    const lastId = slow.lastId;
    slow.pause();
    const text = 'x'.repeat(50_000);
    // More than the kernel keeps for a socket on either side.
    for (let index = 0; index < 240; index += 1)
      await say(`r${index}`, { email: `e${index}@x.org`, company: `${index} ${text}` });
    await quick.until((heard) => heard.length === 240);
    const again = await listen(KEYS.bot, '', { 'last-event-id': lastId });
    await again.until((heard) => heard.length === 240);
    expect(new Set(again.heard.map(({ id }) => id)).size).toBe(240);
    await sleep(600);
    const open = clients.filter((client) => client !== slow && !client.closed);
    expect(open).toHaveLength(2);
    // Room for as many as may listen says that the slow one is gone here.
    const others = await Promise.all(Array.from({ length: 18 }, () => listen(KEYS.bot)));
    expect(others.map(({ status }) => status)).toEqual(Array.from({ length: 18 }, () => 200));
    expect((await listen(KEYS.bot)).status).toBe(503);
  });

  test('the outbox is asked as often for twenty as for one', async () => {
    const asked = async () => {
      const before = questions;
      await sleep(400);
      return questions - before;
    };
    await listen(KEYS.bot);
    const alone = await asked();
    for (let index = 0; index < 19; index += 1) await listen(KEYS.bot);
    expect(await asked()).toBeLessThan(alone * 1.5);
    for (const client of clients) client.cut();
    await sleep(200);
    expect(await asked()).toBe(0);
  });

  test('closing does not wait for them', async () => {
    const bot = await listen(KEYS.bot);
    const started = performance.now();
    await app.close();
    expect(performance.now() - started).toBeLessThan(patient(1_500));
    await sleep(20);
    expect(bot.closed).toBe(true);
  });
});
