/** The listener as a process of its own, met by real HTTP clients in this one. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent, request as undici } from 'undici';
import { Webhook } from 'standardwebhooks';
import { openInbox } from '../../stores/inbox/open.ts';
import { randomOf } from '../support/random.ts';
import { serverHome, type TestHome, type TestServer } from '../support/server-process.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const PATH_SECRET = 'an-address-nobody-can-guess-1';
const KEY = `hw_${'k'.repeat(43)}`;
const MEGABYTE = 1_048_576;
/** A flood may move the heap by what Node leaves uncollected, never by what was sent. */
const GROWTH_BYTES_MAX = 100 * MEGABYTE;

const order = { key: 'id', stamp: 'updated', fields: { id: 'string', updated: 'timestamp' } };
const env = (name: string) => ({ $secret: { env: name } });
const config = {
  connections: {
    shop: { kind: 'push', objects: 'all', records: { order }, webhooks: { secrets: [env('SHOP')] } },
    hub: {
      ...{ kind: 'hubspot', objects: 'all', auth: { kind: 'token', token: env('HUB') } },
      webhooks: { secrets: [env('HUB')] },
    },
    force: {
      ...{ kind: 'salesforce', objects: 'all' },
      auth: { grant: 'client_credentials', clientId: env('HUB'), clientSecret: env('HUB') },
      webhooks: { secrets: [env('FORCE')], organizationId: '00D24000000abcd' },
    },
  },
  warehouse: { kind: 'duckdb', path: 'w.duckdb' },
  serve: {
    webhooks: { port: 0 },
    keys: {
      tool: {
        hash: `sha256:${createHash('sha256').update(KEY).digest('hex')}`,
        scopes: ['ingest'],
        burst: 100_000,
      },
    },
  },
};
// No Temporal there: events are accepted all the same.
const variables = { SHOP: SECRET, HUB: 'hub-secret', FORCE: PATH_SECRET, TEMPORAL_ADDRESS: '127.0.0.1:1' };

let home: TestHome;
let server: TestServer;
const agent = new Agent({ connections: 64 });
beforeAll(async () => {
  home = await serverHome(config, variables, ['--webhooks']);
  server = await home.start();
});
afterAll(async () => {
  server.signal('SIGKILL');
  await server.ended;
  await agent.close();
  await home.remove();
});

const body = (id: string) => JSON.stringify({ id, updated: '2026-11-21T08:00:00Z' });
function signed(text: string): Record<string, string> {
  const [id, at] = [randomUUID(), new Date()];
  const seconds = String(Math.floor(at.getTime() / 1_000));
  const signature = new Webhook(SECRET).sign(id, at, text);
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature };
}

async function post(
  path: string,
  text: string | Buffer,
  headers: Record<string, string> = {},
): Promise<number> {
  const url = `${server.urls.webhooks}${path}`;
  const answer = await undici(url, { method: 'POST', body: text, headers, dispatcher: agent });
  await answer.body.dump();
  return answer.statusCode;
}

async function kept(): Promise<string[]> {
  const inbox = await openInbox({ path: join(home.path, 'inbox.db'), waitingMax: 1, existing: true });
  const rows = await Promise.all(['shop', 'hub', 'force'].map((name) => inbox.take(name, 0, 1_000_000)));
  await inbox.close();
  return rows.flat().map(({ record }) => record);
}

async function many(count: number, at: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: at }, lane));
}

describe('floods leave the memory flat and write nothing', () => {
  async function flood(count: number, at: number, work: (index: number) => Promise<void>): Promise<number> {
    await many(Math.ceil(count / 5), at, work);
    const before = server.memory();
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, server.memory())), 20);
    await many(count, at, work);
    clearInterval(timer);
    return peak - before;
  }

  test('of forged requests of 900 KB', async () => {
    const text = Buffer.alloc(900_000, 'x');
    const headers = { ...signed('other'), 'x-hubspot-signature-v3': 'a'.repeat(44) };
    const growth = await flood(600, 32, async (index) => {
      const path = ['/webhooks/shop', '/webhooks/hub', '/webhooks/force/guess'][index % 3] ?? '';
      expect(await post(path, text, { ...headers, 'x-hubspot-request-timestamp': String(Date.now()) })).toBe(
        401,
      );
    });
    expect(growth).toBeLessThan(GROWTH_BYTES_MAX);
    expect(await kept()).toEqual([]);
  });

  test('of bodies that never end', async () => {
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`);
    const { port, hostname } = new URL(server.urls.webhooks);
    const statuses = new Set<string>();
    const growth = await flood(200, 32, async () => {
      const socket = connect(Number(port), hostname);
      const closed = once(socket, 'close').catch(() => {});
      socket.on('error', () => {});
      socket.setEncoding('utf8').once('data', (text: string) => statuses.add(text.slice(9, 12)));
      socket.write('POST /webhooks/shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
      for (let part = 0; part < 64 && !socket.destroyed && socket.writable; part += 1) {
        if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), closed]).catch(() => {});
      }
      socket.destroy();
    });
    expect([...statuses]).toEqual(['413']);
    expect(growth).toBeLessThan(GROWTH_BYTES_MAX);
  });
});

test('fuzz: whatever arrives, no answer is ours to blame and nothing is written without a proof', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  const dice = randomOf(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(dice() * list.length)] as T;
  const paths = [
    'shop',
    'hub',
    'force',
    'force/x',
    'nobody',
    '%ff',
    '..%2f..',
    'shop/%00',
    'shop?a=%zz',
    '__proto__',
  ];
  const texts = [
    '',
    '{}',
    '[]',
    'null',
    '[{}]',
    '{"a":',
    '<a/>',
    '\u0000',
    '9'.repeat(400),
    '[['.repeat(5_000),
    '{"__proto__":{"a":1}}',
  ];
  const values = [
    '',
    '0',
    '-1',
    'NaN',
    String(Date.now()),
    '9'.repeat(30),
    'v1,',
    'v1,AAAA',
    ' , ,',
    "' OR 1=1 --",
    'x'.repeat(4_000),
  ];
  const names = [
    'webhook-id',
    'webhook-timestamp',
    'webhook-signature',
    'x-hubspot-signature-v3',
    'x-hubspot-request-timestamp',
    'content-type',
    'authorization',
    'idempotency-key',
  ];
  const odd: string[] = [];
  await many(2_000, 32, async (index) => {
    const ingest = index % 4 === 0;
    const path = ingest
      ? `/v1/ingest/${pick(paths)}/${pick(['order', 'x', '%00'])}`
      : `/webhooks/${pick(paths)}`;
    const text = dice() < 0.3 ? randomBytes(Math.floor(dice() * 3_000)) : pick(texts);
    const headers: Record<string, string> = {};
    for (let count = Math.floor(dice() * 7); count > 0; count -= 1) headers[pick(names)] = pick(values);
    if (ingest && dice() < 0.3) headers['authorization'] = `Bearer ${KEY}`;
    // Half of them are really from now, so that the later checks are met too.
    if (dice() < 0.5) headers['webhook-timestamp'] = String(Math.floor(Date.now() / 1_000));
    const status = await post(path, text, headers);
    if (status >= 500 || status < 400) odd.push(`seed ${seed}: ${status} ${path} ${JSON.stringify(headers)}`);
  });
  expect(odd).toEqual([]);
  expect(await kept()).toEqual([]);
  expect(await post('/webhooks/shop', body('alive'), signed(body('alive')))).toBe(200);
});

test('fuzz: bytes that are no HTTP end their own connection only', async () => {
  const { port, hostname } = new URL(server.urls.webhooks);
  await many(200, 16, async () => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    const starts = [
      '',
      'POST /webhooks/shop HTTP/1.1\r\n',
      'POST /webhooks/shop HTTP/1.1\r\ncontent-length: x\r\n\r\n',
    ];
    socket.end(Buffer.concat([Buffer.from(starts[Math.floor(Math.random() * 3)] ?? ''), randomBytes(300)]));
    socket.resume();
    await once(socket, 'close');
  });
  expect(await post('/webhooks/shop', body('alive2'), signed(body('alive2')))).toBe(200);
});

test('I2: what was answered with 200 is there after SIGKILL, and a sender that comes again is known', async () => {
  const answered: { text: string; headers: Record<string, string> }[] = [];
  const stop = new AbortController();
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let count = 0; !stop.signal.aborted; count += 1) {
      const text = body(`k${lane}-${count}`);
      const headers = signed(text);
      const status = await post('/webhooks/shop', text, headers).catch(() => 0);
      if (status === 200) answered.push({ text, headers });
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 400));
  server.signal('SIGKILL');
  await server.ended;
  stop.abort();
  await Promise.all(lanes);
  const there = new Set(await kept());
  expect(answered.length).toBeGreaterThan(20);
  const idOf = (text: string): string => (JSON.parse(text) as { id: string }).id;
  expect(answered.filter(({ text }) => !there.has(idOf(text)))).toEqual([]);
  server = await home.start();
  const [first] = answered;
  if (first === undefined) throw new Error('nothing was answered');
  expect(await post('/webhooks/shop', first.text, first.headers)).toBe(200);
  expect((await kept()).filter((record) => record === idOf(first.text))).toHaveLength(1);
});

test('SIGTERM: answers under way are finished, the next are refused, and it ends by itself', async () => {
  const text = body('last');
  const { port, hostname } = new URL(server.urls.webhooks);
  const socket = connect(Number(port), hostname);
  const head = Object.entries(signed(text)).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `POST /webhooks/shop HTTP/1.1\r\nhost: a\r\ncontent-length: ${text.length}\r\n${head.join('')}\r\n`,
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  server.signal('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 200));
  await expect(post('/webhooks/shop', text, signed(text))).rejects.toThrow();
  socket.write(text);
  const [answer] = (await once(socket.setEncoding('utf8'), 'data')) as [string];
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(await server.ended).toBe('0');
  expect(await kept()).toContain('last');
});
