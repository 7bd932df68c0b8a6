/** What only Redshift has: its limits of names and values, its bucket, its rights, its label and its lock. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { administer } from '../support/postgres-warehouse.ts';
import { redshiftMissing, startRedshift, type TestRedshift } from '../support/redshift.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal, T } from './warehouse-harness.ts';

const missing = await redshiftMissing();

let server: TestRedshift;
let bench: Bench;
let url: string;
let warehouse: Warehouse;
const sent: string[] = [];

const rows = async (sql: string): Promise<unknown[][]> => (await warehouse.query(sql, 1_000)).rows;

async function values(): Promise<void> {
  const schema = schemaOf(
    [field('Name'), field('Tree', { kind: 'json' }), field('Day', { kind: 'date' })].concat(
      field('Tiny', { kind: 'decimal', precision: 38, scale: 38 }),
    ),
    { table: 'odd' },
  );
  await warehouse.migrate('crm', schema, EVOLVE);
  // As DuckDB writes it where no digit stands before the point.
  const tiny = '.12345678901234567890123456789012345678';
  const record = (Id: string, Name: string, Tree: unknown, Day: string) => ({
    ...{ Id, Stamp: T(1), Deleted: false, Name, Tree, Day, Tiny: `0${tiny}` },
  });
  const fits = 'é'.repeat(32_767);
  const json = [
    record('1', 'a\0b', { a: 'x' }, '2020-01-01'),
    record('2', `${fits}éx`, { n: 'x'.repeat(70_000) }, '0001-01-01'),
    record('3', `${fits}x`, null, '9999-12-31'),
  ];
  const request = await bench.batch(schema, { json }, { window: windowOf('odd'), id: 'b_odd' });
  expect((await warehouse.load(request, signal)).inserted).toBe(3);
  expect(await rows('SELECT id, length(name), tree::text, day::text, tiny FROM crm.odd ORDER BY id')).toEqual(
    [
      ['1', 3, '{"a":"x"}', '2020-01-01', tiny],
      ['2', null, null, '0001-01-01', tiny],
      ['3', 32_768, null, '9999-12-31', tiny],
    ],
  );
  const aside =
    "SELECT record, field, value, reason FROM _headwater.quarantine WHERE batch = 'b_odd' ORDER BY 1, 2";
  const tooLong = 'Redshift takes at most 65535 bytes; nothing was cut';
  expect(await rows(aside)).toEqual([
    ['1', 'Name', 'a\ufffdb', 'Redshift has no NUL character; it was replaced'],
    ['2', 'Name', null, tooLong],
    ['2', 'Tree', null, tooLong],
  ]);
  expect(await warehouse.verify(request)).toEqual({ present: 3, missing: 0 });
  const compared = await warehouse.audit?.compare(request, ['Name', 'Tree']);
  expect(compared?.map(({ state }) => state)).toEqual(['same', 'same', 'same']);
}

async function unread(): Promise<void> {
  const schema = schemaOf([field('Tree', { kind: 'json' })], { table: 'unread' });
  await warehouse.migrate('crm', schema, EVOLVE);
  const json = ['good', 'bad'].map((tree, at) => ({
    ...{ Id: String(at), Stamp: T(1), Deleted: false, Tree: { tree } },
  }));
  // DuckDB takes every JSON that this server takes: it is told to refuse one.
  await administer(
    url,
    `CREATE OR REPLACE FUNCTION can_json_parse(value varchar) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT value NOT LIKE '%bad%' $$`,
  );
  const request = await bench.batch(schema, { json }, { window: windowOf('unread'), id: 'b_unread' });
  expect((await warehouse.load(request, signal)).inserted).toBe(2);
  expect(await rows('SELECT tree::text FROM crm.unread ORDER BY id')).toEqual([['{"tree":"good"}'], [null]]);
  expect(
    await rows("SELECT record, field, value FROM _headwater.quarantine WHERE batch = 'b_unread'"),
  ).toEqual([['1', 'Tree', '{"tree":"bad"}']]);
}

async function names(): Promise<void> {
  const first = 'é'.repeat(70);
  const schema = schemaOf([field(first), field(`${first}2`), field('OID'), field('ctid'), field('Raw')], {
    table: '#Temp',
  });
  await warehouse.migrate('crm', schema, EVOLVE);
  expect(await warehouse.migrate('crm', schema, EVOLVE)).toEqual([]);
  const csv = [['1', T(1), 'false', 'a', 'b', 'c', 'd', 'e']];
  await warehouse.load(
    await bench.batch(schema, { csv }, { window: windowOf('names'), id: 'b_names' }),
    signal,
  );
  expect(await rows('SELECT oid_, ctid_, "raw" FROM crm."_#temp"')).toEqual([['c', 'd', 'e']]);
  expect(sent.some((sql) => sql.includes(`"${'é'.repeat(59)}_`))).toBe(true);
  const clash = schemaOf([field('oid'), field('oid_')], { table: 'clash' });
  expect(await code(warehouse.migrate('crm', clash, EVOLVE))).toBe('WAREHOUSE_REJECTED');
  const number = {
    ...NAME,
    table: 'keyed',
    fields: [field('Id', { kind: 'integer' }), ...NAME.fields.slice(1)],
  };
  await warehouse.migrate('crm', number, EVOLVE);
  expect(await code(warehouse.migrate('crm', { ...NAME, table: 'keyed' }, EVOLVE))).toBe(
    'WAREHOUSE_REJECTED',
  );
}

async function order(): Promise<void> {
  await warehouse.migrate('order', NAME, EVOLVE);
  const window = windowOf('w_order', { connection: 'order' });
  const request = await bench.batch(NAME, { csv: [row('1', 1, 'a')] }, { window, id: 'b_order' });
  sent.length = 0;
  await warehouse.load(request, signal);
  const at = sent.indexOf('LOCK _headwater.writer');
  const [begin = '', , ...rest] = sent.slice(at - 1);
  expect(begin).toMatch(
    /query_group TO 'headwater w_order b_order w r'.*; SET LOCAL statement_timeout TO 60000$/,
  );
  const done = rest
    .map((sql) => /^(?:COPY|INSERT INTO \S+|COMMIT|CREATE TEMP TABLE)/.exec(sql)?.[0])
    .filter(Boolean);
  expect(done).toEqual([
    ...['CREATE TEMP TABLE', 'COPY', 'INSERT INTO "order"."contact"'],
    ...['INSERT INTO _headwater.batches', 'COMMIT'],
  ]);
}

async function leavesNothing(): Promise<void> {
  expect(await server.objects()).toEqual([]);
  const refused = await server.open(url, join(bench.folder, 'refused'), {
    config: { iamRole: 'arn:aws:iam::123456789012:role/forbidden' },
  });
  const request = await bench.batch(
    NAME,
    { csv: [row('7', 1, 'a')] },
    { window: windowOf('w_no'), id: 'b_no' },
  );
  await refused.migrate('crm', NAME, EVOLVE);
  await expect(refused.load(request, signal)).rejects.toMatchObject({
    code: 'WAREHOUSE_REJECTED',
    message: 'loading batch b_no: COPY cannot read the bucket: Access Denied, 403, AccessDenied',
  });
  await refused.close();
  expect(await server.objects()).toEqual([]);
}

async function golden(): Promise<void> {
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
  const long = 'x'.repeat(70_000);
  await write([
    { ...line, _version: 1 },
    { ...line, _version: 2, name: 'b', _at: T(2) },
    { ...line, _version: 3, name: long, _at: T(3) },
  ]);
  await warehouse.mergeOwn([{ table: own(['name']), file }], signal);
  await write([{ ...line, _version: 2, name: 'c', city: 'x', _at: T(2), _epoch: 'e2' }]);
  for (let twice = 0; twice < 2; twice += 1)
    await warehouse.mergeOwn([{ table: own(['name', 'city']), file }], signal);
  expect(await rows('SELECT name, city, "current" FROM golden.contact_history ORDER BY _version')).toEqual([
    ['a\ufffd', null, false],
    ['c', 'x', false],
    [null, null, true],
  ]);
  await warehouse.dropOtherEpochs([own([])], 'e2');
  expect(await rows('SELECT name FROM golden.contact')).toEqual([['c']]);
}

async function erasure(): Promise<void> {
  await warehouse.migrate('erase', NAME, EVOLVE);
  const csv = [
    row('1', 1, 'Zanarycorvinho'),
    row('2', 1, 'b'),
    [null, T(1), 'false', 'about ZANARYCORVINHO'],
  ];
  const window = windowOf('erase', { connection: 'erase' });
  await warehouse.load(await bench.batch(NAME, { csv }, { window, id: 'b_erase' }), signal);
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
  expect((await warehouse.scrub()).join(' ')).toMatch(/Snapshots of Redshift/);
  expect(sent).toContain('VACUUM DELETE ONLY "erase"."contact" TO 100 PERCENT');
  expect(await warehouse.scrub()).toEqual([]);
  expect(await warehouse.count('erase', 'contact')).toBe(1);
}

async function rights(): Promise<void> {
  const poor = await server.newDatabase();
  const name = new URL(poor).pathname.slice(1);
  await administer(
    poor,
    `CREATE ROLE plain LOGIN PASSWORD 'plain'; REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC`,
  );
  const open = (config: object) =>
    server.open(poor, join(bench.folder, 'poor'), {
      config: { user: 'plain', password: 'plain', ...config },
    });
  const limited = await open({});
  const wrong = (await limited.check()).filter(({ ok }) => !ok);
  expect(wrong.map(({ check }) => check)).toEqual(['schemas', 'staging']);
  // Nothing is written by a check.
  expect(await administer(poor, "SELECT 1 FROM pg_namespace WHERE nspname = '_headwater'")).toEqual([]);
  for (const { remedy = '' } of wrong) await administer(poor, remedy);
  expect((await limited.check()).filter(({ ok }) => !ok)).toEqual([]);
  expect(await server.objects()).toEqual([]);
  await limited.migrate('crm', NAME, EVOLVE);
  expect((await limited.check()).map(({ check }) => check)).toContain('schema _headwater');
  await limited.close();
  const refused = await open({ iamRole: 'arn:aws:iam::123456789012:role/forbidden' });
  const [copy] = (await refused.check()).filter(({ ok }) => !ok);
  expect(copy).toMatchObject({
    check: 'copy',
    remedy: expect.stringMatching(/"s3:GetObject".*stage\/headwater-redshift/),
  });
  await refused.close();
  const nowhere = await open({ bucket: 'nowhere' });
  const [bucket] = (await nowhere.check()).filter(({ ok }) => !ok);
  expect(bucket).toMatchObject({ check: 'bucket', remedy: expect.stringContaining('s3:PutObject') });
  await nowhere.close();
}

async function credentials(): Promise<void> {
  const path = join(bench.folder, 'credentials.json');
  const { password } = new URL(url);
  const config = { password: undefined, credentialsPath: path };
  await writeFile(path, JSON.stringify({ DbPassword: 'expired' }));
  const other = await server.open(url, join(bench.folder, 'other'), { config });
  expect(await code(other.count('crm', 'contact'))).toBe('WAREHOUSE_REJECTED');
  await writeFile(path, JSON.stringify({ dbUser: 'IAM:headwater', dbPassword: password }));
  expect(await other.count('crm', 'contact')).toBe(0);
  await other.close();
}

if (missing !== undefined) process.stderr.write(`SKIPPED: what only Redshift has, ${missing}\n`);
const suite = missing !== undefined ? describe.skip : describe;

suite('on Postgres behind a driver', () => {
  beforeAll(async () => {
    [server, bench] = await Promise.all([startRedshift(), openBench()]);
    url = await server.newDatabase();
    warehouse = await server.open(url, bench.folder, { onStatement: (sql) => sent.push(sql) });
  }, 60_000);
  afterAll(async () => {
    await warehouse.close();
    await bench.close();
    await server.stop();
  });
  test('a value that Redshift cannot hold is set aside, never cut; its row and all others land', values);
  test(
    'names of 127 bytes; names of system columns and temporary tables get others; a wider key is refused',
    names,
  );
  test('one labelled transaction, which locks first', order);
  test('a load leaves nothing in the bucket, nor does one that fails, and says why', leavesNothing);
  test(
    'golden rows: newer versions replace older ones, of another epoch too; the view gains columns',
    golden,
  );
  test('an erasure goes by the count, vacuums, and says where else rows may be', erasure);
  test('check proves the rights, and prints what is missing as SQL and as policies', rights);
  test('temporary credentials are read for each connection', credentials);
  test('JSON that the server does not read is set aside, its row lands', unread);
});
