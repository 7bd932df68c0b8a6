import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { ledgerPlace } from '../../config/ledger.ts';
import { rulesOf } from '../../config/profiles.ts';
import { openClaims } from '../../stores/claims/open.ts';
import { lineOf, logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 4_000;
const AWAY_MS = 1_500;
const TEST_MS_MAX = 180_000;

let temporal: TestTemporal;
let postgres: TestPostgres;
let pipeline: Pipeline;

beforeAll(async () => {
  [temporal, postgres] = await Promise.all([withTemporal(), startPostgres()]);
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    more: {
      ledger: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_LEDGER_URL' } }, schema: 'e2e' },
      profiles: {},
    },
    env: { HEADWATER_LEDGER_URL: postgres.url },
    syncMsMax: TEST_MS_MAX,
  });
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
  await postgres.stop();
}, TEST_MS_MAX);

/** Waits until this statement finds a row; tables that nobody has made yet hold none. */
async function until(sql: string): Promise<void> {
  const client = new Client(postgres.url);
  client.on('error', () => {});
  await client.connect();
  try {
    for (;;) {
      const found = await client.query(sql).catch(() => ({ rows: [] }));
      if (found.rows.length > 0) return;
      await sleep(10);
    }
  } finally {
    await client.end();
  }
}

test(
  'a Postgres that is killed in the middle of a run and comes back: the run goes on and nothing is lost',
  async () => {
    const handle = await pipeline.begin();
    const kills = [
      // While rows are read, and while claims are applied.
      'SELECT 1 FROM e2e.slices LIMIT 1',
      'SELECT 1 FROM e2e.events LIMIT 1',
    ];
    for (const sign of kills) {
      await until(sign);
      await postgres.kill();
      expect((await handle.describe()).status.name).toBe('RUNNING');
      await sleep(AWAY_MS);
      await postgres.restart();
    }
    const end = await pipeline.ended(handle);
    expect([end.outcome, end.message]).toEqual(['ok', '']);
    expect(lineOf(end)).toMatchObject({ state: 'landed', verdict: 'proven', rows: CONTACTS });
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(await pipeline.ledger((ledger) => ledger.coverage('crm', 'Contact'))).toHaveLength(1);

    const { config } = pipeline.loaded;
    if (config.profiles === undefined) throw new Error('no profiles');
    const rules = rulesOf(config.profiles, config.conflicts);
    const place = ledgerPlace(config, pipeline.env);
    const claims = await openClaims({ ...config.profiles, place, rules, custom: new Map(), existing: true });
    // A contact and its consent.
    expect((await claims.counts()).records).toBe(2 * CONTACTS);
    expect(await claims.verify()).toMatchObject({ ok: true, brokenAt: null });
    await claims.close();
    // I5: the address holds a password.
    expect(logsOf(pipeline.home)).not.toContain(new URL(postgres.url).password);

    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
  },
  TEST_MS_MAX,
);
