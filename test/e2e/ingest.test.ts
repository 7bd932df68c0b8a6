/** Records that a tool sends, from the request to the warehouse, with server and worker as processes of their own. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { keyHash, newKey } from '../../config/keys.ts';
import { until } from '../support/fast-lane.ts';
import { logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const TEST_MS_MAX = 60_000;
const key = newKey();
const order = {
  ...{ key: 'id', stamp: 'updated', deleted: 'cancelled', path: 'data' },
  fields: {
    ...{ id: 'string', updated: 'timestamp', total: 'decimal(18,2)', cancelled: 'boolean', extra: 'json' },
  },
};

let temporal: TestTemporal;
let pipeline: Pipeline;
let server: TestServer;
beforeAll(async () => {
  temporal = await withTemporal();
  const shop = {
    ...{ kind: 'push', objects: 'all', records: { order } },
    webhooks: { secrets: [{ $secret: { env: 'SHOP' } }], landEvery: '200ms' },
  };
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 0 } },
    more: {
      connections: { shop },
      ...{ serve: { webhooks: { port: 0 }, keys: { tool: { hash: keyHash(key), scopes: ['ingest'] } } } },
    },
    env: { SHOP: SECRET },
  });
  await pipeline.start();
  server = await startServer(pipeline.home, ['--config', pipeline.loaded.path, '--webhooks'], pipeline.env);
}, 120_000);
afterAll(async () => {
  server.signal('SIGKILL');
  await server.ended;
  await pipeline.close();
  await temporal.stop();
});

async function ingest(...records: Record<string, unknown>[]): Promise<void> {
  const headers = { authorization: `Bearer ${key}` };
  const body = JSON.stringify(records);
  const answer = await fetch(`${server.urls.webhooks}/v1/ingest/shop/order`, {
    method: 'POST',
    headers,
    body,
  });
  expect(await answer.json()).toMatchObject({ accepted: records.length, refused: 0 });
}

async function push(data: unknown): Promise<void> {
  const [id, at, body] = [randomUUID(), new Date(), JSON.stringify({ data })];
  const headers = {
    ...{ 'webhook-id': id, 'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)) },
    'webhook-signature': new Webhook(SECRET).sign(id, at, body),
  };
  const answer = await fetch(`${server.urls.webhooks}/webhooks/shop`, { method: 'POST', headers, body });
  expect(answer.status).toBe(200);
}

const at = (minute: number) => `2026-11-20T08:${String(minute).padStart(2, '0')}:00.000Z`;
const rows = async () =>
  await pipeline
    .rows('SELECT id, CAST(total AS VARCHAR) AS total, _deleted FROM shop."order" ORDER BY id')
    .catch(() => []);
const shown = async () =>
  JSON.stringify((await rows()).map(({ id, total, _deleted }) => [id, total, _deleted]));

test(
  'records by ingest and by webhook are rows of one table; an old version never wins; a bad value sets its row aside',
  async () => {
    await ingest(
      { id: 'A', updated: at(5), total: 12.5, extra: { colour: 'red' } },
      { id: 'B', updated: at(5), total: '9007199254740993.01' },
    );
    await until(shown, (text) => text === '[["A","12.50",false],["B","9007199254740993.01",false]]', 40_000);
    await push([
      { id: 'A', updated: at(6), total: '13.00' },
      { id: 'B', updated: at(4), total: '1.00' },
    ]);
    await until(shown, (text) => text.startsWith('[["A","13.00",false]'));
    await ingest({ id: 'B', updated: at(7), total: '2.00', cancelled: true }, { id: 'C', updated: at(7) });
    await until(shown, (text) => text === '[["A","13.00",false],["B","2.00",true],["C",null,false]]');
    await push([{ id: 'D', updated: at(8), total: 'many' }]);
    await until(
      async () => (await pipeline.rows(`SELECT count(*) AS n FROM _headwater.quarantine`))[0]?.['n'],
      (count) => Number(count) === 1,
    );
    expect(await shown()).not.toContain('"D"');
  },
  TEST_MS_MAX,
);

test(
  'I6: a run of the connection reads nothing, ends well and takes nothing away',
  async () => {
    const before = await shown();
    expect((await pipeline.sync({ connection: 'shop' })).outcome).toBe('ok');
    expect(await shown()).toBe(before);
    expect(logsOf(pipeline.home)).not.toContain('colour');
  },
  TEST_MS_MAX,
);
