/** What the sandboxes push is proven and read by the very code that takes it from the real systems. */
import { createServer, type Server } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import type { InboxEvent } from '../../schemas/inbox.ts';
import { startHubSpotSandbox } from '../../sandbox/hubspot/server.ts';
import { startSalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { webhooks as hubspot } from '../../sources/hubspot/webhooks.ts';
import { webhooks as salesforce } from '../../sources/salesforce/webhooks.ts';
import type { WebhookAnswer, WebhookRequest } from '../../sources/source.ts';
import { until } from '../support/fast-lane.ts';

const SECRET = 'a-secret-of-a-good-length-for-tests';
const ALL = { objects: 'all' as const, exclude: [], own: {} };

interface Listener {
  url: string;
  events: InboxEvent[];
  answers: WebhookAnswer[];
  /** As many requests are refused first. */
  refusing: number;
}

let servers: Server[] = [];
afterEach(() => {
  for (const server of servers) server.close().closeAllConnections();
  servers = [];
});

async function listen(
  path: string,
  receive: (request: WebhookRequest) => WebhookAnswer,
  rest = '',
): Promise<Listener> {
  const listener: Listener = { url: '', events: [], answers: [], refusing: 0 };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (listener.refusing > 0) {
        listener.refusing -= 1;
        response.writeHead(503).end();
        return;
      }
      const headers = request.headers as Record<string, string | undefined>;
      const url = `${listener.url}${path}`;
      const body = Buffer.concat(parts);
      const answer = receive({ method: 'POST', url, rest, headers, body, nowMs: Date.now() });
      listener.answers.push(answer);
      if (answer.ok) listener.events.push(...answer.events);
      response.writeHead(answer.ok ? 200 : answer.status).end(answer.ok ? answer.reply?.body : '');
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  listener.url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return listener;
}

const kinds = (events: InboxEvent[]) => events.map(({ object, kind }) => `${object} ${kind}`);

test('HubSpot: every change arrives signed, also after the listener was away', async () => {
  const listener = await listen('/webhooks/hubspot', hubspot.receiver({ secrets: [SECRET], types: {} }, ALL));
  listener.refusing = 1;
  const sandbox = await startHubSpotSandbox({
    ...{ seed: 1, objects: { contacts: 5, companies: 2, orders: 2 } },
    webhooks: { url: `${listener.url}/webhooks/hubspot`, secret: SECRET },
  });
  try {
    sandbox.data.update('contacts', 1, { jobtitle: 'Pushed' });
    sandbox.data.archive('companies', 1);
    sandbox.data.update('orders', 1, { hs_order_name: 'Pushed' });
    await until(
      () => Promise.resolve(listener.events.length),
      (count) => count === 3,
    );
    expect(kinds(listener.events)).toEqual(['contacts changed', 'companies deleted', 'orders changed']);
    expect(listener.events[0]).toMatchObject({
      record: sandbox.data.idOf('contacts', 1),
      values: { jobtitle: 'Pushed' },
      at: new Date(sandbox.data.get('contacts', 1).stampMs).toISOString(),
    });
    await until(
      () => Promise.resolve(sandbox.pushes()?.delivered),
      (count) => count === 3,
    );
    expect(sandbox.pushes()).toMatchObject({ sent: 2, retried: 1, delivered: 3, givenUp: 0 });
  } finally {
    await sandbox.close();
  }
});

test('HubSpot: a listener with another secret takes nothing', async () => {
  const listener = await listen('/', hubspot.receiver({ secrets: ['another'], types: {} }, ALL));
  const sandbox = await startHubSpotSandbox({
    ...{ seed: 1, objects: { contacts: 2 }, webhooks: { url: `${listener.url}/`, secret: SECRET } },
  });
  try {
    sandbox.data.update('contacts', 1, { jobtitle: 'Pushed' });
    await until(
      () => Promise.resolve(listener.answers.length),
      (count) => count > 0,
    );
    expect(listener.answers[0]).toMatchObject({ ok: false, status: 401 });
    expect(listener.events).toEqual([]);
  } finally {
    await sandbox.close();
  }
});

test('Salesforce: outbound messages of what is saved, acknowledged, also after the listener was away', async () => {
  const receive = salesforce.receiver({ secrets: [SECRET], organizationId: '00DHw0000000001EAA' }, ALL);
  const listener = await listen(`/webhooks/crm/${SECRET}`, receive, SECRET);
  listener.refusing = 1;
  const sandbox = await startSalesforceSandbox({
    ...{ seed: 1, objects: { Contact: 5, Account: 2 } },
    outbound: { url: `${listener.url}/webhooks/crm/${SECRET}` },
  });
  try {
    sandbox.data.update('Contact', 1, { Title: 'Pushed' });
    sandbox.data.update('Account', 1, { Name: 'Pushed' });
    sandbox.data.delete('Contact', 2);
    await until(
      () => Promise.resolve(listener.events.length),
      (count) => count === 2,
    );
    expect(kinds(listener.events).toSorted()).toEqual(['Account changed', 'Contact changed']);
    const contact = listener.events.find(({ object }) => object === 'Contact');
    const truth = sandbox.data.get('Contact', 1);
    expect(contact).toMatchObject({ record: truth?.Id, at: new Date(truth?.stampMs ?? 0).toISOString() });
    const stats = () => sandbox.pushes()['Contact'];
    await until(
      () => Promise.resolve(stats()?.delivered),
      (count) => count === 1,
    );
    expect(stats()).toMatchObject({ givenUp: 0, dropped: 0 });
  } finally {
    await sandbox.close();
  }
});
