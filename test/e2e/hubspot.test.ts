import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { query } from '../../cli/warehouse.ts';
import { loadConfig, type LoadedConfig } from '../../config/load-config.ts';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../sandbox/hubspot/server.ts';
import { runSummarySchema, type ObjectSummary, type RunSummary } from '../../schemas/run.ts';
import { openSqliteLedger } from '../../stores/ledger/sqlite.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { startWorker, type TestWorker } from '../support/worker-process.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const CONTACTS = 1_200;
const COMPANIES = 60;
/** A search for what changed and the list of what was archived; one search more because the test moves HubSpot's clock. */
const IDLE_CALLS_PER_OBJECT_MAX = 3;
/** The account's clock starts this far back, so that the test moves it instead of waiting. */
const CLOCK_BEHIND_MS = 3 * 24 * HOUR_MS;

let temporal: TestTemporal;
let sandbox: HubSpotSandbox;
let worker: TestWorker;
let connection: Connection;
let client: Client;
let loaded: LoadedConfig;
const home = mkdtempSync(join(tmpdir(), 'headwater-hubspot-'));
const taskQueue = `hubspot-${home.slice(-6)}`;

beforeAll(async () => {
  temporal = await withTemporal();
  const none = {
    deals: 0,
    tickets: 0,
    products: 0,
    line_items: 0,
    calls: 0,
    emails: 0,
    meetings: 0,
    notes: 0,
    tasks: 0,
  };
  sandbox = await startHubSpotSandbox({
    seed: 5,
    objects: { ...none, contacts: CONTACTS, companies: COMPANIES },
    now: () => Date.now() - CLOCK_BEHIND_MS,
    tenSecondCallsMax: 100_000,
    searchesPerSecondMax: 10_000,
    stampTies: 40,
  });
  const path = join(home, 'headwater.config.json');
  writeFileSync(path, JSON.stringify(configuration()));
  loaded = await loadConfig({ path, home });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection, namespace: temporal.namespace });
  worker = await startWorker(path, {
    ...temporal.env,
    HEADWATER_HOME: home,
    SANDBOX_TOKEN: sandbox.privateToken,
    TZ: 'UTC',
  });
}, 120_000);

afterAll(async () => {
  await worker.kill();
  await connection.close();
  await sandbox.close();
  await temporal.stop();
  rmSync(home, { recursive: true, force: true });
});

function configuration() {
  const account = {
    kind: 'hubspot',
    baseUrl: sandbox.url,
    auth: { kind: 'token', token: { $secret: { env: 'SANDBOX_TOKEN' } } },
    lag: '0s',
    thresholds: { callsPer10s: 100_000, searchesPerSecond: 10_000, pageRows: 500 },
    limits: { perSecond: 2_000, burst: 2_000 },
  };
  return {
    connections: {
      hubspot: { ...account, objects: ['contacts', 'companies'] },
      links: { ...account, objects: ['contacts~companies'], associationsEvery: '1s' },
    },
    warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
    stage: { freeMin: '10MB' },
    temporal: { taskQueue },
  };
}

/** The run's table; of a failed run it travels in the details of the failure. */
async function sync(name = 'hubspot'): Promise<RunSummary> {
  sandbox.clock.advance(MINUTE_MS);
  const handle = await client.workflow.start('syncConnection', {
    workflowId: `sync/${taskQueue}/${name}`,
    taskQueue,
    args: [{ connection: name, trigger: 'manual', tuning: { heartbeatMs: 2_000, retryMs: 50 } }],
  });
  try {
    return runSummarySchema.parse(await handle.result());
  } catch (error) {
    const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
    const run =
      cause instanceof ApplicationFailure ? runSummarySchema.safeParse(cause.details?.[0]).data : undefined;
    if (run === undefined) throw error;
    return run;
  }
}

function lineOf(run: RunSummary, object = 'contacts'): ObjectSummary {
  const line = run.objects.findLast((candidate) => candidate.object === object);
  if (line === undefined) throw new Error(`the run (${run.outcome}) has no line of ${object}`);
  return line;
}

async function rows(sql: string): Promise<Record<string, unknown>[]> {
  const answer = await query(loaded, sql, 100_000);
  return answer.rows.map((row) =>
    Object.fromEntries(answer.columns.map(({ name }, index) => [name, row[index]])),
  );
}

/** Lines about contacts that differ from the account's own: whether they live, their version, and some values. */
async function differences(): Promise<string[]> {
  const names = ['email', 'firstname', 'lastname', 'lifecyclestage', 'hs_object_id'];
  const held = new Map(
    (
      await rows(
        `SELECT id, _deleted, epoch_ms(_version)::VARCHAR AS version, ${names.map((name) => `"${name}"::VARCHAR AS "${name}"`).join(', ')} FROM hubspot.contacts`,
      )
    ).map((row) => [String(row['id']), row]),
  );
  const found: string[] = [];
  for await (const truth of sandbox.data.truth('contacts')) {
    const row = held.get(truth.id);
    held.delete(truth.id);
    if (row === undefined) found.push(`${truth.id}: missing`);
    else if (row['_deleted'] !== truth.archived) found.push(`${truth.id}: _deleted`);
    else if (Number(row['version']) !== truth.stampMs) found.push(`${truth.id}: _version`);
    else {
      for (const name of names.slice(0, 4)) {
        if ((row[name] ?? null) !== (truth.values[name] ?? null)) found.push(`${truth.id}: ${name}`);
      }
    }
  }
  for (const [id, row] of held) if (row['_deleted'] !== true) found.push(`${id}: alive`);
  return found.slice(0, 10);
}

test('a first load lands every record, and its receipt is proven', async () => {
  sandbox.data.update('contacts', 1, { firstname: 'NULL', lastname: '"a",\n\'b\' \\N' });
  sandbox.data.archive('contacts', 2);
  const run = await sync();
  expect(run.outcome).toBe('ok');
  expect(lineOf(run)).toMatchObject({
    verdict: 'proven',
    rows: CONTACTS,
    inserted: CONTACTS,
    quarantined: 0,
  });
  expect(lineOf(run, 'companies')).toMatchObject({ verdict: 'proven', inserted: COMPANIES });
  expect(await differences()).toEqual([]);
});

test('an increment lands edits, creations, archivings, restorations and merges', async () => {
  const { data } = sandbox;
  const [a, b] = [data.idOf('contacts', 20), data.idOf('contacts', 21)];
  data.create('contacts', { lastname: 'New', email: 'new@example.test' });
  data.update('contacts', 10, { lastname: 'Edited', email: null });
  data.archive('contacts', 11);
  data.restore('contacts', 2);
  data.merge('contacts', 20, 21);
  data.touchMany('contacts', 0.1);
  const run = await sync();
  expect(run.outcome).toBe('ok');
  expect(lineOf(run).verdict).toBe('proven');
  expect(await differences()).toEqual([]);
  expect(
    await rows(
      `SELECT count(*)::INTEGER AS gone FROM hubspot.contacts WHERE _deleted AND id IN ('${a}', '${b}')`,
    ),
  ).toEqual([{ gone: 2 }]);
});

test('a change that the index shows late is landed by the look-back of the next run', async () => {
  sandbox.clock.advance(2 * HOUR_MS);
  sandbox.data.update('contacts', 30, { lastname: 'Late' }, { lagMs: 30 * MINUTE_MS });
  expect((await sync()).outcome).toBe('ok');
  expect(await differences()).toHaveLength(1);
  sandbox.clock.advance(40 * MINUTE_MS);
  const run = await sync();
  expect(run.outcome).toBe('ok');
  expect(lineOf(run)).toMatchObject({ updated: 1 });
  expect(await differences()).toEqual([]);
});

test('an idle run proves its empty windows with a handful of calls', async () => {
  // The last change has to be behind the look-back of the window.
  sandbox.clock.advance(2 * HOUR_MS);
  await sync();
  sandbox.clock.advance(2 * HOUR_MS);
  const before = [...sandbox.stats.values()].reduce((sum, count) => sum + count, 0);
  const run = await sync();
  expect(run).toMatchObject({ outcome: 'ok', idle: 2 });
  const after = [...sandbox.stats.values()].reduce((sum, count) => sum + count, 0);
  expect(after - before).toBeLessThanOrEqual(2 * IDLE_CALLS_PER_OBJECT_MAX);
});

test('at the limit of the day the run ends deferred, and the next one lands the same window', async () => {
  sandbox.data.touchMany('contacts', 0.9);
  sandbox.behaviour.dailyCallsMax = sandbox.limits.daily + 6;
  const run = await sync();
  expect(run.outcome).toBe('deferred');
  sandbox.behaviour.dailyCallsMax = 1_000_000;
  // As the next answer would tell: without it Headwater believes the last report for half an hour.
  const ledger = await openSqliteLedger({ path: join(home, 'ledger.db') });
  await ledger.reportQuota('hubspot', { used: 100, limit: 1_000_000 }, Date.now());
  await ledger.close();
  const next = await sync();
  expect(next.outcome).toBe('ok');
  expect(lineOf(next).verdict).toBe('proven');
  expect(await differences()).toEqual([]);
});

test('associations land as a table of their own; what is joined and parted since, with the next sweep', async () => {
  // Rows without a stamp get the time of their reading, by our clock; from here on both clocks are the same.
  sandbox.clock.advance(Date.now() - sandbox.clock.now() - MINUTE_MS);
  const first = await sync('links');
  expect(first.outcome).toBe('ok');
  // They have no count of their own: the receipt says no more than that nothing was lost on the way.
  expect(lineOf(first, 'contacts~companies').verdict).toBe('transport-only');
  const [links] = await rows(
    'SELECT count(*)::INTEGER AS n, count(c.id)::INTEGER AS known FROM links.contacts_companies a LEFT JOIN hubspot.contacts c ON c.id = a.from_id',
  );
  expect(Number(links?.['n'])).toBeGreaterThan(100);
  expect(links?.['known']).toBe(links?.['n']);

  const ids = async () =>
    (await rows('SELECT id FROM links.contacts_companies WHERE NOT _deleted')).map((row) =>
      String(row['id']),
    );
  const [parted = ''] = await ids();
  const [contact = '', company = ''] = parted.split(':');
  sandbox.data.dissociate('contacts', contact, 'companies', company);
  sandbox.data.associate('contacts', 40, 'companies', 1);
  const joined = `${sandbox.data.idOf('contacts', 40)}:${sandbox.data.idOf('companies', 1)}:`;
  await sleep(1_500);
  expect((await sync('links')).outcome).toBe('ok');
  const after = await ids();
  expect(after.includes(parted)).toBe(false);
  expect(after.some((id) => id.startsWith(joined))).toBe(true);
});
