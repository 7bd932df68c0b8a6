/** One line of the configuration changes the warehouse: the whole product with rows and golden tables where Redshift would have them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { headwater } from '../support/headwater.ts';
import { differences } from '../support/oracle.ts';
import { lineOf, logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer } from '../support/postgres-warehouse.ts';
import type { FakeDataApi } from '../support/fake-redshift-data.ts';
import {
  configOf,
  redshiftMissing,
  startRedshift,
  throughDataApi,
  type TestRedshift,
} from '../support/redshift.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 300;
const TEST_MS_MAX = 120_000;
const PRELOAD = new URL('../support/redshift-preload.ts', import.meta.url).href;

const missing = await redshiftMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: the pipeline into Redshift, ${missing}\n`);
const ways = process.env['HEADWATER_TEST_ALL'] === '1' ? ['its port', 'the Data API'] : ['its port'];
const suite = missing !== undefined ? describe.skip.each(ways) : describe.each(ways);

suite('by %s', (way) => {
  let temporal: TestTemporal;
  let server: TestRedshift;
  let api: FakeDataApi;
  let url: string;
  let folder: string;
  let pipeline: Pipeline;

  beforeAll(async () => {
    [temporal, server] = await Promise.all([withTemporal(), startRedshift()]);
    folder = await mkdtemp(join(tmpdir(), 'headwater-redshift-'));
    api = await server.dataApi(folder);
    url = await server.newDatabase();
    const secrets = { HEADWATER_TEST_WAREHOUSE: new URL(url).password, HEADWATER_TEST_KEY: 'test' };
    Object.assign(process.env, secrets);
    const key = { $secret: { env: 'HEADWATER_TEST_KEY' } };
    const login =
      way === 'its port'
        ? { password: { $secret: { env: 'HEADWATER_TEST_WAREHOUSE' } } }
        : throughDataApi(api);
    pipeline = await openPipeline(temporal, {
      sandbox: { objects: { Contact: CONTACTS } },
      more: {
        warehouse: { ...configOf(url, server.s3), ...login, accessKeyId: key, secretAccessKey: key },
        profiles: {},
      },
      env: {
        ...secrets,
        HEADWATER_TEST_S3: server.s3.url,
        ...(way === 'its port' ? { NODE_OPTIONS: `--import=${PRELOAD}` } : {}),
      },
      syncMsMax: TEST_MS_MAX,
    });
    await pipeline.start();
  }, TEST_MS_MAX);

  afterAll(async () => {
    await pipeline.close();
    await temporal.stop();
    await api.stop();
    await server.stop();
    await rm(folder, { recursive: true });
  });

  const rows = (sql: string): Promise<Record<string, unknown>[]> => administer(url, sql);
  const count = async (from: string): Promise<number> =>
    Number((await rows(`SELECT count(*) AS n FROM ${from}`))[0]?.['n']);

  test(
    'rows, receipts and golden tables land through the bucket, and nothing is left in it',
    async () => {
      pipeline.pass();
      const first = await pipeline.sync();
      expect([first.outcome, first.message]).toEqual(['ok', '']);
      expect(lineOf(first)).toMatchObject({ state: 'landed', verdict: 'proven', rows: CONTACTS });
      expect(await count('crm.contact')).toBe(CONTACTS);
      expect(await count('_headwater.intervals')).toBe(1);
      const golden = await count('golden.contact');
      expect(golden).toBeGreaterThan(0);
      expect(await count('golden.contact_history WHERE "current"')).toBe(golden);
      expect(await server.objects()).toEqual([]);
      // I5: the configuration holds a password.
      expect(logsOf(pipeline.home)).not.toContain(new URL(url).password);
    },
    TEST_MS_MAX,
  );

  test(
    'a second run brings what changed; the audit agrees; sql and check speak to it',
    async () => {
      const { sandbox } = pipeline;
      sandbox.data.update('Contact', 1, { Title: 'Otter' });
      pipeline.pass();
      const second = await pipeline.sync();
      expect([second.outcome, second.message]).toEqual(['ok', '']);
      expect(await differences(sandbox, 'Contact', rows, 'crm.contact')).toEqual([]);
      expect(await count("crm.contact WHERE title = 'Otter'")).toBe(1);
      const audit = await headwater(pipeline, 'npx headwater audit crm Contact --json');
      expect(audit.code).toBe(0);
      const told = await headwater(pipeline, 'npx headwater sql select(count(*))from"crm"."contact"');
      expect([told.code, told.stderr]).toEqual([0, '']);
      expect(told.stdout).toContain(String(CONTACTS));
      expect((await headwater(pipeline, 'npx headwater sql delete(1)')).code).not.toBe(0);
      await pipeline.stop();
      const checked = await headwater(pipeline, 'npx headwater check');
      expect(checked.stdout).toContain('COPY may read the bucket');
    },
    TEST_MS_MAX,
  );
});
