/** One line of the configuration changes the warehouse: the whole product with rows and golden tables in a Snowflake (an emulator). */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fakesnowMissing, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import { headwater } from '../support/headwater.ts';
import { differences } from '../support/oracle.ts';
import { lineOf, logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 500;
const TEST_MS_MAX = 180_000;
const PASSWORD = 'a-word-nobody-may-read';

const missing = await fakesnowMissing();
const when = missing !== undefined ? test.skip : test;
if (missing !== undefined) process.stderr.write(`SKIPPED: a sync into Snowflake, ${missing}\n`);

let temporal: TestTemporal;
let snowflake: TestSnowflake;
let pipeline: Pipeline;

beforeAll(async () => {
  if (missing !== undefined) return;
  [temporal, snowflake] = await Promise.all([withTemporal(), startFakesnow()]);
  process.env['HEADWATER_TEST_WAREHOUSE'] = PASSWORD;
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    more: {
      warehouse: {
        ...{ kind: 'snowflake', account: 'fakesnow', user: 'headwater', database: 'ANALYTICS' },
        ...{ password: { $secret: { env: 'HEADWATER_TEST_WAREHOUSE' } }, accessUrl: snowflake.url },
      },
      profiles: {},
    },
    env: { HEADWATER_TEST_WAREHOUSE: PASSWORD },
    syncMsMax: TEST_MS_MAX,
  });
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  if (missing !== undefined) return;
  await pipeline.close();
  await temporal.stop();
  await snowflake.stop();
});

const count = async (from: string): Promise<number> =>
  Number((await pipeline.rows(`SELECT count(*) AS n FROM ${from}`))[0]?.['n']);

/** The oracle's question for the columns, in the names and types of this catalog. */
const asked = (sql: string) =>
  pipeline.rows(
    sql
      .replace(
        'SELECT column_name, data_type',
        "SELECT lower(column_name) AS column_name, replace(replace(data_type, 'NUMBER', 'DECIMAL'), 'FLOAT', 'DOUBLE') AS data_type",
      )
      .replace("table_schema || '.' || table_name", "lower(table_schema || '.' || table_name)"),
  );

when(
  'rows, receipts and golden tables are in Snowflake as they would be in DuckDB',
  async () => {
    pipeline.pass();
    const first = await pipeline.sync();
    expect([first.outcome, first.message]).toEqual(['ok', '']);
    expect(lineOf(first)).toMatchObject({ state: 'landed', verdict: 'proven', rows: CONTACTS });
    expect(await differences(pipeline.sandbox, 'Contact', asked, 'crm.contact')).toEqual([]);
    expect(await count('_headwater.intervals')).toBe(1);
    const golden = await count('golden.contact');
    expect(golden).toBeGreaterThan(0);
    expect(await count('golden.contact_history WHERE "current"')).toBe(golden);
    expect(await count("INFORMATION_SCHEMA.TABLES WHERE table_name LIKE 'LOAD%'")).toBe(0);

    const told = await headwater(pipeline, 'npx headwater sql select(count(*))from"crm"."contact"');
    expect([told.code, told.stderr]).toEqual([0, '']);
    expect(told.stdout).toContain(String(CONTACTS));
    expect((await headwater(pipeline, 'npx headwater sql delete(1)')).code).not.toBe(0);
    expect((await headwater(pipeline, 'npx headwater plan crm')).stdout).toContain(
      'crm in snowflake: at most 24 loads per object and day',
    );
    expect(logsOf(pipeline.home)).not.toContain(PASSWORD);
  },
  TEST_MS_MAX,
);
