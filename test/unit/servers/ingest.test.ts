import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { keyHash, newKey } from '../../../config/keys.ts';
import { startListener, type TestListener } from '../../support/listener.ts';

const [tool, reader, admin, eager] = Array.from({ length: 4 }, newKey);
const order = {
  fields: { id: 'string', updated: 'timestamp', total: 'decimal(18,2)', email: 'string' },
  ...{ key: 'id', stamp: 'updated' },
};
const held = (key: string | undefined, more: Record<string, unknown>) => ({
  hash: keyHash(key ?? ''),
  ...more,
});

let listener: TestListener;
beforeAll(async () => {
  listener = await startListener({
    connections: {
      shop: { kind: 'push', objects: 'all', records: { order }, webhooks: {} },
      hub: {
        ...{ kind: 'hubspot', objects: 'all', auth: { kind: 'token', token: { $secret: { env: 'NONE' } } } },
        webhooks: { secrets: [{ $secret: { env: 'NONE' } }] },
      },
    },
    serve: {
      keys: {
        tool: held(tool, { scopes: ['ingest'] }),
        reader: held(reader, { scopes: ['read', 'write'] }),
        admin: held(admin, { scopes: ['admin'] }),
        eager: held(eager, { scopes: ['ingest'], perSecond: 0.5, burst: 2 }),
      },
    },
  });
});
afterAll(() => listener.stop());

interface Told {
  accepted: number;
  repeated: number;
  refused: number;
  results: { index: number; status: string; field?: string | null; reason?: string }[];
}

async function send(
  body: string,
  {
    key = tool,
    type = 'application/json',
    path = 'shop/order',
    ...headers
  }: Record<string, string | undefined> = {},
): Promise<{ status: number; told: Told; retryAfter: string | null }> {
  const given = Object.entries({ 'content-type': type, authorization: `Bearer ${key}`, ...headers });
  const sent = given.filter((entry): entry is [string, string] => entry[1] !== undefined);
  const answer = await fetch(`${listener.url}/v1/ingest/${path}`, { method: 'POST', headers: sent, body });
  const told = (await answer.json()) as Told;
  return { status: answer.status, told, retryAfter: answer.headers.get('retry-after') };
}

const record = (id: string, more: Record<string, unknown> = {}) => ({
  id,
  updated: '2026-11-21T08:00:00Z',
  total: 1,
  ...more,
});
const kept = async () => (await listener.services.inbox.take('shop', 0, 10_000)).map((row) => row.record);

describe('records', () => {
  test('one, a list, or one per line: each has its result, and is there when it is answered', async () => {
    expect(await send(JSON.stringify(record('1')))).toMatchObject({ status: 200, told: { accepted: 1 } });
    expect(await send(JSON.stringify([record('2'), record('3')]))).toMatchObject({ told: { accepted: 2 } });
    const lines = `${JSON.stringify(record('4'))}\r\n\n${JSON.stringify(record('5'))}\n`;
    for (const type of ['application/x-ndjson', 'text/plain', 'application/json']) {
      expect((await send(lines, { type, 'idempotency-key': type })).told.accepted).toBe(2);
    }
    expect(await kept()).toEqual(['1', '2', '3', ...['4', '5', '4', '5', '4', '5']]);
  });

  test('what does not fit is named by index and field, and the others are taken', async () => {
    const before = (await kept()).length;
    const list = [record('a'), record('b', { total: 'x' }), record('a'), record('c', { updated: null }), 7];
    const { status, told } = await send(`${list.map((one) => JSON.stringify(one)).join('\n')}\n{"id":`, {
      type: 'application/x-ndjson',
    });
    expect(status).toBe(207);
    expect(told).toMatchObject({ accepted: 1, repeated: 1, refused: 4 });
    expect(told.results).toEqual([
      { index: 0, status: 'accepted' },
      { index: 1, status: 'refused', field: 'total', reason: 'is no decimal(18,2)' },
      { index: 2, status: 'repeated' },
      { index: 3, status: 'refused', field: 'updated', reason: 'is missing' },
      { index: 4, status: 'refused', field: null, reason: 'is no object' },
      { index: 5, status: 'refused', field: null, reason: 'is no JSON' },
    ]);
    expect((await kept()).length).toBe(before + 1);
    expect((await send(JSON.stringify(record('d', { total: 'x' })))).status).toBe(422);
  });

  test('the same request again is repeated; the same key with something new loses nothing', async () => {
    const ask = (body: unknown, key: string) => send(JSON.stringify(body), { 'idempotency-key': key });
    expect((await ask(record('i'), 'k1')).told).toMatchObject({ accepted: 1, repeated: 0 });
    expect((await ask(record('i'), 'k1')).told).toMatchObject({ accepted: 0, repeated: 1 });
    expect((await ask(record('i', { total: 2 }), 'k1')).told).toMatchObject({ accepted: 1, repeated: 0 });
    expect((await ask(record('i'), '')).status).toBe(400);
    expect((await ask(record('i'), 'x'.repeat(201))).status).toBe(400);
  });

  test('1,000 are taken, one more is 413', async () => {
    const many = (count: number) =>
      JSON.stringify(Array.from({ length: count }, (_, at) => record(`m${at}`)));
    expect((await send(many(1_000))).told.accepted).toBe(1_000);
    expect((await send(many(1_001))).status).toBe(413);
  });

  test.each([['{'], ['x'], ['\u0000']])('%j is 400', async (body) => {
    expect((await send(body)).status).toBe(400);
  });

  test('what nobody declared is 404', async () => {
    for (const path of ['shop/invoice', 'shop/__proto__', 'nobody/order', 'hub/contacts']) {
      expect((await send(JSON.stringify(record('1')), { path })).status).toBe(404);
    }
  });
});

describe('keys', () => {
  test.each([
    ['none', undefined, 401],
    ['another', newKey(), 401],
    ['a hash instead of the key', keyHash(tool ?? ''), 401],
    ['one without the scope', reader, 403],
    ['an admin', admin, 200],
  ])('%s', async (_name, key, status) => {
    const authorization = key === undefined ? undefined : `Bearer ${key}`;
    expect((await send(JSON.stringify(record('k')), { authorization })).status).toBe(status);
  });

  test('each has its own rate, and hears when to come back', async () => {
    const statuses: number[] = [];
    for (let count = 0; count < 3; count += 1)
      statuses.push((await send(JSON.stringify(record('r')), { key: eager })).status);
    expect(statuses).toEqual([200, 200, 429]);
    expect(Number((await send('{}', { key: eager })).retryAfter)).toBeGreaterThanOrEqual(1);
    expect((await send(JSON.stringify(record('r')))).status).toBe(200);
  });

  test('I5: the log names keys and never holds one', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const log = listener.logged.join('\n');
    expect(log).toContain('200 tool');
    for (const key of [tool, reader, admin, eager]) expect(log).not.toContain(key);
    expect(log).not.toContain('hw_');
  });

  test('a new key is random and long, and its hash is what the configuration takes', () => {
    const key = newKey();
    expect(key).toMatch(/^hw_[A-Za-z0-9_-]{43}$/);
    expect(keyHash(key)).toBe(`sha256:${createHash('sha256').update(key).digest('hex')}`);
    expect(keyHash('secret')).toBeUndefined();
  });
});

describe('docs/ingest.md', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'ingest.md'), 'utf8');
  const commands = [...page.matchAll(/```bash\n(curl[\s\S]*?)```/g)].map(([, command = '']) => command);
  const without = spawnSync('curl', ['--version']).status !== 0;
  if (without) process.stderr.write('SKIPPED: the commands of docs/ingest.md, install curl\n');

  (without ? test.skip : test)('its curl commands work as they stand', async () => {
    expect(commands.length).toBeGreaterThanOrEqual(2);
    const { spawn } = await import('node:child_process');
    for (const command of commands) {
      const line = command.replaceAll('http://127.0.0.1:8471', listener.url);
      const child = spawn('bash', ['-c', line], { env: { ...process.env, HEADWATER_KEY: tool } });
      let output = '';
      child.stdout.on('data', (part: Buffer) => (output += part.toString('utf8')));
      await new Promise((resolve) => child.once('close', resolve));
      expect(JSON.parse(output)).toMatchObject({ refused: 0 });
    }
  });
});
