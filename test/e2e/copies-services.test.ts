/** A Snowflake, a BigQuery and a Redshift beside a DuckDB, as emulators have them: moved to, kept level, erased from. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withWarehouse } from '../../cli/warehouse.ts';
import { loadConfig } from '../../config/load-config.ts';
import { warehouseNamed } from '../../config/warehouses.ts';
import { bqemulatorMissing, startBqemulator } from '../support/bqemulator.ts';
import { fakesnowMissing, startFakesnow } from '../support/fakesnow.ts';
import { headwater } from '../support/headwater.ts';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer } from '../support/postgres-warehouse.ts';
import { configOf, redshiftMissing, startRedshift } from '../support/redshift.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 80;
const TEST_MS_MAX = 180_000;
const PRELOAD = new URL('../support/redshift-preload.ts', import.meta.url).href;
const SECRET = { $secret: { env: 'HEADWATER_TEST_SERVICE' } };

interface Service {
  /** As in the configuration. */
  part: object;
  env: NodeJS.ProcessEnv;
  /** Rows as arrays; by default through the warehouse's own driver. */
  rows?(sql: string): Promise<unknown[][]>;
  stop(): Promise<void>;
}

const SERVICES: Record<string, { missing: string | undefined; start: () => Promise<Service> }> = {
  Snowflake: {
    missing: await fakesnowMissing(),
    async start() {
      const service = await startFakesnow();
      const login = { kind: 'snowflake', account: 'fakesnow', user: 'headwater', password: SECRET };
      const part = { ...login, database: 'ANALYTICS', accessUrl: service.url };
      return { part, env: { HEADWATER_TEST_SERVICE: 'word' }, stop: () => service.stop() };
    },
  },
  BigQuery: {
    missing: await bqemulatorMissing(),
    async start() {
      const service = await startBqemulator();
      const { endpoint, writeEndpoint } = service;
      const part = { kind: 'bigquery', project: 'copy-project', location: 'EU', endpoint, writeEndpoint };
      return { part, env: {}, stop: () => service.stop() };
    },
  },
  Redshift: {
    missing: await redshiftMissing(),
    async start() {
      const service = await startRedshift();
      const url = await service.newDatabase();
      const key = { $secret: { env: 'HEADWATER_TEST_KEY' } };
      return {
        part: { ...configOf(url, service.s3), password: SECRET, accessKeyId: key, secretAccessKey: key },
        env: {
          ...{ HEADWATER_TEST_SERVICE: new URL(url).password, HEADWATER_TEST_KEY: 'test' },
          ...{ HEADWATER_TEST_S3: service.s3.url, NODE_OPTIONS: `--import=${PRELOAD}` },
        },
        rows: async (sql) => (await administer(url, sql)).map((row) => Object.values(row)),
        stop: () => service.stop(),
      };
    },
  },
};

let temporal: TestTemporal;
beforeAll(async () => {
  temporal = await withTemporal();
}, TEST_MS_MAX);
afterAll(() => temporal.stop());

for (const [name, { missing, start }] of Object.entries(SERVICES)) {
  if (missing !== undefined) process.stderr.write(`SKIPPED: ${name} beside a DuckDB, ${missing}\n`);
  const suite = missing !== undefined ? describe.skip : describe;
  suite(name, () => {
    let service: Service;
    let pipeline: Pipeline;

    beforeAll(async () => {
      service = await start();
      for (const [key, value] of Object.entries(service.env))
        if (key.startsWith('HEADWATER_TEST_')) process.env[key] = value;
      pipeline = await openPipeline(temporal, {
        sandbox: { objects: { Contact: CONTACTS } },
        more: { profiles: {} },
        env: service.env,
        syncMsMax: TEST_MS_MAX,
      });
      await pipeline.start();
      // The second version of a profile: what the newest rows alone would not tell.
      for (const title of ['', 'Captain']) {
        if (title !== '') pipeline.sandbox.data.update('Contact', 3, { Title: title });
        pipeline.pass();
        expect((await pipeline.sync()).outcome).toBe('ok');
      }
    }, TEST_MS_MAX);

    afterAll(async () => {
      await pipeline.close();
      await service.stop();
    });

    async function inCopy(sql: string): Promise<unknown[][]> {
      if (service.rows !== undefined) return await service.rows(sql);
      const loaded = await loadConfig({ path: pipeline.loaded.path, home: pipeline.home });
      const part = warehouseNamed(loaded.config, 'later');
      return (await withWarehouse(loaded, (warehouse) => warehouse.query(sql, 10_000), part)).rows;
    }
    const inMain = async (sql: string) => (await pipeline.rows(sql)).map((row) => Object.values(row));
    const plain = (rows: unknown[][]) => JSON.parse(JSON.stringify(rows)) as unknown[][];

    /** I7: rows, receipts and golden tables of the copy say what those of the main one say. */
    async function expectLevel(): Promise<void> {
      const asked = [
        'SELECT id, last_name, title, _deleted FROM crm.contact ORDER BY id',
        'SELECT object, attempt, receipt FROM _headwater.intervals ORDER BY seq',
        'SELECT count(*) FROM golden.contact',
        'SELECT _profile, _version, _deleted, last_name FROM golden.contact_history ORDER BY 1, 2',
        'SELECT count(*) FROM golden.profile_events',
      ];
      for (const sql of asked) {
        const [main, copy] = [plain(await inMain(sql)), plain(await inCopy(sql))];
        expect([sql, normal(copy)]).toEqual([sql, normal(main)]);
      }
    }

    test(
      'migrate brings all of a DuckDB to it, rows, receipts and golden tables, and proves that nothing is left',
      async () => {
        await pipeline.stop();
        const { path } = pipeline.loaded;
        const { warehouse, ...rest } = JSON.parse(readFileSync(path, 'utf8'));
        const warehouses = { duckdb: warehouse, later: service.part };
        writeFileSync(path, JSON.stringify({ ...rest, warehouses }));
        await pipeline.start();
        const moved = await headwater(pipeline, 'npx headwater migrate crm --to later --yes --json');
        expect([moved.code, moved.stderr]).toEqual([0, expect.any(String)]);
        expect(JSON.parse(moved.stdout).left).toEqual([]);
        await expectLevel();
      },
      TEST_MS_MAX,
    );

    test(
      'a run brings an update and a deletion to both',
      async () => {
        pipeline.sandbox.data.update('Contact', 1, { Title: 'Otter' });
        pipeline.sandbox.data.delete('Contact', 2);
        pipeline.pass();
        const run = await pipeline.sync();
        expect([run.outcome, run.message, run.run?.behind]).toEqual(['ok', '', undefined]);
        expect(lineOf(run)).toMatchObject({ state: 'landed', verdict: 'proven', updated: 2, deleted: 1 });
        expect(normal(plain(await inCopy("SELECT count(*) FROM crm.contact WHERE title = 'Otter'")))).toEqual(
          [['1']],
        );
        await expectLevel();
      },
      TEST_MS_MAX,
    );

    test(
      'whoever is erased is gone from both',
      async () => {
        const id = pipeline.sandbox.data.idOf('Contact', 30);
        const erased = await headwater(pipeline, `erase crm:Contact:${id} --reason request --yes`);
        expect([erased.code, erased.stdout]).toEqual([0, expect.stringContaining('Erased')]);
        for (const at of [inMain, inCopy])
          expect(await at(`SELECT id FROM crm.contact WHERE id = '${id}'`)).toEqual([]);
        await expectLevel();
      },
      TEST_MS_MAX,
    );
  });
}

/** Numbers and JSON come as text from some drivers; a copy's receipt has its own destination part. */
function normal(rows: unknown[][]): unknown[][] {
  return rows.map((row) =>
    row.map((value) => {
      if (typeof value === 'number') return String(value);
      const parsed: unknown = typeof value === 'string' && value.startsWith('{') ? JSON.parse(value) : value;
      return parsed;
    }),
  );
}
