import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { fakesnowMissing, openSnowflake, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import { startWire, type SnowflakeWire } from '../support/snowflake-wire.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal, T, tally } from './warehouse-harness.ts';

const missing = await fakesnowMissing();
const when = missing !== undefined ? test.skip : test;
if (missing !== undefined) process.stderr.write(`SKIPPED: what only Snowflake has, ${missing}\n`);

let server: TestSnowflake;
let bench: Bench;
let wire: SnowflakeWire;
let warehouse: Warehouse;

beforeAll(async () => {
  if (missing !== undefined) return;
  server = await startFakesnow();
  bench = await openBench();
  wire = await startWire(server.url);
  warehouse = await openSnowflake(wire.url, bench.folder);
}, 60_000);
afterAll(async () => {
  if (missing !== undefined) return;
  await warehouse.close();
  await wire.stop();
  await server.stop();
  await bench.close();
});

const rows = async (sql: string) => (await warehouse.query(sql, 100)).rows;

when(
  'golden rows: newer versions replace older ones, of another epoch too; the view gains columns',
  async () => {
    const string = { kind: 'string' } as const;
    const own = (more: string[]): OwnTable => ({
      ...{ name: 'contact', key: ['_profile', '_version'], version: '_version' },
      columns: ['_profile', '_epoch', ...more]
        .map((name) => ({ name, type: string as OwnTable['columns'][number]['type'] }))
        .concat([
          { name: '_version', type: { kind: 'integer' } },
          { name: '_at', type: { kind: 'timestamp' } },
          { name: 'tags', type: { kind: 'json' } },
        ]),
      history: { view: 'contact_history', of: '_profile', from: '_at', order: '_version' },
    });
    const file = join(bench.folder, 'own.ndjson');
    const write = (lines: object[]) =>
      writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const line = { _profile: 'p', _epoch: 'e1', name: 'a', _at: T(1), tags: ['x', { y: 1 }] };
    await write([
      { ...line, _version: 1 },
      { ...line, _version: 2, name: 'b', _at: T(2) },
    ]);
    await warehouse.mergeOwn([{ table: own(['name']), file }], signal);
    await write([{ ...line, _version: 2, name: 'c', city: 'x', _at: T(2), _epoch: 'e2' }]);
    for (let twice = 0; twice < 2; twice += 1)
      await warehouse.mergeOwn([{ table: own(['name', 'city']), file }], signal);
    expect(
      await rows('SELECT name, city, "current", tags FROM golden.contact_history ORDER BY _version'),
    ).toEqual([
      ['a', null, false, '["x",{"y":1}]'],
      ['c', 'x', true, '["x",{"y":1}]'],
    ]);
    await warehouse.dropOtherEpochs([own([])], 'e2');
    expect(await rows('SELECT name FROM golden.contact')).toEqual([['c']]);
    const gone = { records: [], texts: [], own: [{ table: 'contact', where: { _profile: ['p'] } }] };
    expect(await warehouse.purge(gone, { dryRun: false })).toEqual([{ table: 'golden.contact', rows: 1 }]);
  },
);

when('an erasure goes by the count, binds what it looks for, and says where rows may still be', async () => {
  await warehouse.migrate('erase', NAME, EVOLVE);
  const csv = [
    row('1', 1, 'Zanarycorvinho'),
    row('2', 1, 'b'),
    [null, T(1), 'false', 'about ZANARYCORVINHO'],
  ];
  const window = windowOf('erase', { connection: 'erase' });
  await warehouse.load(await bench.batch(NAME, { csv }, { window, id: 'b_erase' }), signal);
  const about = {
    records: [
      { connection: 'erase', object: 'Contact', table: 'contact', key: 'id', records: ['1', 'nobody-9'] },
    ],
    texts: ['zanarycorvinho'],
    own: [],
  };
  const counted = await warehouse.purge(about, { dryRun: true });
  expect(counted).toEqual([
    { table: 'erase.contact', rows: 1 },
    { table: '_headwater.quarantine', rows: 1 },
  ]);
  expect(await warehouse.purge(about, { dryRun: false })).toEqual(counted);
  expect(await warehouse.purge(about, { dryRun: false })).toEqual([]);
  expect(JSON.stringify(wire.statements)).not.toMatch(/zanarycorvinho|nobody-9/i);
  expect((await warehouse.scrub()).join(' ')).toMatch(/Time Travel.*Fail-safe/);
  expect(await warehouse.count('erase', 'contact')).toBe(1);
  const table = { connection: 'erase', table: 'contact', key: 'id', before: T(10), limit: 2 };
  expect(await warehouse.olderThan({ ...table, offset: 0 })).toEqual(['2']);
  expect(await warehouse.olderThan({ ...table, offset: 1 })).toEqual([]);
});

const narrow = schemaOf([field('N', { kind: 'decimal', precision: 10, scale: 2 })], { table: 'deal' });
const wide = schemaOf([field('N', { kind: 'decimal', precision: 18, scale: 6 })], { table: 'deal' });

when.each(['ADD', 'RENAME COLUMN "N" TO', 'UPDATE', 'RENAME COLUMN "N__WIDE"', 'DROP'])(
  'I6: a widening that ends at %s loses no value, and the next run ends it',
  async (step) => {
    const name = `wide_${step.replaceAll(/\W/g, '').toLowerCase()}`;
    await warehouse.migrate(name, narrow, EVOLVE);
    const window = windowOf(`w_${name}`, { connection: name });
    const csv = [['1', T(1), 'false', '12345678.90']];
    await warehouse.load(await bench.batch(narrow, { csv }, { window, id: `b_${name}` }), signal);
    const refused = { error: { code: '000603', state: 'XX000', message: 'internal' } };
    wire.reply = (sql) =>
      (sql.includes(step) && sql.includes('__WIDE')) || (sql.includes(step) && sql.includes('__NARROW'))
        ? refused
        : 'forward';
    expect(await code(warehouse.migrate(name, wide, EVOLVE))).toBe('WAREHOUSE_UNAVAILABLE');
    wire.reply = () => 'forward';
    await warehouse.migrate(name, wide, EVOLVE);
    expect(await rows(`SELECT * FROM ${name}.deal`)).toEqual([
      expect.arrayContaining(['1', '12345678.900000']),
    ]);
    const found = await rows(
      `SELECT column_name, numeric_scale FROM INFORMATION_SCHEMA.COLUMNS WHERE table_schema = '${name.toUpperCase()}' AND column_name LIKE 'N%'`,
    );
    expect(found).toEqual([['N', '6']]);
  },
);

when('what the server does not take is set aside, and its row lands', async () => {
  const schema = schemaOf([field('Born', { kind: 'date' }), field('Text'), field('Tree', { kind: 'json' })], {
    table: 'odd',
  });
  await warehouse.migrate('odd', schema, EVOLVE);
  const window = windowOf('w_odd', { connection: 'odd' });
  const csv = [
    ['1', T(1), 'false', '2026-02-03', 'a', '{"a":1}'],
    ['2', T(1), 'false', '2026-02-03', 'b', ''],
  ];
  const request = await bench.batch(schema, { csv }, { window, id: 'b_odd' });
  // The shaper takes no such day; another one might.
  const [shaped = ''] = request.files.rows;
  const far = "CASE WHEN id = '1' THEN DATE '12026-02-03' ELSE born END AS born";
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run(
    `COPY (SELECT * REPLACE (${far}) FROM read_parquet('${shaped}')) TO '${shaped}.far' (FORMAT parquet)`,
  );
  connection.closeSync();
  request.files.rows = [`${shaped}.far`];
  expect(tally(await warehouse.load(request, signal)).inserted).toBe(2);
  expect(await rows('SELECT id, born, text FROM odd.odd ORDER BY id')).toEqual([
    ['1', null, 'a'],
    ['2', '2026-02-03', 'b'],
  ]);
  const aside = "SELECT record, field, reason FROM _headwater.quarantine WHERE connection = 'odd'";
  expect(await rows(aside)).toEqual([['1', 'Born', 'Snowflake does not take this value']]);
});

when('functions that act on sessions, files in stages and sequences are refused', async () => {
  for (const sql of [
    "SELECT SYSTEM$CANCEL_QUERY('1')",
    'SELECT * FROM @_headwater.loads',
    "SELECT * FROM '@_headwater.loads'",
    'SELECT s.nextval FROM crm.s AS s',
    'SELECT 1) AS x; DROP TABLE crm.odd; --',
    'SELECT 1 /* ; */; SELECT 2',
  ])
    expect([sql, await code(warehouse.query(sql, 1))]).toEqual([sql, 'INPUT_INVALID']);
  expect(await rows("SELECT 'a; b -- c' AS x, '@y' AS y")).toEqual([['a; b -- c', '@y']]);
});
