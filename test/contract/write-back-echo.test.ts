/**
 * Fault 23: two systems, each with its own form of a value, and a program that writes back whatever it reads. Real sandboxes,
 * sources, shaper, stage and claims store; the activities run as a worker runs them.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { withRecords } from '../../activities/audit-records.ts';
import type { OpenSources } from '../../activities/connections.ts';
import type { ConnectionSettings, Dependencies } from '../../activities/dependencies.ts';
import { NO_GOLDEN, reconcileBatches } from '../../activities/reconcile.ts';
import { settleChange, writeTarget } from '../../activities/write-back.ts';
import { phoneNormaliser } from '../../mapping/normalise.ts';
import { targetsOf } from '../../mapping/targets.ts';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../sandbox/hubspot/server.ts';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';
import { hubspot as hubspotKind } from '../../sources/hubspot/index.ts';
import { salesforce as salesforceKind } from '../../sources/salesforce/index.ts';
import type { Source } from '../../sources/source.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { openDiskStage } from '../../stores/stage/disk.ts';
import { testContext } from '../unit/sources/fake-server.ts';
import { masterKey, options } from './claims-fixture.ts';
import { NONE, UNLIMITED } from './hubspot-fixture.ts';
import { openBench, type Bench } from './warehouse-fixture.ts';

const CUSTOMERS = 3;
const HOURS = 24;
const HOUR_MS = 3_600_000;
const FIELDS = ['jobTitle', 'department'];
const SYSTEMS = ['crm', 'hub'];
const OBJECTS: Record<string, string> = { crm: 'Contact', hub: 'contacts' };

let bench: Bench;
let crm: SalesforceSandbox;
let hub: HubSpotSandbox;
let claims: Claims;
let dependencies: Dependencies;
const sources = new Map<string, Source>();
const schemas = new Map<string, ObjectSchema>();
const signal = new AbortController().signal;

beforeAll(async () => {
  bench = await openBench();
  const org = { Account: 0, Lead: 0, Opportunity: 0, Case: 0, Task: 0, Subscription__c: 0 };
  crm = await startSalesforceSandbox({ objects: { ...org, Contact: CUSTOMERS }, seed: 5 });
  hub = await startHubSpotSandbox({ ...UNLIMITED, seed: 5, objects: { ...NONE, contacts: CUSTOMERS } });
  crm.behaviour.triggers = [{ object: 'Contact', field: 'Department', to: 'upper' }];
  hub.behaviour.triggers = [{ object: 'contacts', field: 'department', to: 'lower' }];
  for (let index = 0; index < CUSTOMERS; index += 1) {
    const email = `customer-${index}@example.org`;
    const alone = { Phone: null, MobilePhone: null, Department: null };
    crm.data.update('Contact', index, { Email: email, Title: 'Clerk', ...alone });
    hub.data.update('contacts', index, {
      email,
      jobtitle: 'Clerk',
      phone: null,
      mobilephone: null,
      department: null,
    });
  }
  const context = testContext({ now: () => crm.clock.now() });
  sources.set(
    'crm',
    salesforceKind.connect(
      salesforceKind.config.parse({
        ...{ kind: 'salesforce', loginUrl: crm.loginUrl, objects: ['Contact'] },
        auth: { grant: 'client_credentials', clientId: crm.clientId, clientSecret: crm.clientSecret },
      }),
      context,
    ),
  );
  sources.set(
    'hub',
    hubspotKind.connect(
      hubspotKind.config.parse({
        ...{ kind: 'hubspot', baseUrl: hub.url, auth: { kind: 'token', token: hub.privateToken } },
        ...{ objects: ['contacts'], thresholds: { callsPer10s: 100_000, searchesPerSecond: 10_000 } },
      }),
      context,
    ),
  );
  for (const [name, source] of sources) schemas.set(name, await source.describe(OBJECTS[name] ?? ''));
  const folder = await mkdtemp(join(bench.folder, 'echo-'));
  claims = await openSqliteClaims({
    path: join(folder, 'claims.db'),
    masterKey,
    ...options({ now: nowText }),
  });
  const kinds = { crm: salesforceKind, hub: hubspotKind };
  dependencies = {
    ...{ stage: await openDiskStage({ root: join(folder, 'stage') }), shaper: bench.shaper, freeBytesMin: 0 },
    connections: new Map(
      Object.entries(kinds).map(([name, { capabilities }]) => [
        name,
        { name, capabilities } as ConnectionSettings,
      ]),
    ),
    ledger: { schema: (name: string) => Promise.resolve({ schema: schemas.get(name), version: 1 }) },
    lanes: (_: string, work: () => unknown) => work(),
    now: () => crm.clock.now(),
    log: () => {},
    profiles: { claims, mappings, phone: phoneNormaliser('US') },
  } as unknown as Dependencies;
}, 60_000);

afterAll(async () => {
  for (const source of sources.values()) await source.close();
  await claims.close();
  await bench.close();
  await crm.close();
  await hub.close();
});

const nowText = () => new Date(crm.clock.now()).toISOString();
const mappings = (name: string, object: string) =>
  ((name === 'crm' ? salesforceKind.mappings : hubspotKind.mappings)?.[object] ?? []).filter(
    ({ part }) => part === '',
  );
const opened = {
  source: (name: string) => Promise.resolve(sources.get(name)),
} as unknown as OpenSources;
const writes = () => ({
  crm: crm.stats.of('PATCH rest.record'),
  hub: hub.stats.get('PATCH record contacts') ?? 0,
});

let steps = 0;
async function asWorker<T>(work: () => Promise<T>): Promise<T> {
  steps += 1;
  const info = { attempt: 1, workflowExecution: { workflowId: `w-${steps}`, runId: 'r' } };
  const context = { cancellationSignal: signal, heartbeat: () => {}, info } as unknown as Context;
  return await asyncLocalStorage.run(context, work);
}

/** What the hourly run of a system brings. */
async function poll(name: string): Promise<void> {
  const { profiles } = dependencies;
  const [settings, source, schema] = [
    dependencies.connections.get(name),
    sources.get(name),
    schemas.get(name),
  ];
  if (profiles === undefined || settings === undefined || source === undefined || schema === undefined)
    return;
  const idOf = (index: number) =>
    name === 'crm' ? crm.data.idOf('Contact', index) : hub.data.idOf('contacts', index);
  const ids = Array.from({ length: CUSTOMERS }, (_, index) => idOf(index));
  await asWorker(() =>
    withRecords(
      dependencies,
      { settings, source, schema, ids, purpose: 'poll' },
      async ({ window, batch }) => {
        const cause = { via: 'poll' as const, run: null, actor: null, reason: null, at: nowText() };
        const given = { window, schema, batches: [batch], summary: { ...NO_GOLDEN }, cause, quiet: true };
        await reconcileBatches(dependencies, profiles, given);
      },
    ),
  );
}

async function profileOf(index: number): Promise<GoldenProfile> {
  const ref = { source: 'crm', object: 'Contact', record: crm.data.idOf('Contact', index) };
  const golden = await claims.profile((await claims.profileOf(ref)) ?? '');
  if (golden === null) throw new Error('this customer has no profile');
  return golden;
}

let changes = 0;
async function change(golden: GoldenProfile, values: Record<string, ClaimValue>): Promise<void> {
  changes += 1;
  const id = `ch_${String(changes).padStart(32, '0')}`;
  const { targets, refused } = targetsOf({
    ...{ profile: golden, fields: Object.keys(values), systems: () => SYSTEMS, mappings },
  });
  expect(refused).toEqual([]);
  const cause = { via: 'api' as const, run: `change/${id}`, actor: 'mirror', reason: 'read', at: nowText() };
  const { state } = await claims.propose(golden.profile, { id, kind: 'explicit', values, targets }, cause);
  if (state !== 'pending') return;
  for (const target of targets.keys()) {
    const done = await asWorker(() => writeTarget(dependencies, opened, { change: id, target }));
    expect(done).toEqual({ outcome: 'confirmed' });
  }
  await asWorker(() =>
    settleChange(dependencies, { change: id, outcome: 'confirmed', code: null, field: null }),
  );
}

test('over 24 simulated hours each change is written to each system once at most, and it comes to rest', async () => {
  for (const system of SYSTEMS) await poll(system);
  // Each value that anybody asked for, once per field and customer.
  const asked = new Set<string>();
  const ask = async (index: number, values: Record<string, ClaimValue>) => {
    for (const [name, value] of Object.entries(values))
      asked.add(`${index} ${name} ${JSON.stringify(value)}`);
    await change(await profileOf(index), values);
  };
  await ask(0, { jobTitle: 'Chief', department: 'Sales' });
  const counts: object[] = [];
  for (let hour = 0; hour < HOURS; hour += 1) {
    crm.clock.advance(HOUR_MS);
    hub.clock.advance(HOUR_MS);
    if (hour === 8) crm.data.update('Contact', 1, { Title: 'Edited' });
    if (hour === 12) hub.data.update('contacts', 2, { jobtitle: 'Moved' });
    for (const system of SYSTEMS) await poll(system);
    // The naive program: what it reads it writes, to all systems.
    for (let index = 0; index < CUSTOMERS; index += 1) {
      const { fields } = await profileOf(index);
      const held = FIELDS.flatMap((name) => {
        const value = fields[name]?.value ?? null;
        return value === null ? [] : [[name, value] as const];
      });
      await ask(index, Object.fromEntries(held));
    }
    counts.push(writes());
  }
  const { crm: toCrm, hub: toHub } = writes();
  expect(toCrm).toBeGreaterThan(0);
  expect(toCrm).toBeLessThanOrEqual(asked.size);
  expect(toHub).toBeLessThanOrEqual(asked.size);
  expect(new Set(counts.slice(14).map((count) => JSON.stringify(count))).size).toBe(1);
  const held = [0, 1, 2].map((index) => [
    crm.data.get('Contact', index)?.values['Title'],
    hub.data.get('contacts', index).values['jobtitle'],
  ]);
  expect(held).toEqual([
    ['Chief', 'Chief'],
    ['Edited', 'Edited'],
    ['Moved', 'Moved'],
  ]);
  expect(await claims.verify()).toMatchObject({ ok: true });
}, 60_000);
