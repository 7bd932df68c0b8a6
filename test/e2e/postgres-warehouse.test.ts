/** One line of the configuration changes the warehouse: the whole product with rows and golden tables in a Postgres. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { headwater } from '../support/headwater.ts';
import { lineOf, logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer } from '../support/postgres-warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 500;
const TEST_MS_MAX = 120_000;

let temporal: TestTemporal;
let postgres: TestPostgres;
let pipeline: Pipeline;

beforeAll(async () => {
  [temporal, postgres] = await Promise.all([withTemporal(), startPostgres()]);
  process.env['HEADWATER_TEST_WAREHOUSE'] = postgres.url;
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    more: {
      warehouse: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_WAREHOUSE' } } },
      profiles: {},
    },
    env: { HEADWATER_TEST_WAREHOUSE: postgres.url },
    syncMsMax: TEST_MS_MAX,
  });
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
  await postgres.stop();
});

const count = async (from: string): Promise<number> =>
  Number((await pipeline.rows(`SELECT count(*) AS n FROM ${from}`))[0]?.['n']);

test(
  'rows, receipts and golden tables are in Postgres as they would be in DuckDB',
  async () => {
    pipeline.pass();
    const first = await pipeline.sync();
    expect([first.outcome, first.message]).toEqual(['ok', '']);
    expect(lineOf(first)).toMatchObject({ state: 'landed', verdict: 'proven', rows: CONTACTS });
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(await count('_headwater.intervals')).toBe(1);
    const golden = await count('golden.contact');
    expect(golden).toBeGreaterThan(0);
    expect(await count('golden.contact_history WHERE "current"')).toBe(golden);

    const told = await headwater(pipeline, 'npx headwater sql select(count(*))from"crm"."contact"');
    expect([told.code, told.stderr]).toEqual([0, '']);
    expect(told.stdout).toContain(String(CONTACTS));
    expect((await headwater(pipeline, 'npx headwater sql delete(1)')).code).not.toBe(0);
    // I5: the address holds a password.
    expect(logsOf(pipeline.home)).not.toContain(new URL(postgres.url).password);
  },
  TEST_MS_MAX,
);

test(
  'an audit finds what somebody changed in Postgres, and mends it',
  async () => {
    const [one, two] = (await pipeline.rows('SELECT id FROM crm.contact ORDER BY id LIMIT 2')).map((row) =>
      String(row['id']),
    );
    await administer(postgres.url, `DELETE FROM crm.contact WHERE id = '${one}'`);
    await administer(postgres.url, `UPDATE crm.contact SET _deleted = true WHERE id = '${two}'`);
    expect(await pipeline.oracle('Contact')).toHaveLength(2);
    const told = await headwater(pipeline, 'npx headwater audit crm Contact --json');
    expect(told.stdout).toContain('Contact');
    expect(await pipeline.oracle('Contact')).toEqual([]);
  },
  TEST_MS_MAX,
);
