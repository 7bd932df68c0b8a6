/** What only BigQuery has: its limits of names and values, its tables of a moment, its rights. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { bqemulatorMissing, openBigquery, startBqemulator } from '../support/bqemulator.ts';
import type { TestBigquery } from '../support/bqemulator.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal, T } from './warehouse-harness.ts';

const missing = await bqemulatorMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: what only BigQuery has, ${missing}\n`);

(missing !== undefined ? describe.skip : describe)('BigQuery on bqemulator', () => {
  let server: TestBigquery;
  let bench: Bench;
  let warehouse: Warehouse;
  beforeAll(async () => {
    [server, bench] = await Promise.all([startBqemulator(), openBench()]);
    warehouse = await openBigquery(server.endpoint, bench.folder, { datasetPrefix: 'hw_' });
  }, 90_000);
  afterAll(async () => {
    await warehouse.close();
    await bench.close();
    await server.stop();
  });
  const rows = async (sql: string): Promise<unknown[][]> => (await warehouse.query(sql, 1_000)).rows;

  test('a value that BigQuery cannot hold is set aside, its row and all others land, and the receipt holds', async () => {
    const schema = schemaOf(
      [field('At', { kind: 'timestamp' }), field('Tree', { kind: 'json' }), field('Clock', { kind: 'time' })],
      { table: 'odd' },
    );
    await warehouse.migrate('crm', schema, EVOLVE);
    const csv = [
      ['1', T(1), 'false', '20000-01-01T00:00:00Z', '{"a":1}', '00:00:00'],
      ['2', T(1), 'false', '9999-12-31T23:59:59.999999Z', '{"a":[1.10,null]}', '23:59:59.999999'],
      ['3', T(1), 'false', '0001-01-01T00:00:00Z', '7', '24:00:00'],
    ];
    const request = await bench.batch(schema, { csv }, { window: windowOf('odd'), id: 'b_odd' });
    expect((await warehouse.load(request, signal)).inserted).toBe(3);
    expect(await rows('SELECT id, `at`, TO_JSON_STRING(tree), clock FROM hw_crm.odd ORDER BY id')).toEqual([
      ['1', null, '{"a":1}', '00:00:00'],
      ['2', '9999-12-31 23:59:59.999999+00', '{"a":[1.1,null]}', '23:59:59.999999'],
      ['3', '0001-01-01 00:00:00+00', '7', null],
    ]);
    expect(
      await rows(
        "SELECT record, field, value, reason FROM hw__headwater.quarantine WHERE batch = 'b_odd' ORDER BY 1",
      ),
    ).toEqual([
      ['1', 'At', '20000-01-01 00:00:00+00', 'BigQuery does not take it as TIMESTAMP'],
      ['3', 'Clock', '24:00:00', 'BigQuery does not take it as TIME'],
    ]);
    expect((await warehouse.audit?.compare(request, []))?.map(({ state }) => state)).toEqual([
      ...['same', 'same', 'same'],
    ]);
    expect(await warehouse.verify(request)).toEqual({ present: 3, missing: 0 });
    // What was staged is dropped with the proof.
    expect(await rows('SELECT table_name FROM hw__headwater_staging.INFORMATION_SCHEMA.TABLES')).toEqual([]);
  });

  test('texts of 4 MB, emoji, lines and quotes come back equal', async () => {
    const schema = schemaOf([field('Name')], { table: 'large' });
    await warehouse.migrate('crm', schema, EVOLVE);
    const long = String.raw`\'` + '😀"x,\n'.repeat(500_000);
    const json = [{ Id: "it's \\ 1", Stamp: T(1), Deleted: false, Name: long }];
    const request = await bench.batch(schema, { json }, { window: windowOf('large'), id: "b_'large\\" });
    await warehouse.load(request, signal);
    const [[id, name] = []] = await rows('SELECT id, name FROM hw_crm.large');
    expect(id).toBe("it's \\ 1");
    expect(name === long).toBe(true);
    expect((await warehouse.load(request, signal)).alreadyApplied).toBe(true);
  });

  test('names that BigQuery does not take get names of their own; those that would meet are refused', async () => {
    const schema = schemaOf([field('a.b'), field('1st'), field('größe'), field('a-b')], { table: 'a b.c' });
    await warehouse.migrate('crm', schema, EVOLVE);
    expect(await warehouse.migrate('crm', schema, EVOLVE)).toEqual([]);
    const csv = [['1', T(1), 'false', 'a', 'b', 'c', 'd']];
    await warehouse.load(
      await bench.batch(schema, { csv }, { window: windowOf('names'), id: 'b_names' }),
      signal,
    );
    expect(await warehouse.count('crm', schema.table)).toBe(1);
  });

  test('a text column takes the values of a column that cannot be widened into one', async () => {
    const was = schemaOf([field('V', { kind: 'integer' })], { table: 'grown' });
    const is = schemaOf([field('V')], { table: 'grown' });
    await warehouse.migrate('crm', was, EVOLVE);
    await warehouse.load(
      await bench.batch(was, { csv: [['1', T(1), 'false', '5']] }, { window: windowOf('g1'), id: 'g1' }),
      signal,
    );
    const changes = await warehouse.migrate('crm', is, EVOLVE);
    expect(changes).toMatchObject([{ change: 'retype_column', column: 'v__v2', after: 'STRING' }]);
    expect(await warehouse.migrate('crm', is, EVOLVE)).toEqual([]);
    await warehouse.load(
      await bench.batch(is, { csv: [['2', T(1), 'false', 'x']] }, { window: windowOf('g2'), id: 'g2' }),
      signal,
    );
    expect(await rows('SELECT id, v, v__v2 FROM hw_crm.grown ORDER BY id')).toEqual([
      ['1', '5', null],
      ['2', null, 'x'],
    ]);
  });

  test('golden rows: newer versions replace older ones, of another epoch too; the view gains columns', async () => {
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
    const line = { _profile: 'p', _epoch: 'e1', name: 'a', _at: T(1) };
    await write([
      { ...line, _version: 1 },
      { ...line, _version: 2, name: 'b', _at: T(2) },
    ]);
    await warehouse.mergeOwn([{ table: own(['name']), file }], signal);
    await write([{ ...line, _version: 2, name: 'c', city: 'x', _at: T(2), _epoch: 'e2' }]);
    for (let twice = 0; twice < 2; twice += 1)
      await warehouse.mergeOwn([{ table: own(['name', 'city']), file }], signal);
    expect(
      await rows('SELECT name, city, `current` FROM hw_golden.contact_history ORDER BY _version'),
    ).toEqual([
      ['a', null, false],
      ['c', 'x', true],
    ]);
    await warehouse.dropOtherEpochs([own([])], 'e2');
    expect(await rows('SELECT name FROM hw_golden.contact')).toEqual([['c']]);
    const blank = { table: 'contact', where: { _profile: ['p'] }, blank: ['name'] };
    expect(await warehouse.purge({ records: [], texts: [], own: [blank] }, { dryRun: false })).toEqual([
      { table: 'hw_golden.contact', rows: 1 },
    ]);
    expect(await rows('SELECT name, city FROM hw_golden.contact')).toEqual([[null, 'x']]);
  });

  test('an erasure goes by the count, and says where else rows may be', async () => {
    await warehouse.migrate('erase', NAME, EVOLVE);
    const csv = [
      row('1', 1, 'Zanarycorvinho'),
      row('2', 2, 'b'),
      [null, T(1), 'false', 'about ZANARYCORVINHO'],
      [null, T(1), 'false', 'zanarycorvinhos'],
    ];
    const window = windowOf('erase', { connection: 'erase' });
    await warehouse.load(await bench.batch(NAME, { csv }, { window, id: 'b_erase' }), signal);
    const about = {
      records: [
        { connection: 'erase', object: 'Contact', table: 'contact', key: 'id', records: ['1'] },
        { connection: 'erase', object: 'Lead', table: 'lead', key: 'id', records: ['1'] },
      ],
      texts: ['zanarycorvinho'],
      own: [{ table: 'nowhere', where: { _profile: ['p'] } }],
    };
    const older = { connection: 'erase', table: 'contact', key: 'id', before: T(3), offset: 0, limit: 5 };
    expect(await warehouse.olderThan(older)).toEqual(['1', '2']);
    expect(await warehouse.olderThan({ ...older, offset: 1 })).toEqual(['2']);
    const counted = await warehouse.purge(about, { dryRun: true });
    expect(counted).toEqual([
      { table: 'hw_erase.contact', rows: 1 },
      { table: 'hw__headwater.quarantine', rows: 1 },
    ]);
    expect(await warehouse.purge(about, { dryRun: false })).toEqual(counted);
    expect(await warehouse.purge(about, { dryRun: false })).toEqual([]);
    expect((await warehouse.scrub()).join(' ')).toMatch(/time travel/);
    expect(await warehouse.count('erase', 'contact')).toBe(1);
  });

  test('I2: of workers that load into one table at once each lands whole, however often one is stopped by another', async () => {
    const project = 'two-workers';
    const workers = await Promise.all(
      [0, 1, 2].map(() => openBigquery(server.endpoint, bench.folder, { project })),
    );
    const [first] = workers;
    if (first === undefined) throw new Error('no worker');
    await first.migrate('crm', NAME, EVOLVE);
    const batches = await Promise.all(
      workers.map((_, at) => {
        const csv = Array.from({ length: 50 }, (__, id) => row(String(id), 1 + at, `by ${at}`));
        return bench.batch(NAME, { csv }, { window: windowOf(`w_${at}`), id: `b_${at}` });
      }),
    );
    // Two workers with one batch too: a step that was thought dead, and the one that took its place.
    const loads = workers.flatMap((worker, at) => [at, 0].map((of) => ({ worker, batch: batches[of] })));
    const receipts = await Promise.all(
      loads.map(async ({ worker, batch }) => {
        if (batch === undefined) throw new Error('no batch');
        for (let tries = 1; ; tries += 1) {
          const outcome = await worker.load(batch, signal).catch((error: HeadwaterError) => error.code);
          if (typeof outcome !== 'string') return outcome;
          expect([outcome, tries < 10]).toEqual(['WAREHOUSE_UNAVAILABLE', true]);
        }
      }),
    );
    expect(receipts.filter(({ alreadyApplied }) => !alreadyApplied)).toHaveLength(batches.length);
    expect((await first.query('SELECT id, name FROM crm.contact', 100)).rows.toSorted()).toEqual(
      Array.from({ length: 50 }, (_, id) => [String(id), 'by 2']).toSorted(),
    );
    const facts = await first.query(
      'SELECT COUNT(*), SUM(inserted), SUM(inserted + updated + unchanged + stale) FROM _headwater.batches',
      1,
    );
    expect(facts.rows).toEqual([['3', '50', '150']]);
    await Promise.all(workers.map((worker) => worker.close()));
  }, 90_000);

  test('two batches of one content keep apart: the proof of one takes nothing from the other', async () => {
    const schema = { ...NAME, table: 'twins' };
    await warehouse.migrate('crm', schema, EVOLVE);
    const [one, two] = await Promise.all(
      ['twin_1', 'twin_2'].map((id) =>
        bench.batch(schema, { csv: [row('1', 1, 'same')] }, { window: windowOf('twins'), id }),
      ),
    );
    if (one === undefined || two === undefined) throw new Error('no batches');
    const staged = () =>
      rows('SELECT table_name FROM hw__headwater_staging.INFORMATION_SCHEMA.TABLES ORDER BY 1');
    const before = await staged();
    await warehouse.load(one, signal);
    await warehouse.load({ ...two, batch: { ...two.batch, slice: 1 } }, signal);
    expect((await staged()).length - before.length).toBe(2);
    await warehouse.verify(one);
    expect((await staged()).length - before.length).toBe(1);
  });

  test('a statement is refused by its own words, not by what stands in texts and comments', async () => {
    for (const sql of [
      "SELECT * FROM EXTERNAL_QUERY('eu.c', 'SELECT 1')",
      'SELECT 1 -- ; \n; DELETE FROM hw_crm.odd WHERE TRUE',
      "SELECT 1 /* ' */; DROP TABLE hw_crm.odd -- '",
      'CREATE TABLE hw_crm.made AS SELECT 1',
      'EXPORT DATA OPTIONS (uri = "gs://a/*") AS SELECT 1',
    ])
      expect([sql, await code(warehouse.query(sql, 1))]).toEqual([sql, 'INPUT_INVALID']);
    expect(await rows(`SELECT 'a;b -- "' AS x # end`)).toEqual([['a;b -- "']]);
  });

  test('check writes nothing, and is content with what is there', async () => {
    const empty = await openBigquery(server.endpoint, bench.folder);
    const results = await empty.check();
    expect(results.map(({ check, ok }) => [check, ok])).toEqual([
      ['bigquery', true],
      ['dataset _headwater', true],
      ['dataset _headwater_staging', true],
      ['dataset golden', true],
    ]);
    expect(await code(empty.query('SELECT * FROM _headwater.sink', 1))).toBe('INPUT_INVALID');
    await empty.close();
    const filled = await warehouse.check();
    expect(filled.filter(({ ok }) => !ok)).toEqual([]);
    expect(filled.map(({ check }) => check)).toContain('merge');
    const [known, unknown] = (await warehouse.bytesRead?.('erase', ['Contact', 'Never'])) ?? [];
    expect([known, unknown]).toEqual([expect.any(Number), null]);
    expect(filled.at(-1)?.detail).toMatch(/a load of each of \d+ tables reads 0\.0 GiB, of crm\./);
  });
});
