import { createHmac, randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { HeadwaterError } from '../../../rules/errors.ts';
import type { Inbox } from '../../../stores/inbox/inbox.ts';
import { startListener, type TestListener } from '../../support/listener.ts';

const HUBSPOT_SECRET = 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy';
const SHOP_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const PERSON = 'lavender-4711@example.com';
const file = join(tmpdir(), `listener-secret-${randomUUID()}`);
const secret = (path: string) => ({ $secret: { file: path } });

const order = { key: 'id', stamp: 'updated', fields: { id: 'string', updated: 'timestamp', note: 'string' } };
const config = () => ({
  connections: {
    hub: {
      ...{ kind: 'hubspot', objects: 'all', auth: { kind: 'token', token: secret('/none') } },
      webhooks: { secrets: [secret(`${file}-hub`)] },
    },
    shop: {
      ...{ kind: 'push', objects: 'all', records: { order } },
      webhooks: { secrets: [secret(file)] },
    },
    slow: {
      ...{ kind: 'push', objects: 'all', records: { order } },
      webhooks: { secrets: [secret(file)], perSecond: 0.5, burst: 2 },
    },
    lost: {
      ...{ kind: 'push', objects: 'all', records: { order } },
      webhooks: { secrets: [secret(`${file}-none`)] },
    },
    quiet: { kind: 'push', objects: 'all', records: { order } },
  },
  serve: { webhooks: { publicUrl: 'https://hooks.example.com', waitingMax: 1_000 } },
});

let listener: TestListener;
let broken: HeadwaterError | undefined;
beforeAll(async () => {
  writeFileSync(file, SHOP_SECRET);
  writeFileSync(`${file}-hub`, HUBSPOT_SECRET);
  listener = await startListener(config(), (services) => {
    const accept: Inbox['accept'] = (connection, events) =>
      broken === undefined ? services.inbox.accept(connection, events) : Promise.reject(broken);
    const inbox = new Proxy(services.inbox, {
      get: (target, name) => {
        if (name === 'accept') return accept;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    return { ...services, inbox };
  });
});
afterAll(async () => {
  await listener.stop();
  rmSync(file);
  rmSync(`${file}-hub`);
});

function signed(body: string, more: { id?: string; at?: Date; secret?: string } = {}): RequestInit {
  const { id = randomUUID(), at = new Date(), secret: key = SHOP_SECRET } = more;
  const headers = {
    ...{ 'webhook-id': id, 'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)) },
    ...{ 'webhook-signature': new Webhook(key).sign(id, at, body), 'content-type': 'application/json' },
  };
  return { method: 'POST', headers, body };
}
const send = (connection: string, init: RequestInit) => fetch(`${listener.url}/webhooks/${connection}`, init);
const record = (id: string) => JSON.stringify({ id, updated: '2026-11-21T08:00:00Z', note: PERSON });
const waiting = async (connection: string) => await listener.services.inbox.take(connection, 0, 10_000);

describe('a webhook', () => {
  test('that is signed is durable when it is answered, and once however often it comes', async () => {
    const init = signed(record('A1'));
    const answers = await Promise.all(Array.from({ length: 100 }, () => send('shop', init)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const bodies = await Promise.all(answers.map(async (answer) => JSON.stringify(await answer.json())));
    expect(bodies.filter((text) => text === '{"accepted":1,"repeated":0,"leftOut":0}')).toHaveLength(1);
    expect(await waiting('shop')).toMatchObject([{ record: 'A1', kind: 'row', object: 'order' }]);
  });

  test('of HubSpot is signed over the public address, not over ours', async () => {
    const body = JSON.stringify([
      { eventId: 1, occurredAt: Date.now(), subscriptionType: 'contact.creation', objectId: 5 },
    ]);
    const at = String(Date.now());
    const signature = (base: string) =>
      createHmac('sha256', HUBSPOT_SECRET)
        .update(`POST${base}/webhooks/hub?a=b${body}${at}`)
        .digest('base64');
    const ask = async (base: string) => {
      const headers = { 'x-hubspot-signature-v3': signature(base), 'x-hubspot-request-timestamp': at };
      return (await send('hub?a=b', { method: 'POST', headers, body })).status;
    };
    expect(await ask(listener.url)).toBe(401);
    expect(await ask('https://hooks.example.com')).toBe(200);
    expect(await waiting('hub')).toMatchObject([{ record: '5', kind: 'changed' }]);
  });

  test('that is forged, old or from the future is 401, and nothing is written', async () => {
    const before = await waiting('shop');
    const at = (ms: number) => new Date(Date.now() + ms);
    const inits = [
      { ...signed(record('B')), body: record('C') },
      signed(record('B'), { secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD' }),
      signed(record('B'), { at: at(-301_000) }),
      signed(record('B'), { at: at(302_000) }),
      { method: 'POST', body: record('B') },
      { method: 'POST' },
    ];
    for (const init of inits) {
      const answer = await send('shop', init);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
    }
    expect(await waiting('shop')).toEqual(before);
  });

  test('that is signed and unreadable is 400; for nobody, or a connection without webhooks, 404', async () => {
    expect((await send('shop', signed('{'))).status).toBe(400);
    for (const name of ['nobody', 'quiet', '__proto__', '%00', 'x'.repeat(250)]) {
      expect((await send(name, signed(record('A')))).status).toBe(404);
    }
    expect((await fetch(`${listener.url}/webhooks/shop`)).status).toBe(404);
  });

  test('too many at once are 429 with Retry-After; forged ones use nothing up', async () => {
    const forged = await Promise.all(
      Array.from({ length: 20 }, () => send('slow', { method: 'POST', body: '{}' })),
    );
    expect(new Set(forged.map(({ status }) => status))).toEqual(new Set([401]));
    const statuses: number[] = [];
    for (let count = 0; count < 4; count += 1)
      statuses.push((await send('slow', signed(record(`S${count}`)))).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
    const late = await send('slow', signed(record('S9')));
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await waiting('slow')).map((row) => row.record)).toEqual(['S0', 'S1']);
  });
});

describe('what is wrong on our side is 503 with Retry-After, never 401', () => {
  test('secrets that cannot be read; a new one is known without a restart', async () => {
    const answer = await send('lost', signed(record('L')));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await answer.text()).not.toContain(file);
    expect(listener.logged.join('\n')).toContain(`${file}-none cannot be read`);
    writeFileSync(`${file}-none`, SHOP_SECRET);
    expect((await send('lost', signed(record('L')))).status).toBe(200);
    rmSync(`${file}-none`);
  });

  test.each([
    ['an inbox that cannot be written', 'INBOX_UNAVAILABLE' as const],
    ['a full inbox', 'INBOX_FULL' as const],
  ])('%s; the same message later is taken', async (_name, code) => {
    const init = signed(record(code));
    broken = new HeadwaterError(code, 'away');
    const answer = await send('shop', init);
    broken = undefined;
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await answer.json()).toMatchObject({ code, status: 503 });
    expect(await (await send('shop', init)).json()).toMatchObject({ accepted: 1 });
  });

  test('a backlog at its limit', async () => {
    const many = JSON.stringify(Array.from({ length: 999 }, (_, at) => JSON.parse(record(`M${at}`))));
    expect((await send('shop', signed(many))).status).toBe(503);
    expect((await waiting('shop')).some((row) => row.record.startsWith('M'))).toBe(false);
  });
});

describe('size', () => {
  test('a body that says it is too large is 413 before it is sent', async () => {
    const answer = await raw(
      listener.url,
      'POST /webhooks/shop HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('a body that turns out too large is 413 while it streams', async () => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const answer = await raw(
      listener.url,
      `POST /webhooks/shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(20)}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });
});

test('I5: neither log nor answers hold what was sent, nor a secret', async () => {
  const token = `hidden-${randomUUID()}`;
  await send(`shop/${token}?email=${PERSON}`, signed(record('Z')));
  const answer = await send('shop', { method: 'POST', body: record('Z'), headers: { 'webhook-id': PERSON } });
  expect(await answer.text()).not.toContain(PERSON);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  const log = listener.logged.join('\n');
  expect(log).toContain('shop: the signature fits no secret');
  for (const hidden of [token, PERSON, SHOP_SECRET, HUBSPOT_SECRET]) expect(log).not.toContain(hidden);
});

/** Bytes as they are, and the first of the answer. */
async function raw(url: string, text: string): Promise<string> {
  const { port, hostname } = new URL(url);
  return await new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.setEncoding('utf8').once('data', (answer: string) => {
      resolve(answer);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}
