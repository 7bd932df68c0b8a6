import { describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { push } from '../../../../sources/push/index.ts';
import { webhooks } from '../../../../sources/push/webhooks.ts';
import type { WebhookRequest } from '../../../../sources/source.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const OTHER = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
const NOW = 1_614_265_330_000;
const order = {
  fields: {
    ...{ id: 'string', updated: 'timestamp', total: 'decimal(10,2)', paid: 'boolean', gone: 'boolean' },
    ...{ count: 'integer', weight: 'double', day: 'date', hour: 'time', extra: 'json' },
  },
  ...{
    key: 'id',
    stamp: 'updated',
    deleted: 'gone',
    path: 'data',
    when: { type: ['order.created', 'order.updated'] },
  },
};
const own = { kind: 'push', objects: 'all', records: { order } };
const connection = { objects: 'all' as const, exclude: [], own };

const receiver = (secrets: string[] = [SECRET], more: Record<string, unknown> = {}) =>
  webhooks.receiver(webhooks.config.parse({ secrets }), { ...connection, own: { ...own, ...more } });

/** As the package of the specification signs it. */
function request(body: string, secrets = [SECRET], more: Partial<WebhookRequest> = {}): WebhookRequest {
  const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
  const signed = secrets.map((secret) => new Webhook(secret).sign(id, new Date(NOW), body));
  const headers = {
    ...{ 'webhook-id': id, 'webhook-timestamp': String(NOW / 1_000), 'webhook-signature': signed.join(' ') },
  };
  const url = 'http://127.0.0.1/webhooks/shop';
  return { method: 'POST', url, rest: '', headers, body: Buffer.from(body), nowMs: NOW, ...more };
}

const body = (data: unknown, type = 'order.updated') => JSON.stringify({ type, data });
const whole = { id: 'A1', updated: '2026-11-21T08:00:00Z', total: '12.50', paid: true };

describe('Standard Webhooks', () => {
  test('the vector that the specification publishes', () => {
    const headers = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    };
    const text = '{"test": 2432232314}';
    expect(receiver()({ ...request(text), headers })).toMatchObject({ ok: true, events: [] });
    expect(receiver()({ ...request('{"test": 2432232315}'), headers })).toMatchObject({ status: 401 });
  });

  test('any signature of the list and any active secret will do', () => {
    expect(receiver()(request(body(whole), [OTHER, SECRET])).ok).toBe(true);
    expect(receiver([OTHER, SECRET])(request(body(whole))).ok).toBe(true);
    expect(receiver()(request(body(whole), [OTHER])).ok).toBe(false);
    expect(receiver([])(request(body(whole))).ok).toBe(false);
  });

  test.each([
    ['no id', { 'webhook-id': undefined }],
    ['another id', { 'webhook-id': 'msg_2' }],
    ['no time', { 'webhook-timestamp': undefined }],
    ['another spelling of the time', { 'webhook-timestamp': '1614265330.0' }],
    ['another version', { 'webhook-signature': 'v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' }],
    ['no signature', { 'webhook-signature': '' }],
  ])('%s is refused', (_name, headers) => {
    const good = request(body(whole));
    expect(receiver()({ ...good, headers: { ...good.headers, ...headers } })).toMatchObject({ status: 401 });
  });

  test.each([
    [-300, true],
    [-301, false],
    [300, true],
    [301, false],
  ])('sent %i s away', (away, ok) => {
    expect(receiver()({ ...request(body(whole)), nowMs: NOW + away * 1_000 }).ok).toBe(ok);
  });
});

describe('records', () => {
  const rows = (data: unknown) => {
    const answer = receiver()(request(body(data)));
    return answer.ok ? answer : undefined;
  };

  test('a record is a whole row: declared fields in their order, others left out, missing ones null', () => {
    const answer = rows({ ...whole, secretField: 'x', extra: { a: [1.5] } });
    expect(answer?.events).toMatchObject([
      { object: 'order', record: 'A1', kind: 'row', at: '2026-11-21T08:00:00.000Z' },
    ]);
    expect(Object.entries(answer?.events[0]?.values ?? {})).toEqual([
      ...[
        ['id', 'A1'],
        ['updated', '2026-11-21T08:00:00Z'],
        ['total', '12.50'],
        ['paid', true],
        ['gone', null],
      ],
      ...[
        ['count', null],
        ['weight', null],
        ['day', null],
        ['hour', null],
        ['extra', { a: [1.5] }],
      ],
    ]);
  });

  test('numbers keep their digits', () => {
    const text = `{"type":"order.updated","data":{"id":9007199254740993,"updated":"2026-11-21T08:00:00Z","total":12345678.90,"count":9223372036854775807}}`;
    const answer = receiver()(request(text));
    expect(answer.ok && answer.events[0]).toMatchObject({
      record: '9007199254740993',
      values: { total: '12345678.90', count: '9223372036854775807' },
    });
  });

  test('a list is a record each; a body of another type names none', () => {
    expect(rows([whole, { ...whole, id: 'A2' }])?.events.map(({ record }) => record)).toEqual(['A1', 'A2']);
    const other = receiver()(request(body(whole, 'order.viewed')));
    expect(other).toMatchObject({ ok: true, events: [], leftOut: 1 });
  });

  test('a value that does not fit is kept as it came, to be set aside with its row; without key or stamp there is no row', () => {
    const answer = rows([
      { ...whole, total: 'many' },
      { ...whole, id: null },
      { ...whole, updated: 'noon' },
      7,
    ]);
    expect(answer?.events.map(({ values }) => values?.['total'])).toEqual(['many']);
    expect(answer?.leftOut).toBe(3);
  });

  test('the same message twice is the same fact; the next message is another', () => {
    const first = rows(whole)?.events[0]?.id;
    expect(rows(whole)?.events[0]?.id).toBe(first);
    expect(rows({ ...whole, total: '12.51' })?.events[0]?.id).not.toBe(first);
    expect(first).not.toContain('A1');
  });

  test.each<[string, unknown, boolean]>([
    ['total', '99999999.99', true],
    ['total', '100000000', false],
    ['total', '1.005', false],
    ['total', '1.500', true],
    ['total', -0.5, true],
    ['total', '', false],
    ['total', '.', false],
    ['total', 'NaN', false],
    ['count', '9223372036854775808', false],
    ['count', 1.5, false],
    ['count', -3, true],
    ['weight', '1e3', true],
    ['weight', 'Infinity', false],
    ['weight', '', false],
    ['paid', 'false', true],
    ['paid', 0, false],
    ['day', '2026-02-29', false],
    ['day', '2028-02-29', true],
    ['hour', '24:00', false],
    ['hour', '23:59:59.123456', true],
    ['updated', '2026-11-21T08:00:00+01:00', true],
    ['updated', '2026-11-21T08:00:00', false],
    ['updated', '2026-13-21T08:00:00Z', false],
    ['id', '', false],
    ['id', 'x'.repeat(201), false],
    ['id', {}, false],
  ])('%s = %j: %j', (field, value, ok) => {
    const take = webhooks.records?.(connection, 'order');
    const taken = take?.({ ...whole, [field]: value }, '');
    expect(taken).toMatchObject(ok ? { ok } : { ok, field });
  });

  test('an object that is not declared, or left out, takes nothing', () => {
    expect(webhooks.records?.(connection, 'invoice')).toBeUndefined();
    expect(webhooks.records?.(connection, '__proto__')).toBeUndefined();
    const without = { ...connection, own: { ...own, exclude: ['order'] } };
    expect(webhooks.records?.(without, 'order')).toBeUndefined();
  });
});

describe('the source', () => {
  const context = {
    connection: 'shop',
    now: Date.now,
    acquire: async () => {},
    reportQuota: () => {},
    log: () => {},
  };
  const source = push.connect(push.config.parse(own), context);

  test('describes what was declared', async () => {
    const schema = await source.describe('order');
    expect(schema).toMatchObject({
      object: 'order',
      table: 'order',
      key: 'id',
      stamp: 'updated',
      deleted: 'gone',
    });
    expect(schema.fields.find(({ name }) => name === 'total')?.type).toEqual({
      kind: 'decimal',
      precision: 10,
      scale: 2,
    });
    await expect(source.describe('invoice')).rejects.toMatchObject({ code: 'OBJECT_UNKNOWN' });
  });

  test('I6: what cannot be read never looks empty', async () => {
    expect(push.capabilities.pushOnly).toBe(true);
    const schema = await source.describe('order');
    const signal = new AbortController().signal;
    expect(() => source.fetch(schema, ['A1'], signal)).toThrow(
      expect.objectContaining({ code: 'SOURCE_REJECTED' }),
    );
    expect(await source.count(schema, { from: '', until: '' })).toBe('unknown');
  });

  test.each([
    ['key', { key: 'total' }, 'key'],
    ['stamp', { stamp: 'id' }, 'stamp'],
    ['deleted', { deleted: 'nothing' }, 'deleted'],
    ['type', { fields: { ...order.fields, total: 'decimal(40,2)' } }, 'total'],
  ])('a wrong %s is a mistake of the configuration', (_name, more, at) => {
    const parsed = push.config.safeParse({ ...own, records: { order: { ...order, ...more } } });
    expect(parsed.error?.issues[0]?.path.at(-1)).toBe(at);
  });
});
