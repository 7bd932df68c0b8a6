/** Fault row 27: who was erased is nowhere any more, and no poll, replay or backfill brings it back. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Failpoint } from '../../activities/failpoints.ts';
import { startTemporalServer, type TemporalServer } from '../../cli/dev/temporal-server.ts';
import { rulesOf } from '../../config/profiles.ts';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../sandbox/hubspot/server.ts';
import { erasurePreviewSchema } from '../../schemas/erasure.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { openClaims } from '../../stores/claims/open.ts';
import { headwater } from '../support/headwater.ts';
import { CRM, lineOf, openPipeline, TUNING, type Pipeline } from '../support/pipeline.ts';
import { temporalCliPath } from '../support/temporal.ts';

const CLOCK_BEHIND_MS = 3 * 86_400_000;
const TEST_MS_MAX = 300_000;
const PERSON = 'Zanarycorvinho';
const EMAIL = 'canary.person@zanarycorvinho.example';
const PHONE = '+14155550187';
const CANARIES = [PERSON, EMAIL, EMAIL.toUpperCase(), PHONE];
const ROW = 3;
const STEPS: Failpoint[] = [
  'erase:suppressed',
  'erase:unstaged',
  'erase:purged',
  'erase:shredded',
  'erase:scrubbed',
];

let temporalHome: string;
let server: TemporalServer;
let hubspot: HubSpotSandbox;
let pipeline: Pipeline;
let record = '';
let profile = '';

beforeAll(async () => {
  temporalHome = mkdtempSync(join(tmpdir(), 'headwater-temporal-'));
  const binaryPath = await temporalCliPath();
  server = await startTemporalServer({ home: temporalHome, binaryPath, port: 0, uiPort: 0 });
  const none = { companies: 0, deals: 0, tickets: 0, products: 0, line_items: 0, orders: 0 };
  const quiet = { calls: 0, emails: 0, meetings: 0, notes: 0, tasks: 0 };
  hubspot = await startHubSpotSandbox({
    seed: 5,
    objects: { ...none, ...quiet, contacts: 30 },
    now: () => Date.now() - CLOCK_BEHIND_MS,
    tenSecondCallsMax: 100_000,
    searchesPerSecondMax: 10_000,
  });
  const { address, namespace, uiUrl, env } = server;
  pipeline = await openPipeline(
    { address, namespace, uiUrl, env, stop: () => server.stop() },
    {
      sandbox: { objects: { Contact: 60 } },
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
      syncMsMax: 120_000,
    },
  );
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await hubspot.close();
  await server.stop();
  rmSync(temporalHome, { recursive: true, force: true });
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
  const store = await openClaims({
    ...profiles,
    rules: rulesOf(profiles, config.conflicts),
    custom: new Map(),
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** `<file>: <canary>` of every file of the installation and of the Temporal server. */
function found(): string[] {
  const lines: string[] = [];
  for (const folder of [pipeline.home, temporalHome]) {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const path = join(folder, name);
      if (!statSync(path).isFile()) continue;
      const bytes = readFileSync(path);
      for (const canary of CANARIES) if (bytes.includes(canary)) lines.push(`${name}: ${canary}`);
    }
  }
  return lines;
}

/** Every table of the warehouse that can name a customer, without the erased one. */
async function others(): Promise<Record<string, unknown>[][]> {
  const ids = `SELECT unnest(['${record}'])`;
  return Promise.all([
    pipeline.rows(
      `SELECT * FROM ${CRM}.contact WHERE id NOT IN (${ids}) AND email <> '${EMAIL}' ORDER BY id`,
    ),
    pipeline.rows(`SELECT * FROM hubspot.contacts WHERE coalesce(email, '') <> '${EMAIL}' ORDER BY id`),
    pipeline.rows(
      `SELECT * FROM golden.contact WHERE coalesce(email, '') <> '${EMAIL}' AND NOT _deleted ORDER BY _profile`,
    ),
  ]);
}

const held = async () => {
  const [row] = await pipeline.rows(
    `SELECT (SELECT count(*) FROM ${CRM}.contact WHERE email = '${EMAIL}' OR last_name = '${PERSON}')
       + (SELECT count(*) FROM hubspot.contacts WHERE email = '${EMAIL}')
       + (SELECT count(*) FROM golden.contact WHERE email = '${EMAIL}')
       + (SELECT count(*) FROM golden.contact_versions WHERE email = '${EMAIL}')
       + (SELECT count(*) FROM _headwater.quarantine WHERE raw LIKE '%${PERSON}%') AS n`,
  );
  return Number(row?.['n']);
};

test(
  'the preview says what goes; killed between all steps, exactly that has gone, and nobody else',
  async () => {
    const { data } = pipeline.sandbox;
    data.update('Contact', ROW, { LastName: PERSON, Email: EMAIL, Phone: PHONE });
    hubspot.data.update('contacts', ROW, { lastname: PERSON, email: EMAIL });
    await syncBoth();
    data.update('Contact', ROW, { FirstName: PERSON });
    await syncBoth();
    data.setRaw('Contact', ROW, 'Birthdate', `born by ${PERSON}`);
    await syncBoth();
    const [row] = await pipeline.rows(`SELECT id FROM ${CRM}.contact WHERE email = '${EMAIL}'`);
    record = String(row?.['id']);
    expect(await held()).toBeGreaterThan(4);
    const before = await others();
    expect(found().some((line) => line.endsWith(PERSON))).toBe(true);

    const looked = await headwater(pipeline, `erase ${EMAIL} --dry-run --json`);
    expect([looked.code, looked.stderr]).toEqual([0, '']);
    const shown: unknown = JSON.parse(looked.stdout);
    const preview = erasurePreviewSchema.parse(shown);
    expect(preview.sources).toEqual({ [`${CRM}.Contact`]: 1, 'hubspot.contacts': 1 });
    expect(preview.places.map(({ place }) => place)).toEqual(
      expect.arrayContaining([
        ...['claims', 'stage', `${CRM}.contact`, 'hubspot.contacts', '_headwater.quarantine'],
        ...['golden.contact', 'golden.contact_versions', 'golden.identities', 'golden.profile_events'],
      ]),
    );
    profile = (await claims((store) => store.profileOf({ source: CRM, object: 'Contact', record }))) ?? '';

    let worker = await pipeline.start({ HEADWATER_FAILPOINT: STEPS[0] });
    const handle = await pipeline.client.workflow.start('erase', {
      workflowId: `erase/${profile}`,
      taskQueue: pipeline.loaded.config.temporal.taskQueue,
      args: [{ profile, actor: 'tester', reason: 'request 4711', approved: true, tuning: TUNING }],
    });
    for (const next of [...STEPS.slice(1), undefined]) {
      expect(await worker.ended).toBe('SIGKILL');
      worker = await pipeline.start(next === undefined ? {} : { HEADWATER_FAILPOINT: next });
    }
    const result: unknown = await handle.result();
    expect(result).toMatchObject({ outcome: 'erased', places: preview });

    expect(await held()).toBe(0);
    expect(await others()).toEqual(before);
    expect(await claims((store) => store.verify())).toMatchObject({ ok: true });
    expect(found()).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  'neither a poll, a new record of the same person, a bad row nor a backfill from the beginning brings it back',
  async () => {
    const { data } = pipeline.sandbox;
    const before = await others();
    data.update('Contact', ROW, { Department: PERSON });
    data.create('Contact', { LastName: PERSON, Email: EMAIL.toUpperCase() });
    hubspot.data.update('contacts', ROW, { firstname: PERSON });
    pipeline.pass();
    hubspot.clock.advance(60_000);
    const polled = await pipeline.sync();
    expect(polled.outcome).toBe('ok');
    expect(lineOf(polled)).toMatchObject({ verdict: 'proven' });
    expect((await pipeline.sync({ connection: 'hubspot' })).outcome).toBe('ok');
    const [receipt] = await pipeline.ledger((ledger) => ledger.windows({ connection: CRM, limit: 1 }));
    expect(receipt?.receipt?.transport.suppressed).toBeGreaterThan(0);
    expect(found()).toEqual([]);
    expect(await held()).toBe(0);

    await pipeline.client.workflow.execute('backfill', {
      workflowId: `backfill/${pipeline.home}`,
      taskQueue: pipeline.loaded.config.temporal.taskQueue,
      args: [
        {
          connection: CRM,
          objects: ['Contact'],
          from: 'beginning',
          to: new Date().toISOString(),
          reprocess: 'all',
          tuning: TUNING,
        },
      ],
    });
    expect(await held()).toBe(0);
    expect(found()).toEqual([]);
    expect(await claims((store) => store.verify())).toMatchObject({ ok: true });
    expect((await others())[0]?.map((row) => row['id'])).toEqual(before[0]?.map((row) => row['id']));
    const again = await headwater(pipeline, `erase ${profile} --reason again --yes`);
    expect(again.stdout).toContain('Nothing is held of this customer any more.');
  },
  TEST_MS_MAX,
);

test(
  'all that is held of somebody is one document; nothing of it is in a log',
  async () => {
    const [row] = await pipeline.rows(`SELECT id, email, last_name FROM ${CRM}.contact ORDER BY id LIMIT 1`);
    const id = String(row?.['id']);
    const out = join(pipeline.home, 'subject.json');
    const told = await headwater(pipeline, `export --subject ${CRM}:Contact:${id} --out ${out}`);
    expect([told.code, told.stderr]).toEqual([0, '']);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const document = JSON.parse(readFileSync(out, 'utf8'));
    rmSync(out);
    expect(document.raw[`${CRM}.Contact`]).toEqual([expect.objectContaining({ id, email: row?.['email'] })]);
    const entities = document.profiles.map((one: { entity: string }) => one.entity);
    expect(entities).toEqual(expect.arrayContaining(['contact', 'consent']));
    const [own] = document.profiles;
    expect(document.claims[own.profile].lastName).toContainEqual(
      expect.objectContaining({ value: row?.['last_name'], outcome: 'won' }),
    );
    expect(document.history[own.profile].length).toBeGreaterThan(0);
    expect(readFileSync(join(pipeline.home, 'logs', 'worker.ndjson'), 'utf8')).not.toContain(
      String(row?.['email']),
    );
    const erased = await headwater(pipeline, `erase ${CRM}:Contact:${id} --reason request --yes`);
    expect([erased.code, erased.stderr]).toEqual([0, '']);
    expect(erased.stdout).toContain(`${CRM}.contact`);
    expect(erased.stdout).toContain('Erased, and kept out from now on.');
    expect(await pipeline.rows(`SELECT id FROM ${CRM}.contact WHERE id = '${id}'`)).toEqual([]);
    const nobody = await headwater(pipeline, `export --subject ${CRM}:Contact:${id}`);
    expect(nobody.stderr).toContain('no profile has this record');
  },
  TEST_MS_MAX,
);

test(
  'past the retention of its entity a record goes after a run, as the preview said, and stays away',
  async () => {
    const [span] = await pipeline.rows(
      `SELECT date_diff('day', quantile_disc(_version, 0.5), now()) AS days FROM ${CRM}.contact`,
    );
    const days = Number(span?.['days']);
    expect(days).toBeGreaterThan(2);
    const config = JSON.parse(readFileSync(pipeline.loaded.path, 'utf8'));
    config.profiles = { retention: { contact: `${days}d` } };
    writeFileSync(pipeline.loaded.path, JSON.stringify(config));
    await pipeline.start();
    const looked = await headwater(pipeline, 'erase --retention --dry-run --json');
    const told: { object: string; records: number }[] = JSON.parse(looked.stdout);
    const overdue = told.find(({ object }) => object === `${CRM}.Contact`)?.records ?? 0;
    expect(overdue).toBeGreaterThan(5);
    const ids = async (where: string) =>
      (await pipeline.rows(`SELECT id FROM ${CRM}.contact WHERE ${where} ORDER BY id`)).map(({ id }) => id);
    const limit = `now() - INTERVAL ${days} DAY`;
    const [old, young] = [await ids(`_version < ${limit}`), await ids(`_version >= ${limit}`)];
    // Somebody who is younger in another record stays as a whole.
    const linked = await pipeline.rows(
      `SELECT DISTINCT a.record AS id FROM golden.identities AS a JOIN golden.identities AS b USING (profile)
       WHERE a.source = '${CRM}' AND a.object = 'Contact' AND list_contains([${old.map((id) => `'${String(id)}'`).join()}], a.record)
         AND (b.source = '${CRM}' AND b.record IN (SELECT id FROM ${CRM}.contact WHERE _version >= ${limit})
           OR b.source = 'hubspot' AND b.record IN (SELECT id FROM hubspot.contacts WHERE _version >= ${limit}))`,
    );
    const staying = [...young, ...linked.map(({ id }) => id)].toSorted();
    const [gone] = old.filter((id) => !staying.includes(id));
    expect(gone).toBeDefined();
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await ids('true')).toEqual(staying);
    expect(old).toHaveLength(overdue);
    const left = await pipeline.rows(
      `SELECT record FROM golden.identities WHERE source = '${CRM}' AND entity = 'contact' ORDER BY record`,
    );
    expect(left.map((row) => row['record'])).toEqual(staying);
    pipeline.sandbox.data.update('Contact', String(gone), { Department: 'After all' });
    pipeline.pass();
    expect(lineOf(await pipeline.sync()).state).toBe('landed');
    expect(await ids('true')).toEqual(staying);
    expect(await claims((store) => store.verify())).toMatchObject({ ok: true });
  },
  TEST_MS_MAX,
);
