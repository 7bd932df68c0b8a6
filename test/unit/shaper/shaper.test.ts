import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { ORIGIN } from '../../../schemas/instant.ts';
import type { ShapeRequest, ShapeResult } from '../../../shaper/shaper.ts';
import { parseHeader } from '../../../shaper/csv-pages.ts';
import { literal } from '../../../warehouses/sql.ts';
import { CONFIRMED, UNTIL, csvOf, field, openBench, schemaOf } from '../../contract/warehouse-fixture.ts';
import type { Bench } from '../../contract/warehouse-fixture.ts';

let bench: Bench;
let files = 0;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const signal = new AbortController().signal;
const T = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;
const schema = schemaOf([field('Name')]);
const NAMES = ['Id', 'Stamp', 'Deleted', 'Name'];

async function read(paths: readonly string[] | string | null, sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  const rows = (
    await connection.runAndReadAll(
      sql.replace('FILE', `read_parquet([${[paths ?? ''].flat().map(literal).join(',')}])`),
    )
  ).getRowsJson();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

/** Pages as they are on disk, bytes included. */
async function shapePages(
  pages: { text: string | Buffer; format?: 'csv' | 'json'; rows: number }[],
  over: Partial<ShapeRequest> = {},
): Promise<ShapeResult> {
  const at = join(bench.folder, `page-${files++}`);
  const written: ShapeRequest['pages'] = [];
  for (const [index, page] of pages.entries()) {
    await writeFile(`${at}.${index}`, page.text);
    written.push({ path: `${at}.${index}`, format: page.format ?? 'csv', rowsSent: page.rows });
  }
  return bench.shaper.shape(
    {
      ...{
        schema,
        pages: written,
        jsonRecords: 'records',
        window: { id: 'w1', from: ORIGIN, until: UNTIL },
        confirmedAt: CONFIRMED,
      },
      ...{
        badShareMax: 1,
        badRowsMax: 1_000,
        out: { rows: `${at}.rows`, tombstones: `${at}.gone`, quarantine: `${at}.bad` },
      },
      ...over,
    },
    signal,
  );
}

describe('csv', () => {
  test('null is an empty field, quoted or not, and no other text', async () => {
    const text =
      'Id,Stamp,Deleted,Name\r\n1,2026-01-01T00:00:00Z,false,NULL\r\n2,2026-01-01T00:00:00Z,false,""\r\n3,2026-01-01T00:00:00Z,false,\r\n"4",2026-01-01T00:00:00Z,false,"N/A"\r\n';
    const result = await shapePages([{ text, rows: 4 }]);
    expect(await read(result.files.rows, 'SELECT id, name FROM FILE ORDER BY id')).toEqual([
      ['1', 'NULL'],
      ['2', null],
      ['3', null],
      ['4', 'N/A'],
    ]);
  });

  test('quoted line breaks, quotes and commas stay, also when pages order their columns differently', async () => {
    const nasty = 'a\r\n"b",\n\nc 😀';
    const other = csvOf(['Name', 'Deleted', 'Id', 'Stamp'], [['x', 'false', '2', T(1)]]);
    const result = await shapePages([
      { text: csvOf(NAMES, [['1', T(1), 'false', nasty]]), rows: 1 },
      { text: other, rows: 1 },
      { text: '', rows: 0 },
    ]);
    expect(await read(result.files.rows, 'SELECT id, name FROM FILE ORDER BY id')).toEqual([
      ['1', nasty],
      ['2', 'x'],
    ]);
  });

  test('a column that is missing or not described stops the slice', async () => {
    await expect(
      shapePages([{ text: csvOf(['Id', 'Stamp', 'Deleted'], [['1', T(1), 'false']]), rows: 1 }]),
    ).rejects.toMatchObject({ code: 'SOURCE_PROTOCOL' });
    await expect(
      shapePages([{ text: csvOf([...NAMES, 'New'], [['1', T(1), 'false', 'a', 'b']]), rows: 1 }]),
    ).rejects.toMatchObject({ code: 'SOURCE_PROTOCOL' });
  });

  test('broken lines and invalid UTF-8 are set aside, the others land', async () => {
    const good = csvOf(NAMES, [
      ['1', T(1), 'false', 'a'],
      ['2', T(1), 'false', 'b'],
    ]);
    const broken = Buffer.concat([
      Buffer.from(`${good}3,${T(1)}\n4,${T(1)},false,x,y\n5,${T(1)},false,`),
      Buffer.from([0xff, 0xed, 0xa0, 0x80]),
      Buffer.from(`\n6,${T(1)},false,z\n`),
    ]);
    const result = await shapePages([{ text: broken, rows: 6 }]);
    expect(result.counts).toMatchObject({ sent: 6, received: 6, shaped: 3, quarantined: 3 });
    const reasons = await read(result.files.quarantine, 'SELECT reason FROM FILE ORDER BY reason');
    expect(reasons).toEqual([
      ['broken line: invalid encoding'],
      ['broken line: missing columns'],
      ['broken line: too many columns'],
    ]);
  });

  test('a field of 17 MB lands whole', async () => {
    const big = 'x'.repeat(17 * 1024 * 1024);
    const result = await shapePages([
      {
        text: csvOf(NAMES, [
          ['1', T(1), 'false', big],
          ['2', T(1), 'false', 'b'],
        ]),
        rows: 2,
      },
    ]);
    expect(result.counts).toMatchObject({ shaped: 2, quarantined: 0 });
    expect(await read(result.files.rows, 'SELECT max(length(name))::INTEGER FROM FILE')).toEqual([
      [big.length],
    ]);
  });

  test('another number of rows than the source sent is a transport error', async () => {
    const text = csvOf(NAMES, [['1', T(1), 'false', 'a']]);
    await expect(shapePages([{ text, rows: 2 }])).rejects.toMatchObject({ code: 'RECEIPT_TRANSPORT' });
    await expect(shapePages([{ text, rows: 0 }])).rejects.toMatchObject({ code: 'RECEIPT_TRANSPORT' });
    await expect(shapePages([{ text: '', rows: 1 }])).rejects.toMatchObject({ code: 'RECEIPT_TRANSPORT' });
  });

  test('header lines with quotes', () => {
    expect(parseHeader('a,"b ""c"", d",,"e"')).toEqual(['a', 'b "c", d', '', 'e']);
  });
});

describe('json', () => {
  const page = (text: string, rows: number) =>
    shapePages([{ text, format: 'json', rows }], { schema: typed });
  const typed = schemaOf([
    field('Amount', { kind: 'decimal', precision: 38, scale: 2 }),
    field('Big', { kind: 'integer' }),
    field('Name'),
    field('Extra', { kind: 'json' }),
    field('Owner.Name'),
  ]);
  const record = (id: string, rest: string) =>
    `{"attributes":{"type":"Contact"},"Id":"${id}","Stamp":"2026-01-01T00:00:00.000+0000","Deleted":false,${rest}}`;
  const ORDINARY = '"Amount":1.10,"Big":7,"Name":"a","Extra":null,"Owner":{"Name":"o"}';

  test('numbers keep every digit, also inside nested values, and null is not an empty text', async () => {
    const long = record(
      '1',
      '"Amount":12345678901234567.89,"Big":9007199254740993,"Name":"","Extra":{"n":12345678901234567.89},"Owner":null',
    );
    const result = await page(`{"records":[${long},${record('2', ORDINARY)}]}`, 2);
    expect(
      await read(
        result.files.rows,
        'SELECT id, amount, big, name, extra, "owner.name" FROM FILE ORDER BY id',
      ),
    ).toEqual([
      ['1', '12345678901234567.89', '9007199254740993', '', '{"n":12345678901234567.89}', null],
      ['2', '1.10', '7', 'a', null, 'o'],
    ]);
  });

  test('both ways of reading give the same rows and hashes', async () => {
    const direct = await page(`{"records":[${record('1', ORDINARY)}]}`, 1);
    const careful = await page(`{"records":[${record('1', ORDINARY)}],"note":1234567890123456789}`, 1);
    const all = 'SELECT * FROM FILE';
    expect(await read(careful.files.rows, all)).toEqual(await read(direct.files.rows, all));
  });

  test('half a surrogate pair sets its record aside', async () => {
    const bad = record('1', '"Amount":1,"Big":1,"Name":"\\ud83d","Extra":null,"Owner":null');
    const fine = record('2', '"Amount":1,"Big":1,"Name":"\\ud83d\\ude00","Extra":null,"Owner":null');
    const result = await page(`{"records":[${bad},${fine}]}`, 2);
    expect(result.counts).toMatchObject({ received: 2, shaped: 1, quarantined: 1 });
    expect(await read(result.files.rows, 'SELECT name FROM FILE')).toEqual([['😀']]);
    expect(await read(result.files.quarantine, 'SELECT record, field, reason FROM FILE')).toEqual([
      ['1', 'Name', 'not valid unicode'],
    ]);
  });

  test('a field that a record lacks sets it aside; one that all lack stops the slice', async () => {
    const lacks = record('1', '"Amount":1,"Big":1,"Extra":null,"Owner":{}');
    const result = await page(`{"records":[${lacks},${record('2', ORDINARY)}]}`, 2);
    expect(result.counts).toMatchObject({ shaped: 1, quarantined: 1 });
    expect(await read(result.files.quarantine, 'SELECT record, field, reason FROM FILE')).toEqual([
      ['1', 'Name', 'field is absent'],
    ]);
    await expect(page(`{"records":[${lacks}]}`, 1)).rejects.toMatchObject({ code: 'SOURCE_PROTOCOL' });
    await expect(page('{"records":[', 1)).rejects.toMatchObject({ code: 'SOURCE_PROTOCOL' });
  });

  test('csv and json of one record have one hash', async () => {
    const fromJson = await shapePages([
      {
        text: JSON.stringify({
          records: [{ Id: '1', Stamp: '2026-01-01T00:00:00Z', Deleted: false, Name: 'a' }],
        }),
        format: 'json',
        rows: 1,
      },
    ]);
    const fromCsv = await shapePages([
      { text: csvOf(NAMES, [['1', '2026-01-01T00:00:00.000+0000', 'FALSE', 'a']]), rows: 1 },
    ]);
    expect(await read(fromJson.files.rows, 'SELECT * FROM FILE')).toEqual(
      await read(fromCsv.files.rows, 'SELECT * FROM FILE'),
    );
  });
});

describe('counts', () => {
  test('every row is accounted for', async () => {
    const rows = [
      ['1', T(1), 'false', 'old'],
      ['1', T(2), 'false', 'new'],
      ['1', T(2), 'false', 'new'],
      ['2', T(5), 'true', 'gone'],
      ['3', UNTIL, 'false', 'next window'],
      [null, T(1), 'false', 'no key'],
      ['4', null, 'false', 'no stamp'],
      ['5', T(9), 'false', 'in'],
    ];
    const window = { id: 'w1', from: T(4), until: UNTIL };
    const result = await bench.shape(
      schema,
      { csv: rows, tombstones: [{ id: '8', deletedAt: T(1) }, { id: '8', deletedAt: T(3) }, { id: '9' }] },
      { window },
    );
    expect(result.counts).toEqual({
      ...{
        sent: 8,
        received: 8,
        shaped: 3,
        quarantined: 2,
        superseded: 2,
        suppressed: 0,
        filtered: 1,
        reRead: 1,
        deleted: 1,
        tombstones: 2,
      },
    });
    expect(await read(result.files.rows, 'SELECT id, name, _deleted, _window FROM FILE ORDER BY id')).toEqual(
      [
        ['1', 'new', false, 'w1'],
        ['2', 'gone', true, 'w1'],
        ['5', 'in', false, 'w1'],
      ],
    );
    expect(
      await read(
        result.files.tombstones,
        'SELECT id, _deleted, epoch(_version)::BIGINT FROM FILE ORDER BY id',
      ),
    ).toEqual([
      ['8', true, String(Date.parse(T(3)) / 1000)],
      ['9', true, String(Date.parse(CONFIRMED) / 1000)],
    ]);
    expect(
      await read(
        result.files.quarantine,
        "SELECT record, field, reason, raw->>'Name' FROM FILE ORDER BY record NULLS FIRST",
      ),
    ).toEqual([
      [null, 'Id', 'no Id', 'no key'],
      ['4', 'Stamp', 'no Stamp', 'no stamp'],
    ]);
  });

  test('of two versions with one stamp the deletion stays, whatever their hashes', async () => {
    const ids = Array.from({ length: 20 }, (_, at) => String(at));
    const csv = ids.flatMap((id) => [
      [id, T(1), 'false', 'a'],
      [id, T(1), 'true', 'a'],
    ]);
    const result = await bench.shape(schema, { csv });
    expect(result.counts).toMatchObject({ shaped: 20, superseded: 20, deleted: 20 });
  });

  test('an object without a stamp takes the time of the read as its version', async () => {
    const plain = schemaOf([field('Name')], { stamp: null, deleted: null });
    const result = await bench.shape(plain, { csv: [['1', null, null, 'a']] });
    expect(await read(result.files.rows, 'SELECT epoch(_version)::BIGINT, _deleted FROM FILE')).toEqual([
      [String(Date.parse(CONFIRMED) / 1000), false],
    ]);
  });

  test('too many bad rows stop the slice, only above both limits', async () => {
    const typed = schemaOf([field('N', { kind: 'integer' })]);
    const csv = Array.from({ length: 10 }, (_, at) => [String(at), T(1), 'false', at < 3 ? 'x' : '1']);
    await expect(bench.shape(typed, { csv }, { badRowsMax: 2, badShareMax: 0.2 })).rejects.toMatchObject({
      code: 'TOO_MANY_BAD_ROWS',
      details: { reasons: ['N: not a bigint (3)'] },
    });
    expect((await bench.shape(typed, { csv }, { badRowsMax: 3, badShareMax: 0.2 })).counts.quarantined).toBe(
      3,
    );
    expect((await bench.shape(typed, { csv }, { badRowsMax: 2, badShareMax: 0.3 })).counts.quarantined).toBe(
      3,
    );
  });

  test('nothing is dropped around row group limits', async () => {
    const csv = Array.from({ length: 122_881 }, (_, at) => [String(at), T(at % 60), 'false', `n${at}`]);
    const result = await bench.shape(schema, { csv });
    expect(
      await read(
        result.files.rows,
        'SELECT count(*)::INTEGER, sum(id::BIGINT)::VARCHAR, count(DISTINCT name)::INTEGER FROM FILE',
      ),
    ).toEqual([[122_881, String((122_881 * 122_880) / 2), 122_881]]);
  });

  test('an aborted shape ends with the reason', async () => {
    const controller = new AbortController();
    controller.abort(new Error('stop'));
    const request = {
      schema,
      pages: [],
      jsonRecords: '',
      window: { id: 'w', from: ORIGIN, until: UNTIL },
      confirmedAt: CONFIRMED,
      badShareMax: 0,
      badRowsMax: 0,
      out: { rows: 'a', tombstones: 'b', quarantine: 'c' },
    };
    await expect(bench.shaper.shape(request, controller.signal)).rejects.toThrow('stop');
  });

  test('absentKeys names the ids that the files lack in the interval, once each', async () => {
    const result = await bench.shape(schema, {
      csv: [
        ['1', T(1), 'false', 'a'],
        ['2', T(5), 'false', 'b'],
      ],
    });
    const from = result.files.rows;
    const ask = async (ids: string[], until: string, files_ = from) =>
      (await bench.shaper.absentKeys({ files: files_, column: 'id', ids, from: T(1), until })).toSorted();
    expect(await ask(['1', '2', '9', '9'], T(9))).toEqual(['9']);
    expect(await ask(['1', '2'], T(5))).toEqual(['2']);
    expect(await ask([], T(9))).toEqual([]);
    expect(await ask(['1', '1'], T(9), [])).toEqual(['1']);
  });
});
