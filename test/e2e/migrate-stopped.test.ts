/** `migrate` that nobody looks at any more, whose worker is killed in the middle, asked for again; and a target without rights. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { until } from '../support/fast-lane.ts';
import { headwater } from '../support/headwater.ts';
import { openPipeline, type Pipeline } from '../support/pipeline.ts';
import { administer, newDatabase } from '../support/postgres-warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const TEST_MS_MAX = 120_000;
const CONTACTS = 120;
const BIN = join(import.meta.dirname, '..', '..', 'bin', 'headwater.js');

let temporal: TestTemporal;
let postgres: TestPostgres;
let pipeline: Pipeline;
let url: string;

beforeAll(async () => {
  [temporal, postgres] = await Promise.all([withTemporal(), startPostgres()]);
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: CONTACTS } },
    syncMsMax: TEST_MS_MAX,
  });
  url = await newDatabase(postgres);
  await administer(postgres.url, "CREATE ROLE poor LOGIN PASSWORD 'no-secret'");
  const poor = new URL(await newDatabase(postgres));
  [poor.username, poor.password] = ['poor', 'no-secret'];
  Object.assign(pipeline.env, { HEADWATER_TEST_LATER: url, HEADWATER_TEST_POOR: poor.href });
  await pipeline.start();
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  await pipeline.stop();
  const { warehouse, ...rest } = JSON.parse(readFileSync(pipeline.loaded.path, 'utf8'));
  const at = (env: string) => ({ kind: 'postgres', url: { $secret: { env } } });
  const warehouses = {
    duckdb: warehouse,
    later: at('HEADWATER_TEST_LATER'),
    poor: at('HEADWATER_TEST_POOR'),
  };
  writeFileSync(pipeline.loaded.path, JSON.stringify({ ...rest, warehouses }));
}, TEST_MS_MAX);

afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
  await postgres.stop();
});

const migration = (sink: string) => pipeline.client.workflow.getHandle(`migrate/crm/${sink}`);
const ROWS = 'SELECT id, last_name, _version::text AS version FROM crm.contact ORDER BY id';

test(
  'Ctrl-C leaves it running, a worker that dies in it does not lose it, and asking again ends with what is proven',
  async () => {
    const words = ['migrate', 'crm', '--to', 'later', '--yes', '--config', pipeline.loaded.path];
    const child = spawn(process.execPath, [BIN, ...words], {
      env: { ...process.env, ...pipeline.env, NO_COLOR: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (part: Buffer) => (said += part.toString('utf8')));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const status = () =>
      migration('later')
        .describe()
        .then(({ status: { name } }) => name, String);
    await until(status, (name) => name === 'RUNNING');
    child.kill('SIGINT');
    expect([await ended, said]).toEqual([
      130,
      expect.stringContaining('The migration goes on. Cancel it with'),
    ]);

    const dying = await pipeline.start({ HEADWATER_FAILPOINT: 'load:done' });
    expect(await dying.ended).toBe('SIGKILL');
    expect(await status()).toBe('RUNNING');
    await pipeline.start();
    const again = await headwater(pipeline, 'npx headwater migrate crm --to later --yes --json');
    expect([again.code, JSON.parse(again.stdout).left]).toEqual([0, []]);
    const rows = await administer(url, ROWS);
    expect(rows).toHaveLength(CONTACTS);
    expect(rows).toEqual(await pipeline.rows(ROWS));
  },
  TEST_MS_MAX,
);

test(
  'a target without rights: exit code 1, the reason without the password, and the others are as before',
  async () => {
    const told = await headwater(pipeline, 'npx headwater migrate crm --to poor --yes');
    expect([told.code, told.stdout + told.stderr]).toEqual([1, expect.stringContaining('WAREHOUSE_')]);
    expect(told.stdout + told.stderr).not.toContain('no-secret');
    pipeline.sandbox.data.update('Contact', 1, { LastName: 'Meanwhile' });
    pipeline.pass();
    const run = await pipeline.sync();
    expect([run.outcome, run.run?.behind?.map(({ sink }) => sink)]).toEqual(['behind', ['poor']]);
    expect(await administer(url, ROWS)).toEqual(await pipeline.rows(ROWS));
  },
  TEST_MS_MAX,
);
