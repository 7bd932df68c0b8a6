import { writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import { fakesnowMissing, openSnowflake, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import { startWire, type Reply, type SnowflakeWire } from '../support/snowflake-wire.ts';
import { openBench, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, none, row, signal, tally } from './warehouse-harness.ts';

const missing = await fakesnowMissing();
const when = missing !== undefined ? test.skip : test;
if (missing !== undefined) process.stderr.write(`SKIPPED: faults of the warehouse Snowflake, ${missing}\n`);

let server: TestSnowflake;
let bench: Bench;
let wire: SnowflakeWire;
let warehouse: Warehouse;
const database = () => `FAULTS_${Date.now()}`;

beforeAll(async () => {
  if (missing !== undefined) return;
  server = await startFakesnow();
  bench = await openBench();
}, 60_000);
afterAll(async () => {
  if (missing !== undefined) return;
  await server.stop();
  await bench.close();
});
beforeEach(async () => {
  if (missing !== undefined) return;
  wire = await startWire(server.url);
  warehouse = await openSnowflake(wire.url, bench.folder, { database: database(), statementMsMax: 3_000 });
  await warehouse.migrate('crm', NAME, EVOLVE);
  await warehouse.load(
    await bench.batch(
      NAME,
      { csv: [row('1', 1, 'old'), row('2', 1, 'kept')] },
      { window: windowOf('w0'), id: 'b0' },
    ),
    signal,
  );
});
afterEach(async () => {
  if (missing !== undefined) return;
  wire.reply = () => 'forward';
  await warehouse.close();
  await wire.stop();
});

/** The first statement that begins so gets this answer, each other one the emulator's. */
const once = (start: string, reply: Reply): void => {
  let due = true;
  wire.reply = (sql) => {
    if (!due || !sql.startsWith(start)) return 'forward';
    due = false;
    return reply;
  };
};
const change = (): Promise<LoadRequest> =>
  bench.batch(NAME, { csv: [row('1', 2, 'new'), row('3', 2, 'more')] }, { window: windowOf('w1'), id: 'b1' });
const rows = async () => (await warehouse.query('SELECT id, name FROM crm.contact ORDER BY id', 9)).rows;
const left = async () =>
  (await warehouse.query("SELECT table_name FROM INFORMATION_SCHEMA.TABLES WHERE table_name LIKE 'LOAD%'", 9))
    .rows;
const batches = async () =>
  (await warehouse.query('SELECT batch FROM _headwater.batches ORDER BY batch', 9)).rows.flat();

const BEFORE = [
  ['1', 'old'],
  ['2', 'kept'],
];
const AFTER = [
  ['1', 'new'],
  ['2', 'kept'],
  ['3', 'more'],
];

const refused: Reply = { error: { code: '000603', state: 'XX000', message: 'internal' } };
/** Every kind of statement of a load, but for the stage that a session makes once. */
const STEPS = [
  ...['CREATE TRANSIENT TABLE', 'PUT ', 'COPY INTO', 'BEGIN', 'UPDATE "_HEADWATER"."LOCK'],
  ...['SELECT "ACTION"', 'MERGE INTO', 'INSERT INTO "_HEADWATER"."BATCHES"', 'COMMIT'],
];

when.each(STEPS)(
  'I2: a load that fails at %s leaves nothing behind, and the same batch lands later',
  async (step) => {
    const request = await change();
    once(step, refused);
    expect(await code(warehouse.load(request, signal))).toBe('WAREHOUSE_UNAVAILABLE');
    wire.reply = () => 'forward';
    expect([await rows(), await batches(), await left()]).toEqual([BEFORE, ['b0'], []]);
    expect(tally(await warehouse.load(request, signal))).toEqual({ ...none, inserted: 1, updated: 1 });
    expect([await rows(), await batches(), await left()]).toEqual([AFTER, ['b0', 'b1'], []]);
  },
);

when(
  'I2: when the answer to the commit is lost, the batch is there once',
  async () => {
    const request = await change();
    once('COMMIT', 'unheard');
    const first = await warehouse.load(request, signal).then(tally, () => undefined);
    expect(first === undefined || first.updated === 1).toBe(true);
    wire.reply = () => 'forward';
    expect(tally(await warehouse.load(request, signal))).toEqual({
      ...{ ...none, inserted: 1, updated: 1 },
      alreadyApplied: true,
    });
    expect([await rows(), await batches()]).toEqual([AFTER, ['b0', 'b1']]);
  },
  30_000,
);

when('a copy that takes fewer rows than were sent is no success', async () => {
  once('COPY INTO', { columns: ['file', 'status', 'rows_loaded'], rows: [['f', 'PARTIALLY_LOADED', '1']] });
  expect(await code(warehouse.load(await change(), signal))).toBe('WAREHOUSE_UNAVAILABLE');
  expect(await rows()).toEqual(BEFORE);
});

when('I2: a merge that meets what another program wrote meanwhile is rolled back', async () => {
  once('MERGE INTO', { columns: ['number of rows inserted', 'number of rows updated'], rows: [['0', '1']] });
  const error = await warehouse.load(await change(), signal).catch((failed: unknown) => failed);
  expect(error).toMatchObject({ code: 'WAREHOUSE_UNAVAILABLE' });
  expect(String(error)).toContain('another program wrote');
  expect(await rows()).toEqual(BEFORE);
});

when('a right that is missing is told with the grant that gives it', async () => {
  wire.reply = (sql) =>
    sql.startsWith('CREATE TRANSIENT SCHEMA')
      ? {
          error: {
            code: '003001',
            state: '42501',
            message: 'Insufficient privileges to operate on database',
          },
        }
      : 'forward';
  const results = await warehouse.check();
  const schemas = results.find((result) => result.check === 'schemas');
  expect(schemas).toMatchObject({ ok: false, detail: expect.stringContaining('Insufficient privileges') });
  const said = /^GRANT USAGE, CREATE SCHEMA ON DATABASE "FAULTS_\d+" TO ROLE ".+";$/;
  expect(schemas?.remedy).toMatch(said);
  // Where an administrator has made them, what is left is proven in Headwater's own.
  const file = `${bench.folder}/own.ndjson`;
  await writeFile(file, '{"_profile":"p","_epoch":"e"}\n');
  const columns = ['_profile', '_epoch'].map((name) => ({ name, type: { kind: 'string' as const } }));
  const table = { name: 'contact', key: ['_profile'], version: null, columns };
  await warehouse.mergeOwn([{ table, file }], signal);
  expect((await warehouse.check()).filter(({ ok }) => !ok)).toEqual([]);
});

when('I5: no statement holds what the rows hold, and each tag names its window', async () => {
  const request = await bench.batch(
    NAME,
    { csv: [row('1', 5, 'Zanarycorvinho')] },
    { window: windowOf('w9'), id: 'b9' },
  );
  await warehouse.load(request, signal);
  const merge = wire.statements.findLast(({ sql }) => sql.startsWith('MERGE'));
  expect(JSON.parse(merge?.tag ?? '{}')).toMatchObject({ window: 'w9', batch: 'b9', run: 'w r' });
  expect(JSON.stringify(wire.statements)).not.toContain('Zanarycorvinho');
});
