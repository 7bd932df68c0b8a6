/** What leaves: signed as the standard's own library reads it, and to public addresses alone. */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { isPrivate, publicLookup } from '../../../activities/notify-address.ts';
import { messageId, retryAfterMs, Sender, signedHeaders } from '../../../activities/notify-send.ts';

const signal = new AbortController().signal;
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function receiver(
  answer: (response: ServerResponse, body: string, headers: IncomingHttpHeaders) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => answer(response, body, request.headers));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}/x` : '';
}

describe('signatures', () => {
  test('the vector of the standard', () => {
    // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md and its libraries' tests.
    const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
    const message = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      body: '{"test": 2432232314}',
      atMs: 1_614_265_330_000,
    };
    expect(signedHeaders(message, [key])).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  test('the standard’s own library takes what arrives, with each of two keys, and not once it is touched', async () => {
    const keys = [randomBytes(32), randomBytes(24)];
    let got: { body: string; headers: Record<string, string> } | undefined;
    const url = await receiver((response, body, headers) => {
      got = { body, headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, String(v)])) };
      response.end();
    });
    const sender = new Sender({ url, keys, allowPrivate: true });
    const body = JSON.stringify({ type: 'profile.changed', name: 'Žofie "Ω"' });
    expect(await sender.send({ id: 'msg_1', body, atMs: Date.now() }, signal)).toEqual({ outcome: 'taken' });
    sender.close();
    if (got === undefined) throw new Error('nothing arrived');
    for (const key of keys) {
      const webhook = new Webhook(`whsec_${key.toString('base64')}`);
      expect(webhook.verify(got.body, got.headers)).toEqual(JSON.parse(body));
      const { headers } = got;
      expect(() => webhook.verify(`${body} `, headers)).toThrow('No matching signature');
    }
  });

  test('one version of a profile has one id for a subscriber', () => {
    expect(messageId('a', 'p_1', 2)).toBe(messageId('a', 'p_1', 2));
    const others = [messageId('b', 'p_1', 2), messageId('a', 'p_2', 2), messageId('a', 'p_1', 3)];
    expect(new Set([...others, messageId('a', 'p_1', 2)]).size).toBe(4);
  });
});

describe('answers', () => {
  test.each([
    [204, {}, { outcome: 'taken' }],
    [410, {}, { outcome: 'gone' }],
    [
      503,
      { 'retry-after': '7' },
      { outcome: 'refused', refusal: { code: 'HTTP_503', retryAfterMs: 7_000, whole: true } },
    ],
    [429, {}, { outcome: 'refused', refusal: { code: 'HTTP_429', retryAfterMs: undefined, whole: true } }],
    [422, {}, { outcome: 'refused', refusal: { code: 'HTTP_422', retryAfterMs: undefined, whole: false } }],
    [
      302,
      { location: '/x' },
      { outcome: 'refused', refusal: { code: 'HTTP_302', retryAfterMs: undefined, whole: true } },
    ],
  ])('%i', async (status, headers, expected) => {
    let requests = 0;
    const url = await receiver((response) => {
      requests += 1;
      response.writeHead(status, headers).end('never read, and never told');
    });
    const sender = new Sender({ url, keys: [randomBytes(32)], allowPrivate: true });
    expect(await sender.send({ id: 'm', body: '{}', atMs: Date.now() }, signal)).toEqual(expected);
    sender.close();
    expect(requests).toBe(1);
  });

  test('none at all, none in time, and one without an end', async () => {
    const message = { id: 'm', body: '{}', atMs: Date.now() };
    const silent = await receiver(() => undefined);
    const endless = await receiver((response) => {
      response.writeHead(200);
      const pour = () => {
        while (response.write(Buffer.alloc(10_000)));
      };
      response.on('drain', pour).on('error', () => undefined);
      pour();
    });
    const sent = async (url: string) => {
      const sender = new Sender({ url, keys: [randomBytes(32)], allowPrivate: true }, 300);
      const delivery = await sender.send(message, signal);
      sender.close();
      return delivery;
    };
    expect(await sent(silent)).toEqual({ outcome: 'refused', refusal: { code: 'TIMEOUT', whole: true } });
    expect(await sent('http://127.0.0.1:1/')).toEqual({
      outcome: 'refused',
      refusal: { code: 'ECONNREFUSED', whole: true },
    });
    expect(await sent(endless)).toEqual({ outcome: 'taken' });
  });

  test.each([
    ['120', 120_000],
    ['Sat, 21 Nov 2026 08:01:00 GMT', 60_000],
    ['Sat, 21 Nov 2026 07:00:00 GMT', 0],
    ['99999999', 86_400_000],
    ['soon', undefined],
    [undefined, undefined],
  ])('Retry-After %s', (text, ms) => {
    expect(retryAfterMs(text, Date.parse('2026-11-21T08:00:00Z'))).toBe(ms);
  });
});

describe('addresses', () => {
  test.each([
    ...['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0'],
    ...['::1', '::', 'fe80::1', 'fd00::1', '::ffff:10.0.0.1', '::ffff:169.254.169.254', '64:ff9b::a00:1'],
    ...['2002:a00:1::', '255.255.255.255', '224.0.0.1', 'ff02::1', 'no address', '::7f00:1'],
  ])('%s is private', (address) => expect(isPrivate(address)).toBe(true));

  test.each(['1.1.1.1', '172.32.0.1', '8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8'])(
    '%s is public',
    (address) => expect(isPrivate(address)).toBe(false),
  );

  test.each([
    'http://127.0.0.1',
    'http://[::1]',
    'http://localhost',
    'http://[::ffff:127.0.0.1]',
    'http://2130706433',
  ])('%s is not even connected to', async (host) => {
    let requests = 0;
    const url = await receiver((response) => {
      requests += 1;
      response.end();
    });
    const sender = new Sender({
      url: `${host}:${new URL(url).port}/`,
      keys: [randomBytes(32)],
      allowPrivate: false,
    });
    expect(await sender.send({ id: 'm', body: '{}', atMs: 0 }, signal)).toEqual({
      outcome: 'refused',
      refusal: { code: 'ADDRESS_PRIVATE', whole: true },
    });
    sender.close();
    expect(requests).toBe(0);
  });

  test('a name is looked at when it is connected to', async () => {
    const answer = await new Promise((resolve) => {
      publicLookup('localhost', {}, (error) => resolve(error));
    });
    expect(answer).toMatchObject({ code: 'ADDRESS_PRIVATE' });
  });
});
