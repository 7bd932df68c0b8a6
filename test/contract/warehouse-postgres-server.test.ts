/** What only Postgres has: its limits of names and values, its rights, its free space. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { administer, newDatabase, openPostgres } from '../support/postgres-warehouse.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal, T } from './warehouse-harness.ts';

let server: TestPostgres;
let bench: Bench;
let url: string;
let warehouse: Warehouse;
beforeAll(async () => {
  [server, bench] = await Promise.all([startPostgres(['-c', 'fsync=off']), openBench()]);
  url = await newDatabase(server);
  warehouse = await openPostgres(url, bench.folder);
}, 60_000);
afterAll(async () => {
  await warehouse.close();
  await bench.close();
  await server.stop();
});

const rows = async (sql: string): Promise<unknown[][]> => (await warehouse.query(sql, 1_000)).rows;

test('a value that Postgres cannot hold is set aside, its row and all others land, and the receipt holds', async () => {
  const schema = schemaOf([field('Name'), field('Tree', { kind: 'json' }), field('Day', { kind: 'date' })], {
    table: 'odd',
  });
  await warehouse.migrate('crm', schema, EVOLVE);
  const record = (Id: string, Name: string, Tree: unknown, Day: string) => ({
    Id,
    Stamp: T(1),
    Deleted: false,
    Name,
    Tree,
    Day,
  });
  const request = await bench.batch(
    schema,
    {
      json: [
        record('1', 'a\0b', { a: 'x' }, '2020-01-01'),
        record('2', '', { n: '\0' }, '0001-01-01'),
        record('3', 'c', null, '2020-01-03'),
      ],
    },
    { window: windowOf('odd'), id: 'b_odd' },
  );
  const { inserted } = await warehouse.load(request, signal);
  expect(inserted).toBe(3);
  expect(await rows('SELECT id, name, tree::text, day::text FROM crm.odd ORDER BY id')).toEqual([
    ['1', 'a\ufffdb', '{"a":"x"}', '2020-01-01'],
    ['2', '', String.raw`{"n":"\u0000"}`, '0001-01-01'],
    ['3', 'c', null, '2020-01-03'],
  ]);
  expect(
    await rows("SELECT record, field, value, reason FROM _headwater.quarantine WHERE batch = 'b_odd'"),
  ).toEqual([['1', 'Name', 'a\ufffdb', 'Postgres has no NUL character; it was replaced']]);
  expect(await warehouse.verify(request)).toEqual({ present: 3, missing: 0 });
  const compared = await warehouse.audit?.compare(request, []);
  expect(compared?.map(({ state }) => state)).toEqual(['same', 'same', 'same']);
});

test('texts of 4 MB, emoji and JSON as it was written come back equal', async () => {
  const schema = schemaOf([field('Name'), field('Tree', { kind: 'json' })], { table: 'large' });
  await warehouse.migrate('crm', schema, EVOLVE);
  const long = '😀"x,\n'.repeat(500_000);
  const json = [{ Id: '1', Stamp: T(1), Deleted: false, Name: long, Tree: { b: 1, a: [1.5, 'é'] } }];
  const request = await bench.batch(schema, { json }, { window: windowOf('large'), id: 'b_large' });
  await warehouse.load(request, signal);
  const [[name, tree] = []] = await rows('SELECT name, tree FROM crm.large');
  expect(name === long).toBe(true);
  expect(tree).toBe('{"b":1,"a":[1.5,"é"]}');
});

test('names longer than 63 bytes, and names of system columns, get names of their own; those that would meet are refused', async () => {
  const first = 'é'.repeat(40);
  const schema = schemaOf([field(first), field(`${first}2`), field('xmin'), field('ctid')], {
    table: 't'.repeat(80),
  });
  await warehouse.migrate('crm', schema, EVOLVE);
  expect(await warehouse.migrate('crm', schema, EVOLVE)).toEqual([]);
  const csv = [['1', T(1), 'false', 'a', 'b', 'c', 'd']];
  await warehouse.load(
    await bench.batch(schema, { csv }, { window: windowOf('names'), id: 'b_names' }),
    signal,
  );
  expect(await warehouse.count('crm', schema.table)).toBe(1);
  const named = await rows(
    "SELECT column_name FROM information_schema.columns WHERE table_name LIKE 'ttt%' AND column_name NOT LIKE '\\_%'",
  );
  expect(named.flat()).toEqual(expect.arrayContaining(['xmin_', 'ctid_']));
  expect(new Set(named.flat()).size).toBe(7);
  const clash = schemaOf([field('xmin'), field('xmin_')], { table: 'clash' });
  expect(await code(warehouse.migrate('crm', clash, EVOLVE))).toBe('WAREHOUSE_REJECTED');
});

test('functions that reach files, sessions or settings are refused', async () => {
  for (const sql of [
    "SELECT pg_read_file('/etc/hostname')",
    `SELECT "pg_read_file"('/etc/hostname')`,
    'SELECT U&"pg\\005fread_file"(\'x\')',
    'SELECT pg_terminate_backend(1)',
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT query_to_xml('DELETE FROM crm.odd', true, true, '')",
    'WITH gone AS (DELETE FROM crm.odd RETURNING 1) SELECT * FROM gone',
    'SELECT 1 INTO crm.made',
    'SELECT * FROM crm.odd FOR UPDATE',
  ]) {
    expect([sql, await code(warehouse.query(sql, 1))]).toEqual([sql, 'INPUT_INVALID']);
  }
});

test('golden rows: newer versions replace older ones, of another epoch too; the view gains columns at its end', async () => {
  const string = { kind: 'string' } as const;
  const own = (more: string[]): OwnTable => ({
    name: 'contact',
    key: ['_profile', '_version'],
    version: '_version',
    columns: ['_profile', '_epoch', ...more]
      .map((name) => ({ name, type: string as OwnTable['columns'][number]['type'] }))
      .concat([
        { name: '_version', type: { kind: 'integer' } },
        { name: '_at', type: { kind: 'timestamp' } },
      ]),
    history: { view: 'contact_history', of: '_profile', from: '_at', order: '_version' },
  });
  const file = join(bench.folder, 'own.ndjson');
  const write = (lines: object[]) =>
    writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const line = { _profile: 'p', _epoch: 'e1', name: 'a\0', _at: T(1) };
  await write([
    { ...line, _version: 1 },
    { ...line, _version: 2, name: 'b', _at: T(2) },
  ]);
  await warehouse.mergeOwn([{ table: own(['name']), file }], signal);
  await write([{ ...line, _version: 2, name: 'c', city: 'x', _at: T(2), _epoch: 'e2' }]);
  for (let twice = 0; twice < 2; twice += 1)
    await warehouse.mergeOwn([{ table: own(['name', 'city']), file }], signal);
  expect(await rows('SELECT name, city, "current" FROM golden.contact_history ORDER BY _version')).toEqual([
    ['a\ufffd', null, false],
    ['c', 'x', true],
  ]);
  await warehouse.dropOtherEpochs([own([])], 'e2');
  expect(await rows('SELECT name FROM golden.contact')).toEqual([['c']]);
});

test('an erasure goes by the count, leaves no byte in the tables, and says where else rows may be', async () => {
  await warehouse.migrate('erase', NAME, EVOLVE);
  const csv = [
    row('1', 1, 'Zanarycorvinho'),
    row('2', 1, 'b'),
    [null, T(1), 'false', 'about ZANARYCORVINHO'],
  ];
  const request = await bench.batch(
    NAME,
    { csv },
    { window: windowOf('erase', { connection: 'erase' }), id: 'b_erase' },
  );
  await warehouse.load(request, signal);
  const about = {
    records: [{ connection: 'erase', object: 'Contact', table: 'contact', key: 'id', records: ['1'] }],
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
  const files = () => administer(url, "SELECT pg_relation_filepath('erase.contact') AS path");
  const before = await files();
  expect((await warehouse.scrub()).join(' ')).toMatch(/write-ahead log and the backups/);
  expect(await files()).not.toEqual(before);
  expect(await warehouse.scrub()).toEqual([]);
  expect(await warehouse.count('erase', 'contact')).toBe(1);
});

test('check proves the rights, and prints what is missing as SQL that mends it', async () => {
  const poor = await newDatabase(server);
  const name = new URL(poor).pathname.slice(1);
  await administer(
    poor,
    `CREATE ROLE plain LOGIN PASSWORD 'plain'; REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC`,
  );
  const address = new URL(poor);
  address.username = 'plain';
  address.password = 'plain';
  const limited = await openPostgres(address.href, bench.folder);
  const missing = (await limited.check()).filter(({ ok }) => !ok);
  expect(missing.map(({ check }) => check)).toEqual(['schemas', 'staging']);
  expect(await code(limited.migrate('crm', NAME, EVOLVE))).toBe('WAREHOUSE_REJECTED');
  // Nothing is written by a check.
  expect(await administer(poor, "SELECT 1 FROM pg_namespace WHERE nspname = '_headwater'")).toEqual([]);
  for (const { remedy = '' } of missing) await administer(poor, remedy);
  expect((await limited.check()).filter(({ ok }) => !ok)).toEqual([]);
  await limited.migrate('crm', NAME, EVOLVE);
  await limited.load(
    await bench.batch(NAME, { csv: [row('1', 1, 'a')] }, { window: windowOf('w1'), id: 'b1' }),
    signal,
  );
  expect((await limited.check()).filter(({ ok }) => !ok)).toEqual([]);
  await limited.close();
});
