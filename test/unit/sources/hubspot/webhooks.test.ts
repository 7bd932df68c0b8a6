import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { Signature } from '@hubspot/api-client';
import { decodeUri, webhooks } from '../../../../sources/hubspot/webhooks.ts';
import type { WebhookRequest } from '../../../../sources/source.ts';

const SECRET = 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy';
const ADDRESS = 'https://www.example.com/webhook_uri';
const NOW = 1_700_000_300_000;
const ALL = { objects: 'all' as const, exclude: [], own: {} };

const receiver = (
  more: Record<string, unknown> = {},
  connection: Parameters<typeof webhooks.receiver>[1] = ALL,
) => webhooks.receiver(webhooks.config.parse({ secrets: [SECRET], ...more }), connection);

function request(
  body: string,
  more: Partial<WebhookRequest> & { at?: string; secret?: string } = {},
): WebhookRequest {
  const { at = String(NOW), secret = SECRET, url = ADDRESS, method = 'POST', ...rest } = more;
  const signature = createHmac('sha256', secret).update(`${method}${url}${body}${at}`).digest('base64');
  const headers = { 'x-hubspot-request-timestamp': at, 'x-hubspot-signature-v3': signature };
  return { method, url, rest: '', headers, body: Buffer.from(body), nowMs: NOW, ...rest };
}

const base = {
  eventId: 1,
  subscriptionId: 2,
  portalId: 62515,
  occurredAt: NOW,
  attemptNumber: 0,
  objectId: 123,
};
const event = (subscriptionType: string, more: Record<string, unknown> = {}) => ({
  ...base,
  subscriptionType,
  ...more,
});
function told(events: unknown[], connection = ALL as Parameters<typeof webhooks.receiver>[1], more = {}) {
  const answer = receiver(more, connection)(request(JSON.stringify(events)));
  if (!answer.ok) throw new Error(answer.reason);
  return answer;
}
const names = (events: unknown[], connection?: Parameters<typeof webhooks.receiver>[1], more = {}) =>
  told(events, connection, more).events.map(({ object, record, kind }) => `${kind} ${object} ${record}`);

describe('signatures of version 3', () => {
  // Fixed values of the tests of HubSpot's own clients for Python and Ruby.
  test.each([
    ['1693657560000', 'K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y='],
    ['1700000300000', 'RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw='],
  ])("HubSpot's published vector of %s", (at, signature) => {
    const body = Buffer.from("{'example_field':'example_value'}");
    const headers = { 'x-hubspot-request-timestamp': at, 'x-hubspot-signature-v3': signature };
    const ask = { method: 'POST', url: ADDRESS, rest: '', headers, body, nowMs: Number(at) };
    // Proven; and then no list of events.
    expect(receiver()(ask)).toMatchObject({ ok: false, status: 400 });
    expect(receiver()({ ...ask, body: Buffer.from('{}') })).toMatchObject({ ok: false, status: 401 });
  });

  test("what HubSpot's own client for Node signs is taken", () => {
    const body = JSON.stringify([event('contact.creation')]);
    const options = { clientSecret: SECRET, requestBody: body, url: ADDRESS, timestamp: NOW };
    const signature = Signature.getSignature('POST', 'v3', { ...options, signature: '' });
    const headers = { 'x-hubspot-request-timestamp': String(NOW), 'x-hubspot-signature-v3': signature };
    expect(receiver()({ ...request(body), headers }).ok).toBe(true);
  });

  test.each([
    ['five minutes ago', -300_000, true],
    ['older', -300_001, false],
    ['five minutes ahead', 300_000, true],
    ['further ahead', 300_001, false],
  ])('a time of %s', (_name, away, ok) => {
    expect(receiver()(request('[]', { at: String(NOW + away) })).ok).toBe(ok);
  });

  test.each([
    ['1700000300000.0'],
    ['-1'],
    ['0x18BCFE56800'],
    ['1e12'],
    [' 1700000300000'],
    [''],
    ['9'.repeat(17)],
    ['NaN'],
  ])('a time that is no plain number, %j, is refused though it is signed', (at) => {
    expect(receiver()(request('[]', { at }))).toMatchObject({ ok: false, status: 401 });
  });

  test('every active secret is tried, a removed one no more', () => {
    const two = receiver({ secrets: ['new-secret', SECRET] });
    expect(two(request('[]')).ok).toBe(true);
    expect(two(request('[]', { secret: 'new-secret' })).ok).toBe(true);
    expect(receiver({ secrets: ['new-secret'] })(request('[]'))).toMatchObject({ status: 401 });
  });

  test('a signature of another length, of other letters for the same bytes, or none is refused', () => {
    const good = request('[]');
    const signature = good.headers['x-hubspot-signature-v3'] ?? '';
    const headersWith = (value: string | undefined) => ({ ...good.headers, 'x-hubspot-signature-v3': value });
    const urlSafe = signature.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    for (const value of ['', 'a', signature.slice(1), `${signature}=`, ` ${signature}`, urlSafe, undefined]) {
      expect(receiver()({ ...good, headers: headersWith(value) })).toMatchObject({ ok: false, status: 401 });
    }
  });

  test('what was signed is the address as it was written, with the characters decoded that HubSpot decodes', () => {
    expect(decodeUri('https://a.b/c%3Fd?e=%40%3a%2F%21%24%27%28%29%2A%2C%3B')).toBe(
      "https://a.b/c?d?e=@:/!$'()*,;",
    );
    expect(decodeUri('https://a.b/%20%26%3D%25')).toBe('https://a.b/%20%26%3D%25');
    const ask = request('[]', { url: 'https://a.b/webhooks/crm?x=@y' });
    expect(receiver()({ ...ask, url: 'https://a.b/webhooks/crm?x=%40y' }).ok).toBe(true);
    expect(receiver()({ ...ask, url: 'https://a.b/webhooks/other?x=%40y' }).ok).toBe(false);
    expect(receiver()({ ...ask, method: 'PUT' }).ok).toBe(false);
  });
});

describe('events', () => {
  test('each kind names its records', () => {
    expect(
      names([
        event('contact.propertyChange', { propertyName: 'email', propertyValue: 'a@b.c' }),
        event('company.creation'),
        event('object.restore', { objectTypeId: '0-5' }),
        event('deal.deletion'),
        event('contact.privacyDeletion'),
      ]),
    ).toEqual([
      'changed contacts 123',
      'changed companies 123',
      'changed tickets 123',
      'deleted deals 123',
      'deleted contacts 123',
    ]);
  });

  test('a change carries its value and its time, a sensitive one no value', () => {
    const change = event('contact.propertyChange', { propertyName: 'email', propertyValue: 'a@b.c' });
    const { events } = told([
      change,
      { ...change, isSensitive: true },
      { ...change, propertyValue: 'REDACTED' },
    ]);
    expect(events.map(({ values }) => values)).toEqual([{ email: 'a@b.c' }, null, null]);
    expect(events[0]?.at).toBe('2023-11-14T22:18:20.000Z');
  });

  test('a merge names the new id as changed and all that lead to it as gone', () => {
    const merge = event('contact.merge', {
      primaryObjectId: 1,
      mergedObjectIds: [2, 3],
      newObjectId: 9,
      objectId: 9,
    });
    expect(names([merge])).toEqual([
      'changed contacts 9',
      'deleted contacts 1',
      'deleted contacts 2',
      'deleted contacts 3',
    ]);
  });

  test('an association is the record of an association object, in each direction that is synced', () => {
    const classic = event('contact.associationChange', {
      ...{
        fromObjectId: 5,
        toObjectId: 6,
        associationType: 'CONTACT_TO_COMPANY',
        isPrimaryAssociation: true,
      },
    });
    const generic = event('object.associationChange', {
      ...{ fromObjectTypeId: '0-3', toObjectTypeId: '2-77', fromObjectId: 5, toObjectId: 6 },
      ...{ associationTypeId: 41, associationCategory: 'USER_DEFINED' },
    });
    const objects = ['contacts~companies', 'deals~p1_car'];
    expect(names([classic, generic], { ...ALL, objects }, { types: { '2-77': 'p1_car' } })).toEqual([
      'changed contacts~companies 5:6:HUBSPOT_DEFINED:279',
      'changed contacts~companies 5:6:HUBSPOT_DEFINED:1',
      'changed deals~p1_car 5:6:USER_DEFINED:41',
    ]);
    expect(names([classic], { ...ALL, objects: ['companies~contacts'] })).toEqual([
      'changed companies~contacts 6:5:HUBSPOT_DEFINED:280',
      'changed companies~contacts 6:5:HUBSPOT_DEFINED:2',
    ]);
  });

  test('a retry has the id of the first try; another property, record or time has another', () => {
    const one = event('contact.propertyChange', { propertyName: 'email', propertyValue: 'a' });
    const idOf = (input: unknown) => told([input]).events[0]?.id;
    expect(idOf({ ...one, attemptNumber: 4 })).toBe(idOf(one));
    // HubSpot: "eventId … is not guaranteed to be unique".
    const others = [
      { propertyName: 'phone' },
      { objectId: 7 },
      { occurredAt: NOW + 1 },
      { subscriptionId: 9 },
    ];
    expect(new Set([one, ...others.map((more) => ({ ...one, ...more }))].map(idOf)).size).toBe(5);
    expect(idOf(one)).not.toContain('email');
  });

  test('what is not synced, of another account, unknown or unreadable is left out, and the others are taken', () => {
    const { events, leftOut } = told(
      [
        event('contact.creation'),
        event('deal.creation'),
        event('contact.creation', { portalId: 1 }),
        event('conversation.newMessage'),
        event('contact.creation', { objectId: 'x y' }),
        null,
        [],
        7,
      ],
      { ...ALL, objects: ['contacts', 'deals'], exclude: ['deals'] },
      { portalId: 62515 },
    );
    expect(events.map(({ record }) => record)).toEqual(['123']);
    expect(leftOut).toBe(7);
  });

  test.each([['{}'], ['null'], ['['], ['']])('a signed body that is no list, %j, is 400', (body) => {
    expect(receiver()(request(body))).toMatchObject({ ok: false, status: 400 });
  });
});
