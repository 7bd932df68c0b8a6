/** A pipeline of two systems that both know the same customers, with the routes of changes in front of it. */
import type { FastifyInstance } from 'fastify';
import { keyHash, newKey } from '../../config/keys.ts';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../sandbox/hubspot/server.ts';
import type { ApiChange } from '../../schemas/api/change.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';
import { createApp } from '../../servers/app.ts';
import { changeRoutes } from '../../servers/changes/routes.ts';
import { openServices, type OpenServices } from '../../servers/services.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { until } from './fast-lane.ts';
import { CRM, openPipeline, TUNING, type Pipeline } from './pipeline.ts';
import type { TestTemporal } from './temporal.ts';

export const HUB = 'hub';
const CLOCK_BEHIND_MS = 3 * 86_400_000;
const NO_ROWS = {
  ...{ companies: 0, deals: 0, tickets: 0, products: 0, line_items: 0, orders: 0 },
  ...{ calls: 0, emails: 0, meetings: 0, notes: 0, tasks: 0 },
};

export interface TwoSystems {
  pipeline: Pipeline;
  hubspot: HubSpotSandbox;
  claims: Claims;
  app: FastifyInstance;
  keys: Record<'bot' | 'admin' | 'reader', string>;
  /** The customer in both systems. */
  customer(index: number): { contact: string; hub: string };
  profile(index: number): Promise<GoldenProfile>;
  patch(
    profile: string,
    body: object,
    headers?: Record<string, string>,
    key?: 'bot' | 'admin' | 'reader',
  ): Promise<{ status: number; headers: Record<string, unknown>; body: ApiChange & Record<string, unknown> }>;
  change(id: string): Promise<ApiChange>;
  /** Until its systems have answered. */
  settled(id: string): Promise<ApiChange>;
  /** PATCH calls that arrived. */
  writes(): { crm: number; hub: number };
  syncAll(): Promise<void>;
  close(): Promise<void>;
}

export async function startTwoSystems(
  temporal: TestTemporal,
  { customers = 10, writeBack }: { customers?: number; writeBack: Record<string, string[]> },
): Promise<TwoSystems> {
  const hubspot = await startHubSpotSandbox({
    seed: 5,
    objects: { ...NO_ROWS, contacts: customers },
    now: () => Date.now() - CLOCK_BEHIND_MS,
    ...{ tenSecondCallsMax: 100_000, searchesPerSecondMax: 10_000 },
  });
  const keys = { bot: newKey(), admin: newKey(), reader: newKey() };
  const scopesOf = { bot: ['read', 'write'], admin: ['admin'], reader: ['read'] };
  const more = {
    connections: {
      [HUB]: {
        kind: 'hubspot',
        baseUrl: hubspot.url,
        auth: { kind: 'token', token: { $secret: { env: 'HUB_TOKEN' } } },
        objects: ['contacts'],
        lag: '0s',
        thresholds: { callsPer10s: 100_000, searchesPerSecond: 10_000 },
        limits: { perSecond: 2_000, burst: 2_000 },
      },
    },
    profiles: { writeBack: { contact: writeBack } },
    serve: {
      keys: Object.fromEntries(
        Object.entries(keys).map(([name, key]) => [
          name,
          { hash: keyHash(key), scopes: name === 'bot' || name === 'admin' ? scopesOf[name] : ['read'] },
        ]),
      ),
    },
  };
  const pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: customers } },
    more,
    env: { HUB_TOKEN: hubspot.privateToken },
  });
  for (let index = 0; index < customers; index += 1) {
    const email = `customer-${index}@example.org`;
    pipeline.sandbox.data.update('Contact', index, {
      Email: email,
      Title: 'Clerk',
      Phone: null,
      MobilePhone: null,
    });
    hubspot.data.update('contacts', index, { email, jobtitle: 'Clerk', phone: null, mobilephone: null });
  }
  await pipeline.start();
  const services: OpenServices = await openServices(pipeline.loaded, { log: () => {} });
  const client = pipeline.client;
  const app = createApp({ ...services, temporal: async () => client }, { name: 'profiles' });
  changeRoutes(app, { ...services, temporal: async () => client });
  await app.ready();
  const claims = await services.claims();
  if (claims === undefined) throw new Error('the configuration has no profiles');
  const taskQueue = pipeline.loaded.config.temporal.taskQueue;
  let syncs = 0;

  const two: TwoSystems = {
    ...{ pipeline, hubspot, claims, app, keys },
    customer: (index) => ({
      contact: pipeline.sandbox.data.idOf('Contact', index),
      hub: hubspot.data.idOf('contacts', index),
    }),
    async profile(index) {
      const ref = { source: CRM, object: 'Contact', record: two.customer(index).contact };
      const golden = await claims.profile((await claims.profileOf(ref)) ?? '');
      if (golden === null) throw new Error('this customer has no profile');
      return golden;
    },
    async patch(profile, body, headers = {}, key = 'bot') {
      const response = await app.inject({
        ...{ method: 'PATCH', url: `/v1/profiles/${profile}`, payload: body },
        headers: { authorization: `Bearer ${keys[key]}`, 'content-type': 'application/json', ...headers },
      });
      return { status: response.statusCode, headers: response.headers, body: response.json() };
    },
    async change(id) {
      const response = await app.inject({
        url: `/v1/changes/${id}`,
        headers: { authorization: `Bearer ${keys.reader}` },
      });
      return response.json();
    },
    async settled(id) {
      let last: ApiChange | undefined;
      await until(
        async () => (last = await two.change(id)),
        (change) => change.state !== 'pending',
        30_000,
      );
      if (last === undefined) throw new Error('no such change');
      return last;
    },
    writes: () => ({
      crm: pipeline.sandbox.stats.of('PATCH rest.record'),
      hub: hubspot.stats.get('PATCH record contacts') ?? 0,
    }),
    async syncAll() {
      pipeline.pass();
      hubspot.clock.advance(60_000);
      await Promise.all(
        [CRM, HUB].map(async (connection) => {
          syncs += 1;
          const args = [{ connection, trigger: 'manual', tuning: TUNING }];
          const workflowId = `sync/${taskQueue}/${connection}-${syncs}`;
          await client.workflow.execute('syncConnection', { workflowId, taskQueue, args });
        }),
      );
    },
    async close() {
      await app.close();
      await services.close();
      await pipeline.close();
      await hubspot.close();
    },
  };
  await two.syncAll();
  return two;
}
