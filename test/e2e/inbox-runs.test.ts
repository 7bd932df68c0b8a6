/** The server process sees that what was accepted is taken: with Temporal, without it, and after it comes back. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { Webhook } from 'standardwebhooks';
import { serverHome, type TestHome } from '../support/server-process.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const order = { key: 'id', stamp: 'updated', fields: { id: 'string', updated: 'timestamp' } };
const shop = {
  kind: 'push',
  objects: 'all',
  records: { order },
  webhooks: { secrets: [{ $secret: { env: 'SHOP' } }] },
};
const config = (temporal: Record<string, string>) => ({
  connections: { shop, other: { ...shop, webhooks: undefined } },
  warehouse: { kind: 'duckdb', path: 'w.duckdb' },
  serve: { webhooks: { port: 0 } },
  temporal,
});

let temporal: TestTemporal;
let home: TestHome;
beforeAll(async () => {
  temporal = await withTemporal();
  home = await serverHome(config({}), { SHOP: SECRET, ...temporal.env }, ['--webhooks']);
}, 120_000);
afterAll(async () => {
  await home.remove();
  await temporal.stop();
});

async function inboxes(client: Client): Promise<string[]> {
  const found: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query: "WorkflowType = 'inbox'" }))
    found.push(workflowId);
  return found;
}

test('the workflow of each connection that pushes is started once, and found running by the next process', async () => {
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });
  const runIds = new Set<string>();
  for (let round = 0; round < 2; round += 1) {
    const server = await home.start();
    await until(async () => (await inboxes(client)).length > 0);
    const description = await client.workflow.getHandle('inbox/shop').describe();
    runIds.add(description.runId);
    expect(description.status.name).toBe('RUNNING');
    expect(await inboxes(client)).toEqual(['inbox/shop']);
    server.signal('SIGTERM');
    expect(await server.ended).toBe('0');
  }
  expect(runIds.size).toBe(1);
  await client.workflow.getHandle('inbox/shop').terminate();
  const server = await home.start();
  const [id, at, text] = [
    randomUUID(),
    new Date(),
    JSON.stringify({ id: '1', updated: '2026-11-21T08:00:00Z' }),
  ];
  const headers = {
    ...{ 'webhook-id': id, 'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)) },
    'webhook-signature': new Webhook(SECRET).sign(id, at, text),
  };
  await until(
    async () => (await client.workflow.getHandle('inbox/shop').describe()).status.name === 'RUNNING',
  );
  // One that ended while the server runs is started again because something waits.
  await client.workflow.getHandle('inbox/shop').terminate();
  const answer = await fetch(`${server.urls.webhooks}/webhooks/shop`, {
    method: 'POST',
    headers,
    body: text,
  });
  expect(answer.status).toBe(200);
  await until(
    async () => (await client.workflow.getHandle('inbox/shop').describe()).status.name === 'RUNNING',
  );
  server.signal('SIGTERM');
  expect(await server.ended).toBe('0');
  await connection.close();
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('it did not come true within 30 s');
}
