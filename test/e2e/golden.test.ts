import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { normaliseEmail, phoneNormaliser } from '../../mapping/normalise.ts';
import type { Failpoint } from '../../activities/failpoints.ts';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../sandbox/hubspot/server.ts';
import { rulesOf } from '../../config/profiles.ts';
import { openClaims } from '../../stores/claims/open.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { CRM, lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CLOCK_BEHIND_MS = 3 * 86_400_000;
const CONTACTS = 300;
const TEST_MS_MAX = 120_000;
const phone = phoneNormaliser('US');

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
    salesforce: { objects: { Contact: CONTACTS } },
    now: () => Date.now() - CLOCK_BEHIND_MS,
    tenSecondCallsMax: 100_000,
    searchesPerSecondMax: 10_000,
  });
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
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
      conflicts: {
        contact: {
          profile: 'contact',
          fields: { jobTitle: { prefer: [{ by: 'source', order: [CRM] }, { by: 'latest' }] } },
        },
      },
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

async function syncBoth(): Promise<void> {
  pipeline.pass();
  hubspot.clock.advance(60_000);
  for (const connection of [CRM, 'hubspot']) {
    const end = await pipeline.sync({ connection });
    expect([connection, end.outcome, end.message]).toEqual([connection, 'ok', '']);
  }
}

async function claims<T>(work: (store: Claims) => Promise<T>): Promise<T> {
  const { config } = pipeline.loaded;
  const { profiles } = config;
  if (profiles === undefined) throw new Error('the configuration has no profiles');
  const rules = rulesOf(profiles, config.conflicts);
  const store = await openClaims({ ...profiles, rules, custom: new Map() });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

interface Person {
  source: string;
  id: string;
  title: string | null;
  keys: string[];
}

/** What the two systems hold, read from the raw tables, which have receipts of their own. */
async function people(): Promise<Person[]> {
  const crm = await pipeline.rows(
    `SELECT id, email, phone, mobile_phone AS mobile, title FROM ${CRM}.contact WHERE NOT _deleted`,
  );
  const hub = await pipeline.rows(
    'SELECT id, email, phone, mobilephone AS mobile, jobtitle AS title FROM hubspot.contacts WHERE NOT _deleted',
  );
  const person = (source: string) => (row: Record<string, unknown>) => {
    const text = (name: string) => (typeof row[name] === 'string' ? row[name] : '');
    return {
      source,
      id: text('id'),
      title: text('title') === '' ? null : text('title'),
      keys: [normaliseEmail(text('email')), phone(text('phone')), phone(text('mobile'))].filter(
        (key): key is string => key !== null,
      ),
    };
  };
  return [...crm.map(person(CRM)), ...hub.map(person('hubspot'))];
}

/** Groups of records that share an identifier, by brute force. */
function clusters(all: Person[]): Person[][] {
  const groups: Person[][] = [];
  for (const one of all) {
    const touching = groups.filter((group) =>
      group.some(({ keys }) => keys.some((key) => one.keys.includes(key))),
    );
    const rest = groups.filter((group) => !touching.includes(group));
    groups.splice(0, groups.length, ...rest, [...touching.flat(), one]);
  }
  return groups;
}

async function expectGolden(): Promise<void> {
  const expected = clusters(await people())
    .map((group) => {
      const said = (source: string) => group.filter((one) => one.source === source && one.title !== null);
      const titles = new Set((said(CRM).length > 0 ? said(CRM) : said('hubspot')).map(({ title }) => title));
      return {
        records: group
          .map(({ source, id }) => `${source}:${id}`)
          .toSorted()
          .join(' '),
        titles: [...titles],
      };
    })
    .toSorted((a, b) => (a.records < b.records ? -1 : 1));
  const golden = await pipeline.rows(
    `SELECT string_agg(i.source || ':' || i.record, ' ' ORDER BY i.source || ':' || i.record) AS records,
            any_value(c.job_title) AS title
     FROM golden.identities AS i JOIN golden.contact AS c ON c._profile = i.profile
     WHERE i.entity = 'contact' AND NOT i.deleted AND NOT c._deleted
     GROUP BY i.profile ORDER BY records`,
  );
  expect(golden.map(({ records }) => records)).toEqual(expected.map(({ records }) => records));
  for (const [at, { titles }] of expected.entries()) {
    // A blank says as little as nothing: which of the two is kept does not matter.
    const title = golden[at]?.['title'] === '' ? null : (golden[at]?.['title'] ?? null);
    expect([title, titles.length === 0 ? [null] : titles]).toEqual([title, expect.arrayContaining([title])]);
  }
}

describe('golden profiles', () => {
  test(
    'two systems become one profile per customer, in the warehouse too',
    async () => {
      await syncBoth();
      await expectGolden();
      const groups = clusters(await people());
      const shared = groups.filter((group) => new Set(group.map(({ source }) => source)).size === 2);
      expect(shared.length).toBeGreaterThan(50);
      const counted = await claims((store) => store.counts());
      expect(counted.profiles['contact']).toBe(groups.length);
      const [alive] = await pipeline.rows('SELECT count(*) AS n FROM golden.contact WHERE NOT _deleted');
      expect(Number(alive?.['n'])).toBe(groups.length);
      expect(await claims((store) => store.verify())).toMatchObject({ ok: true });
    },
    TEST_MS_MAX,
  );

  test(
    'what changes and goes in a system follows; what is taken back stays so after the next poll',
    async () => {
      const both = clusters(await people()).find(
        (group) => new Set(group.map(({ source }) => source)).size === 2 && group.length === 2,
      );
      const crm = both?.find(({ source }) => source === CRM);
      const ref = { source: CRM, object: 'Contact', record: crm?.id ?? '' };
      const id = await claims((store) => store.profileOf(ref));
      const before = await claims((store) => store.profile(id ?? ''));
      pipeline.sandbox.data.update('Contact', ref.record, { Title: 'Wrong title' });
      await syncBoth();
      await expectGolden();
      const title = async () =>
        (await claims((store) => store.profile(id ?? '')))?.fields['jobTitle']?.value ?? null;
      expect(await title()).toBe('Wrong title');

      const result: unknown = await pipeline.client.workflow.execute('rollback', {
        workflowId: `rollback/${pipeline.home}`,
        taskQueue: pipeline.loaded.config.temporal.taskQueue,
        args: [
          {
            profile: id,
            field: 'jobTitle',
            source: CRM,
            since: before?.updatedAt,
            actor: 'tester',
            reason: 'test',
            approved: true,
          },
        ],
      });
      expect(result).toMatchObject({ outcome: 'applied', retracted: 1 });
      const restored = before?.fields['jobTitle']?.value ?? null;
      expect(await title()).toEqual(restored);
      pipeline.sandbox.data.update('Contact', ref.record, { Department: 'Elsewhere' });
      await syncBoth();
      expect(await title()).toEqual(restored);
      const [row] = await pipeline.rows(
        `SELECT job_title FROM golden.contact WHERE _profile = '${id ?? ''}'`,
      );
      expect(row?.['job_title'] ?? null).toEqual(restored);
    },
    TEST_MS_MAX,
  );

  test.each<Failpoint>(['reconcile:applied', 'reconcile:closed', 'publish:merged'])(
    'killed at %s, the next run ends where an undisturbed one would',
    async (failpoint) => {
      const [first] = await people();
      pipeline.sandbox.data.update('Contact', first?.id ?? '', {
        Title: `Killed at ${failpoint}`,
        Email: null,
      });
      pipeline.pass();
      const killed = await pipeline.start({ HEADWATER_FAILPOINT: failpoint });
      const handle = await pipeline.begin();
      expect(await killed.ended).toBe('SIGKILL');
      await pipeline.start();
      const end = await pipeline.ended(handle);
      expect(end.outcome).toBe('ok');
      expect(lineOf(end).verdict).toBe('proven');
      const found = await claims(async (store) => {
        const id = await store.profileOf({ source: CRM, object: 'Contact', record: first?.id ?? '' });
        return store.profile(id ?? '');
      });
      expect(found?.fields['jobTitle']?.value).toBe(`Killed at ${failpoint}`);
      expect(await claims((store) => store.verify())).toMatchObject({ ok: true });
    },
    TEST_MS_MAX,
  );

  test(
    'a store that was lost is noticed, and made again from the warehouse where the stage has nothing left',
    async () => {
      await pipeline.stop();
      for (const name of ['claims.db', 'claims.db-wal', 'claims.db-shm', 'claims.head'])
        rmSync(join(pipeline.home, name), { force: true });
      const stage = join(pipeline.home, 'stage');
      for (const name of readdirSync(stage).filter((one) => one.startsWith('w_')))
        rmSync(join(stage, name), { recursive: true });
      await pipeline.start();
      pipeline.sandbox.data.update('Contact', (await people())[1]?.id ?? '', {
        Department: 'After the loss',
      });
      pipeline.pass();
      const end = await pipeline.sync();
      // The raw rows landed all the same.
      expect(lineOf(end).verdict).toBe('proven');
      expect(end.outcome).toBe('PARTIAL');
      expect(end.message).toContain('SINK_REWOUND');
      expect(end.message).toContain('npx headwater repair --profiles');
      await pipeline.ledger((ledger) => ledger.resetSink('claims', {}));
      const before = await pipeline.rows('SELECT _profile FROM golden.contact');
      await syncBoth();
      await expectGolden();
      // Another store names its profiles anew, and what the lost one had published is gone.
      const after = new Set(
        (await pipeline.rows('SELECT _profile FROM golden.contact')).map((row) => row['_profile']),
      );
      expect(before.filter((row) => after.has(row['_profile']))).toEqual([]);
      expect(
        await pipeline.rows('SELECT count(DISTINCT _epoch)::INTEGER AS n FROM golden.profile_events'),
      ).toEqual([{ n: 1 }]);
    },
    TEST_MS_MAX,
  );
});
