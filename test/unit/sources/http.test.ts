import { afterEach, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { HeadwaterError } from '../../../rules/errors.ts';
import {
  ERROR_BODY_BYTES_MAX,
  HttpClient,
  retryAfterMs,
  scrub,
  type HttpResponse,
} from '../../../sources/http.ts';
import { reply, startFake, testContext, type FakeServer } from './fake-server.ts';

const open: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function start(
  answer: Parameters<typeof startFake>[0],
): Promise<{ server: FakeServer; http: HttpClient }> {
  const server = await startFake(answer);
  const http = new HttpClient(testContext());
  open.push(http, server);
  return { server, http };
}

const failure = async (answer: Promise<unknown>): Promise<HeadwaterError> => {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HeadwaterError)) throw new Error(`expected a HeadwaterError, got ${String(error)}`);
  return error;
};

const get = (http: HttpClient, server: FakeServer): Promise<HttpResponse> =>
  http.request({ method: 'GET', url: `${server.url}/a?q=private` });

const NOW = Date.parse('2026-11-21T08:00:00.000Z');
test.each([
  [undefined, undefined],
  ['0', 0],
  ['7', 7000],
  [' 120 ', 120_000],
  ['Sat, 21 Nov 2026 08:01:30 GMT', 90_000],
  ['Sat, 21 Nov 2026 07:00:00 GMT', 0],
  ['99999999', 86_400_000],
  ['soon', undefined],
  ['-5', expect.anything()],
])('Retry-After %j is %j ms', (value, expected) => {
  if (value === '-5') expect(retryAfterMs(value, NOW) ?? 0).toBeGreaterThanOrEqual(0);
  else expect(retryAfterMs(value, NOW)).toEqual(expected);
});

test.each([
  [401, {}, 'AUTH_FAILED'],
  [403, {}, 'PERMISSION_DENIED'],
  [404, {}, 'SOURCE_REJECTED'],
  [429, {}, 'SOURCE_THROTTLED'],
  [429, { 'retry-after': '3' }, 'SOURCE_THROTTLED'],
  [503, { 'retry-after': '3' }, 'SOURCE_THROTTLED'],
  [503, {}, 'SOURCE_UNAVAILABLE'],
  [500, {}, 'SOURCE_UNAVAILABLE'],
  [302, { location: 'http://127.0.0.1:1/' }, 'SOURCE_PROTOCOL'],
] as const)('%d %j is %s and is not tried again', async (status, headers, code) => {
  const { http, server } = await start((_call, response) => reply(response, status, 'no', { ...headers }));
  const error = await failure(get(http, server));
  expect(error.code).toBe(code);
  expect(error.details).toMatchObject({ status });
  expect(error.message).not.toContain('private');
  expect(error.retryAfterMs).toBe('retry-after' in headers ? 3000 : undefined);
  expect(server.calls).toHaveLength(1);
});

test('a body that ends before its announced length is an error, and so is half a chunk', async () => {
  for (const announce of [true, false]) {
    const { http, server } = await start((_call, response) => {
      response.writeHead(200, announce ? { 'content-length': '1000' } : {});
      response.write('x'.repeat(500));
      setTimeout(() => response.destroy(), 20);
    });
    const response = await get(http, server);
    expect((await failure(response.text())).code).toBe('SOURCE_PROTOCOL');
  }
});

test('gzip is unpacked, and a truncated stream of it is an error', async () => {
  const packed = gzipSync('abc'.repeat(10_000));
  let cut = packed.length;
  const { http, server } = await start((_call, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    response.end(packed.subarray(0, cut));
  });
  expect(await (await get(http, server)).text()).toHaveLength(30_000);
  cut = packed.length - 10;
  expect((await failure((await get(http, server)).text())).code).toBe('SOURCE_PROTOCOL');
});

test('a connection that is lost within gzip is an error, not a wait without end', async () => {
  const packed = gzipSync(randomBytes(200_000));
  const { http, server } = await start((_call, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': String(packed.length) });
    response.write(packed.subarray(0, 100_000));
    setTimeout(() => response.destroy(), 20);
  });
  expect((await failure((await get(http, server)).text())).code).toBe('SOURCE_PROTOCOL');
});

test('no answer is SOURCE_UNAVAILABLE; only a GET is sent twice, and only twice', async () => {
  const { http, server } = await start((_call, response) => {
    response.destroy();
  });
  expect((await failure(get(http, server))).code).toBe('SOURCE_UNAVAILABLE');
  expect(server.calls).toHaveLength(2);
  expect((await failure(http.request({ method: 'POST', url: server.url, body: '{}' }))).code).toBe(
    'SOURCE_UNAVAILABLE',
  );
  expect(server.calls).toHaveLength(3);
  await server.close();
  expect((await failure(get(http, server))).code).toBe('SOURCE_UNAVAILABLE');
});

test('an abort is thrown with its own reason, before and during the answer', async () => {
  const { http, server } = await start((_call, response) => {
    response.writeHead(200);
    response.write('first');
  });
  const control = new AbortController();
  const reason = new Error('cancelled');
  const response = await http.send({ method: 'GET', url: server.url, signal: control.signal });
  const text = response.text();
  setTimeout(() => control.abort(reason), 20);
  await expect(text).rejects.toBe(reason);
  await expect(http.send({ method: 'GET', url: server.url, signal: control.signal })).rejects.toBe(reason);
});

test('every call takes from the bucket first; a refusal there makes no call', async () => {
  const server = await startFake((_call, response) => reply(response, 200, {}));
  const refused = new HeadwaterError('QUOTA_EXHAUSTED', 'stop');
  const http = new HttpClient(testContext({ acquire: () => Promise.reject(refused) }));
  open.push(http, server);
  await expect(get(http, server)).rejects.toBe(refused);
  expect(server.calls).toHaveLength(0);
});

test('an error body is cut and cleaned', async () => {
  const token = '00D000000000001!AQEAQ.abc_def';
  const { http, server } = await start((_call, response) =>
    reply(response, 400, `Bearer ${token} my-secret ${'x'.repeat(3 * ERROR_BODY_BYTES_MAX)}`),
  );
  const error = await failure(http.request({ method: 'GET', url: server.url }, ['my-secret']));
  expect(error.message.length).toBeLessThan(400);
  expect(error.message).not.toMatch(/AQEAQ|my-secret/);
});

test.each([
  ['session 00D5g00000KxyzA!ARoAQ.abc_DEF.ghi expired', /ARoAQ/],
  ['Authorization: Bearer abc.def-ghi', /abc\.def/],
  ['assertion=eyJhbGciOi.eyJpc3Mi.c2ln', /eyJ/],
  ['{"refresh_token":"5Aep861"}', /5Aep861/],
  ['client_secret=hush&x=1', /hush/],
])('scrub takes the secret out of %j', (text, secret) => {
  expect(scrub(text)).not.toMatch(secret);
  expect(scrub(text)).toContain('[secret]');
});
