import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '../../../config/parse-config.ts';
import { signingKeys } from '../../../config/subscriptions.ts';
import { sources } from '../../../sources/registry.ts';
import { warehouses } from '../../../warehouses/registry.ts';

const env = (name: string) => ({ $secret: { env: name } });
const SECRET = env('BOT_SECRET');

function mistakes(serve: object, more: object = {}): string[] {
  const order = { key: 'id', stamp: 'at', fields: { id: 'string', at: 'timestamp' } };
  const input = {
    connections: { shop: { kind: 'push', objects: 'all', records: { order } } },
    warehouse: { kind: 'duckdb', path: 'w.duckdb' },
    profiles: {},
    serve,
    ...more,
  };
  const parsed = parseConfig(input, { file: 'c', home: '/h', kinds: { sources, warehouses } });
  return parsed.ok ? [] : parsed.lines;
}
const subscription = (more: object) => ({
  subscriptions: { bot: { url: 'https://x.org', secret: SECRET, ...more } },
});

describe('subscriptions', () => {
  test.each([
    ['https', { url: 'https://bot.example.com/x' }],
    ['http to this machine', { url: 'http://127.0.0.1:9000/' }],
    ['several secrets', { secret: [SECRET, env('OLD')] }],
    ['one value or several', { entity: 'contact', where: { jobTitle: 'CTO', city: ['Brno', null] } }],
  ])('%s is taken', (_name, more) => expect(mistakes(subscription(more))).toEqual([]));

  test.each([
    ['http elsewhere', { url: 'http://bot.example.com/' }, 'is not https'],
    ['another protocol', { url: 'file:///etc/passwd' }, 'serve.subscriptions.bot.url'],
    ['a password in the address', { url: 'https://u:p4ss@x.org' }, 'has a user or a password'],
    ['a secret that is written down', { secret: 'whsec_abc' }, 'serve.subscriptions.bot.secret'],
    ['an unknown entity', { entity: 'contcat' }, 'Did you mean contact?'],
    ['an unknown field', { entity: 'contact', fields: ['jobTitel'] }, 'Did you mean jobTitle?'],
    ['an unknown field to filter by', { entity: 'contact', where: { ctiy: 'x' } }, 'Did you mean city?'],
  ])('%s is named', (_name, more, expected) => {
    const found = mistakes(subscription(more));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
    expect(found[0]).not.toContain('p4ss');
    expect(found[0]).not.toContain('whsec_abc');
  });

  test('without profiles there is nothing to tell', () => {
    expect(mistakes(subscription({}), { profiles: undefined })[0]).toContain('needs profiles');
  });

  test('I5: a key that does not fit is not repeated', () => {
    process.env['BOT_SECRET'] = 'hunter2';
    expect(() => signingKeys('bot', { secret: [SECRET] })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: 'serve.subscriptions.bot.secret: the value of this secret is no signing key',
      }),
    );
    process.env['BOT_SECRET'] = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    expect(signingKeys('bot', { secret: [SECRET] })).toEqual([Buffer.alloc(32, 7)]);
  });
});

test.each([
  ['an unknown connection', 'shpo', 'names no connection'],
  ['one that takes nothing', 'shop', 'takes nothing that is pushed'],
])('a queue of %s is named', (_name, connection, expected) => {
  const queue = { url: env('BROKER'), queue: 'q', connection, object: 'order' };
  expect(mistakes({ queues: { orders: queue } })[0]).toContain(expected);
});
