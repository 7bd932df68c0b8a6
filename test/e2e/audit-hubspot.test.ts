/** The audit asks every source alike: a HubSpot whose records are archived, merged and edited is no drift either. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../sandbox/hubspot/server.ts';
import { auditRunSchema, type AuditRun } from '../../schemas/audit.ts';
import { openPipeline, TUNING, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const TEST_MS_MAX = 180_000;
const CLOCK_BEHIND_MS = 3 * 86_400_000;

let temporal: TestTemporal;
let hubspot: HubSpotSandbox;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
  const none = { companies: 0, deals: 0, tickets: 0, products: 0, line_items: 0, orders: 0 };
  const quiet = { calls: 0, emails: 0, meetings: 0, notes: 0, tasks: 0 };
  hubspot = await startHubSpotSandbox({
    seed: 5,
    objects: { ...none, ...quiet, contacts: 200 },
    now: () => Date.now() - CLOCK_BEHIND_MS,
    tenSecondCallsMax: 100_000,
    searchesPerSecondMax: 10_000,
  });
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 1 } },
    more: {
      connections: {
        hubspot: {
          kind: 'hubspot',
          baseUrl: hubspot.url,
          auth: { kind: 'token', token: { $secret: { env: 'HUBSPOT_TOKEN' } } },
          objects: ['contacts'],
          lag: '0s',
          thresholds: { callsPer10s: 100_000, searchesPerSecond: 10_000 },
          limits: { perSecond: 2_000, burst: 2_000 },
        },
      },
      profiles: {},
    },
    env: { HUBSPOT_TOKEN: hubspot.privateToken },
  });
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await hubspot.close();
  await temporal.stop();
});

let audits = 0;

async function audit(): Promise<AuditRun> {
  audits += 1;
  const { taskQueue } = pipeline.loaded.config.temporal;
  const result: unknown = await pipeline.client.workflow.execute('audit', {
    workflowId: `audit/${taskQueue}/hubspot-${audits}`,
    taskQueue,
    args: [{ connection: 'hubspot', tuning: TUNING }],
  });
  return auditRunSchema.parse(result);
}

async function sync(): Promise<void> {
  hubspot.clock.advance(60_000);
  const end = await pipeline.sync({ connection: 'hubspot' });
  expect([end.outcome, end.message]).toEqual(['ok', '']);
}

test(
  'a faithful copy of HubSpot has nothing to find, after changes and deletions too',
  async () => {
    await sync();
    expect(await audit()).toMatchObject({ outcome: 'ok', objects: [{ found: {}, left: 0, rows: 200 }] });
    const rows = await pipeline.rows('SELECT id FROM hubspot.contacts ORDER BY id LIMIT 4');
    const [first, second, third] = rows.map(({ id }) => String(id));
    hubspot.data.update('contacts', first ?? '', { jobtitle: 'Edited' });
    hubspot.data.archive('contacts', second ?? '');
    await sync();
    expect(await audit()).toMatchObject({ outcome: 'ok', objects: [{ found: {}, left: 0, rows: 199 }] });
    hubspot.data.update('contacts', third ?? '', { jobtitle: 'Not synced yet' });
    expect(await audit()).toMatchObject({ outcome: 'ok', objects: [{ found: {}, left: 0 }] });
  },
  TEST_MS_MAX,
);
