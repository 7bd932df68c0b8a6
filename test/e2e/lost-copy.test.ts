/** A further warehouse beside a running worker: its rights are proven, and after it was lost it is made again from the stage. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { headwater } from '../support/headwater.ts';
import { openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer } from '../support/postgres-warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 300;
const TEST_MS_MAX = 120_000;
const checksSchema = z.array(
  z.object({
    of: z.string(),
    check: z.string(),
    ok: z.boolean(),
    detail: z.string(),
    remedy: z.string().optional(),
  }),
);

let temporal: TestTemporal;
let postgres: TestPostgres;
let pipeline: Pipeline;
/** The copy as a role without any right but that to log in. */
let copyUrl: string;

beforeAll(async () => {
  [temporal, postgres] = await Promise.all([withTemporal(), startPostgres()]);
  await administer(postgres.url, "CREATE ROLE loader LOGIN PASSWORD 'loader'");
  await newCopy();
  const url = new URL(postgres.url);
  [url.username, url.password, url.pathname] = ['loader', 'loader', '/copy'];
  copyUrl = url.href;
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    connection: { objects: ['Contact'] },
    more: {
      warehouse: undefined,
      warehouses: {
        main: { kind: 'duckdb', path: 'warehouse.duckdb' },
        copy: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_COPY' } } },
        second: { kind: 'duckdb', path: 'second.duckdb' },
      },
    },
    env: { HEADWATER_TEST_COPY: copyUrl },
    syncMsMax: TEST_MS_MAX,
  });
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
  await postgres.stop();
});

async function newCopy(): Promise<void> {
  await administer(postgres.url, 'DROP DATABASE IF EXISTS copy WITH (FORCE)');
  await administer(postgres.url, 'CREATE DATABASE copy OWNER loader');
}

async function check() {
  const told = await headwater(pipeline, 'npx headwater check --json');
  const all = checksSchema.parse(JSON.parse(told.stdout));
  const of = (name: string) => all.filter((one) => one.of === name);
  const failed = all.filter(({ ok }) => !ok).map((one) => [one.of, one.check, one.remedy]);
  return { code: told.code, of, failed };
}

const ROWS =
  'SELECT id, last_name, _version::text AS version, _deleted AS deleted FROM crm.contact ORDER BY id';
const INTERVALS = 'SELECT "window" AS w FROM _headwater.intervals ORDER BY 1';
const ofCopy = async (sql: string) => await administer(copyUrl, sql);

test(
  'check beside a running worker proves each warehouse as without one, and prints the grants that are missing',
  async () => {
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    const whole = await check();
    expect(whole.failed).toEqual([]);
    expect(whole.code).toBe(0);
    for (const embedded of ['warehouse', 'second']) {
      const found = whole.of(embedded).map((one) => one.check);
      expect([embedded, ...found]).toEqual([embedded, 'connect', 'duckdb', 'file', 'disk']);
    }
    const proven = whole.of('copy').map((one) => one.check);
    expect(proven).toEqual(expect.arrayContaining(['postgres', 'encoding', 'schemas', 'staging']));
    // Owners have every right, so it belongs to somebody else now.
    await administer(postgres.url, 'ALTER DATABASE copy OWNER TO headwater');
    await administer(postgres.url, 'REVOKE TEMPORARY ON DATABASE copy FROM PUBLIC, loader');
    const poor = await check();
    expect(poor.code).toBe(1);
    expect(poor.failed).toEqual([
      ['copy', 'schemas', 'GRANT CREATE ON DATABASE "copy" TO "loader";'],
      ['copy', 'staging', 'GRANT TEMPORARY ON DATABASE "copy" TO "loader";'],
    ]);
    await administer(postgres.url, 'ALTER DATABASE copy OWNER TO loader');
    await administer(postgres.url, 'GRANT TEMPORARY ON DATABASE copy TO loader');
    expect((await check()).failed).toEqual([]);
    await pipeline.stop();
    const without = await check();
    expect(without.failed).toEqual([]);
    expect(without.of('second').map((one) => one.check)).toEqual(['duckdb', 'file', 'disk']);
    await pipeline.start();
  },
  TEST_MS_MAX,
);

test(
  'I7: a lost copy is noticed and named; repair --from-stage --warehouse makes it again from its windows',
  async () => {
    pipeline.sandbox.data.update('Contact', 1, { LastName: 'Second window' });
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    const [rows, intervals] = [await ofCopy(ROWS), await ofCopy(INTERVALS)];
    expect(rows).toHaveLength(CONTACTS);
    await newCopy();
    const lost = await pipeline.sync();
    expect(lost.outcome).toBe('behind');
    expect(lost.run?.behind).toMatchObject([{ sink: 'copy', code: 'SINK_REWOUND' }]);
    const repaired = await headwater(pipeline, 'npx headwater repair --from-stage --warehouse copy');
    expect([repaired.code, repaired.stderr]).toEqual([0, expect.stringContaining('copy: all have landed.')]);
    expect(await ofCopy(ROWS)).toEqual(rows);
    // The same windows: nothing was read again.
    expect(await ofCopy(INTERVALS)).toEqual(expect.arrayContaining(intervals));
    expect(await pipeline.rows(ROWS)).toEqual(rows);
    const wrong = await headwater(pipeline, 'npx headwater repair --from-stage --warehouse cpoy');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('copy')]);
  },
  TEST_MS_MAX,
);
