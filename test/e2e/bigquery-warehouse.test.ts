/** One line of the configuration changes the warehouse: the whole product with rows and golden tables in BigQuery, as an emulator has it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bigquerySql, bqemulatorMissing, startBqemulator, type TestBigquery } from '../support/bqemulator.ts';
import { headwater } from '../support/headwater.ts';
import { differences, type Query } from '../support/oracle.ts';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 300;
const TEST_MS_MAX = 120_000;

const missing = await bqemulatorMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: the pipeline into BigQuery, ${missing}\n`);

let temporal: TestTemporal;
let service: TestBigquery;
let pipeline: Pipeline;

beforeAll(async () => {
  if (missing !== undefined) return;
  [temporal, service] = await Promise.all([withTemporal(), startBqemulator()]);
  const { endpoint, writeEndpoint } = service;
  const endpoints = { endpoint, writeEndpoint };
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    more: {
      warehouse: { kind: 'bigquery', project: 'e2e-project', location: 'EU', ...endpoints },
      profiles: {},
    },
    syncMsMax: TEST_MS_MAX,
  });
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  if (missing !== undefined) return;
  await pipeline.close();
  await temporal.stop();
  await service.stop();
});

const KINDS: readonly [own: RegExp, plain: string][] = [
  [/^BOOL/, 'boolean'],
  [/^(?:BIG)?NUMERIC/, 'decimal'],
  [/^INT64/, 'bigint'],
  [/^FLOAT64/, 'double'],
];

/** What the oracle asks, in BigQuery's words. */
const asked: Query = async (sql) => {
  if (!sql.includes('information_schema')) return pipeline.rows(bigquerySql(sql));
  const rows = await pipeline.rows(
    "SELECT column_name, data_type FROM crm.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'contact'",
  );
  return rows.map((row) => {
    const type = String(row['data_type']);
    return { ...row, data_type: KINDS.find(([own]) => own.test(type))?.[1] ?? type };
  });
};
const count = async (from: string): Promise<number> =>
  Number((await pipeline.rows(`SELECT COUNT(*) AS n FROM ${from}`))[0]?.['n']);

(missing !== undefined ? test.skip : test)(
  'rows, receipts and golden tables are in BigQuery as they would be in DuckDB',
  async () => {
    pipeline.pass();
    const first = await pipeline.sync();
    expect([first.outcome, first.message]).toEqual(['ok', '']);
    expect(lineOf(first)).toMatchObject({ state: 'landed', verdict: 'proven', rows: CONTACTS });
    expect(await differences(pipeline.sandbox, 'Contact', asked, 'crm.contact')).toEqual([]);
    expect(await count('_headwater.intervals')).toBe(1);
    const golden = await count('golden.contact');
    expect(golden).toBeGreaterThan(0);
    expect(await count('golden.contact_history WHERE `current`')).toBe(golden);

    const told = await headwater(pipeline, 'npx headwater sql select(count(*))from`crm`.`contact`');
    expect([told.code, told.stderr]).toEqual([0, '']);
    expect(told.stdout).toContain(String(CONTACTS));
    expect((await headwater(pipeline, 'npx headwater sql delete(1)')).code).not.toBe(0);
  },
  TEST_MS_MAX,
);

(missing !== undefined ? test.skip : test)(
  'a second run brings what changed, and an audit agrees',
  async () => {
    pipeline.sandbox.data.update('Contact', 1, { Title: 'Otter' });
    pipeline.pass();
    const next = await pipeline.sync();
    expect([next.outcome, next.message]).toEqual(['ok', '']);
    expect(await differences(pipeline.sandbox, 'Contact', asked, 'crm.contact')).toEqual([]);
    const audit = await headwater(pipeline, 'npx headwater audit crm Contact --json');
    expect(audit.code).toBe(0);
    const plan = await headwater(pipeline, 'npx headwater plan crm');
    expect([plan.code, plan.stdout]).toEqual([
      0,
      expect.stringMatching(/^crm in bigquery: .*loads per object/m),
    ]);
    // The emulator's dry runs tell no bytes, or a few.
    expect(plan.stdout).toMatch(/^crm in bigquery: (?:Contact reads [\d.]+ \wi?B|nothing was loaded)/m);
  },
  TEST_MS_MAX,
);
