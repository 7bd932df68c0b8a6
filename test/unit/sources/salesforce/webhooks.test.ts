import { describe, expect, test } from '@jest/globals';
import { array, assert, constantFrom, property } from 'fast-check';
import { parseSoap } from '../../../../sources/salesforce/soap.ts';
import { topics, webhooks } from '../../../../sources/salesforce/webhooks.ts';
import type { WebhookRequest } from '../../../../sources/source.ts';
import { patient } from '../../../support/patience.ts';

const SECRET = 'k3q9-of-the-address-4711-zz';
const ORGANIZATION = '00D24000000abcd';
const ALL = { objects: 'all' as const, exclude: [], own: {} };

/** The form of the guide's own example. */
const message = (
  notifications: string,
  organization = `${ORGANIZATION}EAA`,
) => `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>${organization}</OrganizationId>
   <ActionId>04k240000008OIDAA2</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>https://x.my.salesforce.com/services/Soap/c/66.0/00D</EnterpriseUrl>
   ${notifications}
  </notifications>
 </soapenv:Body>
</soapenv:Envelope>`;

const notification = (id: string, fields = '', type = 'sf:Contact', record = '0032400000AbCdEAAV') =>
  `<Notification><Id>${id}</Id><sObject xsi:type="${type}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>${record}</sf:Id>${fields}</sObject></Notification>`;

const receive = webhooks.receiver(
  webhooks.config.parse({ secrets: ['another-secret-of-the-address', SECRET], organizationId: ORGANIZATION }),
  { ...ALL, objects: ['Contact', 'Lead'], exclude: ['Lead'] },
);
const request = (body: string | Buffer, rest = SECRET): WebhookRequest => ({
  ...{ method: 'POST', url: `http://127.0.0.1/webhooks/crm/${rest}`, rest, headers: {}, nowMs: Date.now() },
  body: Buffer.from(body),
});

describe('what is written of them', () => {
  const mistakes = (input: object) =>
    (webhooks.config.safeParse(input).error?.issues ?? []).map(({ path, message }) => [
      path.join('.'),
      message,
    ]);

  test.each<[object, string[]]>([
    [{ changeDataCapture: {} }, ['/data/ChangeEvents']],
    [
      { changeDataCapture: { topics: ['/data/A__chn', '/data/B__ChangeEvent'] } },
      ['/data/A__chn', '/data/B__ChangeEvent'],
    ],
    [
      { changeDataCapture: { endpoint: 'https://api.deu.pubsub.salesforce.com:7443' } },
      ['/data/ChangeEvents'],
    ],
    [{ changeDataCapture: {}, secrets: [SECRET], organizationId: ORGANIZATION }, ['/data/ChangeEvents']],
    [{ secrets: [SECRET], organizationId: ORGANIZATION }, []],
  ])('%j follows %j', (input, names) => {
    expect(topics.names(webhooks.config.parse(input))).toEqual(names);
  });

  test.each([
    [{}, 'secrets', 'names no secret'],
    [{}, 'organizationId', 'is missing'],
    [{ changeDataCapture: {}, secrets: [SECRET] }, 'organizationId', 'is missing'],
    [{ changeDataCapture: { topics: ['ChangeEvents'] } }, 'changeDataCapture.topics.0', 'write a topic'],
    [{ changeDataCapture: { topics: [] } }, 'changeDataCapture.topics', 'Too small'],
    [
      { changeDataCapture: { endpoint: 'http://elsewhere.example' } },
      'changeDataCapture.endpoint',
      'use https',
    ],
    [{ changeDataCapture: true }, 'changeDataCapture', 'expected object'],
  ])('%j: %s %s', (input, at, message) => {
    expect(mistakes(input)).toContainEqual([at, expect.stringContaining(message)]);
  });

  test('without a secret nobody is let in', () => {
    const alone = webhooks.receiver(webhooks.config.parse({ changeDataCapture: {} }), ALL);
    const body = '<Envelope><Body><notifications></notifications></Body></Envelope>';
    for (const rest of ['', 'undefined', SECRET])
      expect(alone(request(body, rest))).toMatchObject({ ok: false, status: 401 });
  });
});

describe('outbound messages', () => {
  test('a notification is a hint with its values, and is acknowledged as Salesforce asks', () => {
    const fields =
      '<sf:Email>a&amp;b@example.com</sf:Email><sf:Phone xsi:nil="true"/><sf:SystemModstamp>2026-11-21T08:00:00.000Z</sf:SystemModstamp>';
    const answer = receive(request(message(notification('04l240000000001AAA', fields))));
    if (!answer.ok) throw new Error(answer.reason);
    expect(answer.events).toEqual([
      {
        ...{ id: '04l240000000001AAA:0032400000AbCdEAAV', object: 'Contact', record: '0032400000AbCdEAAV' },
        ...{ kind: 'changed', at: '2026-11-21T08:00:00.000Z' },
        values: { Email: 'a&b@example.com', Phone: null, SystemModstamp: '2026-11-21T08:00:00.000Z' },
      },
    ]);
    expect(answer.reply?.contentType).toContain('text/xml');
    expect(answer.reply?.body).toContain('<Ack>true</Ack>');
    expect(parseSoap(Buffer.from(answer.reply?.body ?? ''))).toBeDefined();
  });

  test('one hundred are taken, one more is refused', () => {
    const many = (count: number) =>
      message(Array.from({ length: count }, (_, at) => notification(`n${at}`)).join(''));
    const answer = receive(request(many(100)));
    expect(answer.ok && answer.events.length).toBe(100);
    expect(receive(request(many(101)))).toMatchObject({ ok: false, status: 400 });
  });

  test('what is not synced or has no id is left out; a deleted record is told as deleted', () => {
    const answer = receive(
      request(
        message(
          notification('a', '<sf:IsDeleted>true</sf:IsDeleted>') +
            notification('b', '', 'sf:Lead') +
            notification('c', '', 'sf:Account') +
            notification('d', '', 'sf:Contact', "x'--") +
            '<Notification><Id>e</Id></Notification>',
        ),
      ),
    );
    expect(answer).toMatchObject({ ok: true, leftOut: 4, events: [{ kind: 'deleted' }] });
  });

  test('another address or another org proves nothing', () => {
    const body = message(notification('a'));
    for (const rest of ['', SECRET.slice(1), `${SECRET}/`, SECRET.toUpperCase()]) {
      expect(receive(request(body, rest))).toMatchObject({ ok: false, status: 401 });
    }
    expect(receive(request(message(notification('a'), '00D24000000abcX')))).toMatchObject({ status: 401 });
    expect(receive(request(body, 'another-secret-of-the-address')).ok).toBe(true);
  });

  test.each([
    ['no XML', 'hello'],
    ['nothing', ''],
    ['another document', '<a/>'],
    ['a DTD', `<!DOCTYPE x [<!ENTITY e "v">]>${message(notification('a'))}`],
    ['an entity', message(notification('a', '<sf:Email>&e;</sf:Email>'))],
    ['broken nesting', message(notification('a', '<sf:Email></sf:Phone>'))],
    ['no UTF-8', Buffer.from([0x3c, 0x61, 0xff, 0x2f, 0x3e])],
  ])('%s is 400', (_name, body) => {
    expect(receive(request(body))).toMatchObject({ ok: false, status: 400 });
  });

  test('a billion laughs cost nothing', () => {
    const bomb = `<!DOCTYPE l [<!ENTITY a "lol">${Array.from({ length: 20 }, (_, at) => `<!ENTITY b${at} "&a;&a;">`).join('')}]>`;
    const startMs = performance.now();
    expect(receive(request(bomb + message('&b9;')))).toMatchObject({ status: 400 });
    expect(receive(request(`<?xml version="1.0"?>${'<a>'.repeat(300_000)}`))).toMatchObject({ status: 400 });
    expect(performance.now() - startMs).toBeLessThan(patient(2_000));
  });

  test('whatever the body is, it is read or refused, never thrown', () => {
    const pieces = constantFrom(
      '<a>',
      '</a>',
      '<',
      '>',
      '&',
      '&amp;',
      '&#x41;',
      '&#1114112;',
      ']]>',
      '<![CDATA[',
      '<!--',
      '-->',
      '"',
      'é',
      '<?x?>',
    );
    assert(
      property(array(pieces, { maxLength: 30 }), (parts) => {
        const answer = receive(request(message(notification('a', parts.join('')))));
        expect(answer.ok || answer.status === 400).toBe(true);
      }),
    );
  });
});
