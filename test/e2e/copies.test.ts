/** Several warehouses from one extract: DuckDB, and a Postgres that is away for a while, then catches up from the stage. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withWarehouse } from '../../cli/warehouse.ts';
import { warehouseNamed } from '../../config/warehouses.ts';
import { headwater } from '../support/headwater.ts';
import { lineOf, logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer, newDatabase } from '../support/postgres-warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { patient } from '../support/patience.ts';

const CONTACTS = 400;
const TEST_MS_MAX = 120_000;
const CATCH_UP_MS_MAX = patient(60_000);

let temporal: TestTemporal;
let postgres: TestPostgres;
let pipeline: Pipeline;

beforeAll(async () => {
  [temporal, postgres] = await Promise.all([withTemporal(), startPostgres()]);
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    connection: { objects: ['Contact', 'Lead'] },
    more: {
      warehouse: undefined,
      warehouses: {
        main: { kind: 'duckdb', path: 'warehouse.duckdb' },
        copy: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_COPY' } } },
      },
      profiles: {},
    },
    env: { HEADWATER_TEST_COPY: postgres.url },
    syncMsMax: TEST_MS_MAX,
  });
  await pipeline.start();
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
  await postgres.stop();
});

const ROWS =
  'SELECT id, last_name, _version::text AS version, _deleted AS deleted FROM crm.contact ORDER BY id';
const mainRows = async () => await pipeline.rows(ROWS);
const copyRows = async () => await administer(postgres.url, ROWS);
const INTERVALS = 'SELECT "window" AS w FROM _headwater.intervals ORDER BY 1';

/** I7: what each warehouse itself says of the windows that it holds. */
async function intervals(): Promise<{ main: unknown[]; copy: unknown[] }> {
  return { main: await pipeline.rows(INTERVALS), copy: await administer(postgres.url, INTERVALS) };
}

function rename(count: number, name: string): void {
  for (let index = 1; index <= count; index += 1)
    pipeline.sandbox.data.update('Contact', index, { LastName: name });
  pipeline.pass();
}

test(
  'I2, I7: one extract lands in both, with receipts and golden tables of their own',
  async () => {
    pipeline.pass();
    const first = await pipeline.sync();
    expect([first.outcome, first.message]).toEqual(['ok', '']);
    expect(lineOf(first)).toMatchObject({ state: 'landed', verdict: 'proven', rows: CONTACTS });
    expect(await pipeline.oracle('Contact')).toEqual([]);
    expect(await copyRows()).toEqual(await mainRows());
    const { main, copy } = await intervals();
    expect(copy).toEqual(main);
    expect(main).toHaveLength(2);
    const [receipt] = await administer(
      postgres.url,
      "SELECT receipt::json #>> '{destination,present}' AS present FROM _headwater.intervals WHERE object = 'Contact'",
    );
    expect(receipt).toEqual({ present: String(CONTACTS) });
    const golden = 'SELECT count(*)::text AS n FROM golden.contact';
    expect(await administer(postgres.url, golden)).toEqual(await pipeline.rows(golden));
  },
  TEST_MS_MAX,
);

test(
  'one that is away holds up neither the run nor the other, is named, and catches up from the stage',
  async () => {
    await postgres.kill();
    rename(7, 'Away');
    const calls = pipeline.sandbox.stats;
    const run = await pipeline.sync();
    expect(run.outcome).toBe('behind');
    expect(run.run?.behind).toEqual([
      expect.objectContaining({ sink: 'copy', code: 'WAREHOUSE_UNAVAILABLE' }),
    ]);
    expect(lineOf(run)).toMatchObject({ state: 'landed', updated: 7 });
    expect(await pipeline.oracle('Contact')).toEqual([]);
    const told = await headwater(pipeline, 'npx headwater status');
    expect(told.stdout).toContain('copy is behind');
    const read = calls.report().calls['rest.queryAll'];
    await postgres.restart();
    // The next run delivers what the copy lacks, whether its own workflow was there first or not.
    const deadline = Date.now() + CATCH_UP_MS_MAX;
    const waiting = () => pipeline.ledger((ledger) => ledger.undelivered('copy', 'crm'));
    while ((await waiting()).length > 0 && Date.now() < deadline) await sleep(250);
    expect(await waiting()).toEqual([]);
    expect(calls.report().calls['rest.queryAll']).toBe(read);
    expect(await copyRows()).toEqual(await mainRows());
    const { main, copy } = await intervals();
    expect(copy).toEqual(main);
    expect(logsOf(pipeline.home)).not.toContain(new URL(postgres.url).password);
  },
  TEST_MS_MAX,
);

test(
  'what an audit repairs is repaired in both; whoever is erased is gone from both, and waits for the one that is away',
  async () => {
    const id = (index: number) => pipeline.sandbox.data.idOf('Contact', index);
    const gone = id(20);
    // Without a trace, so no window ever tells it.
    pipeline.sandbox.data.purge('Contact', 20);
    pipeline.pass();
    const audited = await headwater(pipeline, 'npx headwater audit crm Contact --json');
    expect([audited.code, audited.stderr]).toEqual([0, expect.any(String)]);
    const state = `SELECT _deleted AS deleted FROM crm.contact WHERE id = '${gone}'`;
    expect(await pipeline.rows(state)).toEqual([{ deleted: true }]);
    expect(await administer(postgres.url, state)).toEqual([{ deleted: true }]);

    await postgres.kill();
    const erasing = headwater(pipeline, `erase crm:Contact:${id(30)} --reason request --yes`);
    const raw = `SELECT id FROM crm.contact WHERE id = '${id(30)}'`;
    await sleep(3_000);
    // The main one last: it keeps the row until every other has purged it.
    expect(await pipeline.rows(raw)).toHaveLength(1);
    await postgres.restart();
    const erased = await erasing;
    expect([erased.code, erased.stdout]).toEqual([0, expect.stringContaining('Erased')]);
    expect(await pipeline.rows(raw)).toEqual([]);
    expect(await administer(postgres.url, raw)).toEqual([]);
    expect((await pipeline.rows('SELECT count(*)::text AS n FROM golden.contact')).at(0)).toEqual(
      (await administer(postgres.url, 'SELECT count(*)::text AS n FROM golden.contact')).at(0),
    );
  },
  TEST_MS_MAX,
);

test(
  'the main one away: what is read is staged and proven, the other has it, and the main one gets it later',
  async () => {
    const other = await startPostgres();
    const turned = await openPipeline(temporal, {
      sandbox: { objects: { Contact: 50 } },
      more: {
        warehouse: undefined,
        warehouses: {
          main: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_MAIN' } } },
          copy: { kind: 'duckdb', path: 'copy.duckdb' },
        },
      },
      env: { HEADWATER_TEST_MAIN: other.url },
      syncMsMax: TEST_MS_MAX,
    });
    process.env['HEADWATER_TEST_MAIN'] = other.url;
    try {
      await turned.start();
      turned.pass();
      expect((await turned.sync()).outcome).toBe('ok');
      await other.kill();
      turned.sandbox.data.update('Contact', 1, { LastName: 'Meanwhile' });
      turned.pass();
      const run = await turned.sync();
      expect(run.outcome).toBe('behind');
      expect(run.run?.behind).toEqual([expect.objectContaining({ sink: 'main' })]);
      expect(lineOf(run)).toMatchObject({
        state: 'staged',
        code: 'WAREHOUSE_UNAVAILABLE',
        verdict: 'proven',
      });
      const lacks = (sink: string) => turned.ledger((ledger) => ledger.undelivered(sink, 'crm'));
      expect([(await lacks('main')).length, (await lacks('copy')).length]).toEqual([1, 0]);
      await other.restart();
      expect((await turned.sync()).outcome).toBe('ok');
      expect(await lacks('main')).toEqual([]);
      expect(await turned.oracle('Contact')).toEqual([]);
      await turned.stop();
      const held = await withWarehouse(
        turned.loaded,
        (warehouse) => warehouse.query("SELECT last_name FROM crm.contact WHERE last_name = 'Meanwhile'", 10),
        warehouseNamed(turned.loaded.config, 'copy'),
      );
      expect(held.rows).toEqual([['Meanwhile']]);
    } finally {
      await turned.close();
      await other.stop();
    }
  },
  TEST_MS_MAX,
);

test(
  'a warehouse that is added later: preview, then what is staged lands and the rest is read again; a second asking finds nothing',
  async () => {
    const grown = await openPipeline(temporal, {
      sandbox: { objects: { Contact: 120, Lead: 30 } },
      connection: { objects: ['Contact', 'Lead'] },
      syncMsMax: TEST_MS_MAX,
    });
    const file = grown.loaded.path;
    const url = await newDatabase(postgres);
    grown.env['HEADWATER_TEST_LATER'] = url;
    try {
      await grown.start();
      grown.pass();
      expect((await grown.sync()).outcome).toBe('ok');
      // Of Contact the stage holds nothing any more.
      for (const { id } of await grown.ledger((ledger) =>
        ledger.windows({ connection: 'crm', object: 'Contact', limit: 10 }),
      ))
        rmSync(join(grown.home, 'stage', 'windows', id), { recursive: true });
      grown.sandbox.data.delete('Contact', 5);
      grown.pass();
      expect((await grown.sync()).outcome).toBe('ok');
      await grown.stop();
      const { warehouse, ...rest } = JSON.parse(readFileSync(file, 'utf8'));
      const later = { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_LATER' } } };
      // The old one goes on under the name that the ledger knows.
      writeFileSync(file, JSON.stringify({ ...rest, warehouses: { duckdb: warehouse, later } }));
      await grown.start();

      const asked = await headwater(grown, 'npx headwater migrate crm --to later --dry-run --json');
      expect([asked.code, asked.stderr]).toEqual([0, expect.any(String)]);
      const { plan, left } = JSON.parse(asked.stdout);
      expect(plan.objects).toEqual([
        expect.objectContaining({ object: 'Contact', way: 'read', readRows: 120 }),
        expect.objectContaining({ object: 'Lead', way: 'stage', stagedRows: 30 }),
      ]);
      expect(left).toEqual(['Contact', 'Lead']);
      expect((await headwater(grown, 'npx headwater status')).stdout).toContain('later is behind: 2 objects');
      expect((await headwater(grown, 'npx headwater migrate crm --to latre')).code).toBe(2);

      const done = await headwater(grown, 'npx headwater migrate crm --to later --yes --json');
      expect([done.code, JSON.parse(done.stdout).left]).toEqual([0, []]);
      expect(await administer(url, ROWS)).toEqual(await grown.rows(ROWS));
      expect(await administer(url, 'SELECT count(*)::int AS n FROM crm.lead')).toEqual([{ n: 30 }]);
      expect((await headwater(grown, 'npx headwater status')).stdout).toContain(
        'later has everything that is proven',
      );
      const again = await headwater(grown, 'npx headwater migrate crm --to later');
      expect([again.code, again.stdout]).toEqual([
        0,
        expect.stringContaining('later has everything that is proven'),
      ]);
    } finally {
      await grown.close();
    }
  },
  TEST_MS_MAX,
);
