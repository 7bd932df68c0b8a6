import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { array, assert, asyncProperty, constantFrom, oneof, string } from 'fast-check';
import type { FieldType } from '../../../schemas/object-schema.ts';
import { ORIGIN } from '../../../schemas/instant.ts';
import type { ShapeRequest, ShapeResult } from '../../../shaper/shaper.ts';
import { rowsSql } from '../../../shaper/sql.ts';
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
const schema = schemaOf([field('Name'), field('Amount', { kind: 'decimal', precision: 18, scale: 2 })]);
const NAMES = ['Id', 'Stamp', 'Deleted', 'Name', 'Amount'];
type Row = (string | null)[];
const DIGITS = Array.from('0123456789.-+eE:TZ ');
const row = (id: string, second: number, name: string, amount: string | null = null): Row => [
  ...[id, T(second), 'false', name, amount],
];

const terms = { schema, window: { id: 'w1', from: ORIGIN, until: UNTIL }, confirmedAt: CONFIRMED };

/** Shapes the pages of these positions first by themselves, then the slice; tells which became parts. */
async function shape(pages: Row[][], early: readonly number[]): Promise<ShapeResult & { early: boolean[] }> {
  const at = join(bench.folder, `parts-${files++}`);
  const staged: ShapeRequest['pages'] = [];
  const became: boolean[] = [];
  for (const [index, rows] of pages.entries()) {
    const path = `${at}.${index}`;
    await writeFile(path, csvOf(NAMES, rows));
    const page = { path, format: 'csv' as const, rowsSent: rows.length };
    const out = `${path}.part`;
    const whole = early.includes(index) && (await bench.shaper.shapePage({ ...terms, page, out }, signal));
    became.push(whole);
    expect(existsSync(out)).toBe(whole);
    staged.push(whole ? { ...page, part: out } : page);
  }
  const out = { rows: `${at}.rows`, tombstones: `${at}.gone`, quarantine: `${at}.bad` };
  const limits = { badShareMax: 1, badRowsMax: 1_000 };
  const request = { ...terms, pages: staged, jsonRecords: 'records', ...limits, out };
  return { ...(await bench.shaper.shape(request, signal)), early: became };
}

async function select(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone='UTC'");
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const contentOf = async ({ files: { rows, quarantine } }: ShapeResult) => ({
  rows:
    rows.length === 0
      ? []
      : await select(`SELECT * FROM read_parquet([${rows.map(literal).join(',')}]) ORDER BY ALL`),
  quarantine:
    quarantine === null
      ? []
      : await select(`SELECT * FROM read_parquet(${literal(quarantine)}) ORDER BY ALL`),
});

describe('pages that were shaped before the slice was complete', () => {
  const pages = [
    [row('1', 1, 'a', '1.20'), row('2', 1, 'NULL')],
    [row('3', 2, 'N/A', '7.00'), row('4', 2, 'd, "e"\nf')],
    [row('5', 3, 'g')],
  ];

  test('become files of their own beside that of the other pages', async () => {
    const result = await shape(pages, [0, 1]);
    expect(result.early).toEqual([true, true, false]);
    expect(result.files.rows).toHaveLength(3);
    expect(result.counts).toMatchObject({ sent: 5, received: 5, shaped: 5, quarantined: 0, superseded: 0 });
    expect(await contentOf(result)).toEqual(await contentOf(await shape(pages, [])));
  });

  test('a page with a bad or late row, or another number of rows, is left to the slice', async () => {
    const bad = [...pages, [row('6', 4, 'h', '1.239')], [['7', UNTIL, 'false', 'late', null]]];
    const result = await shape(bad, [0, 1, 2, 3, 4]);
    expect(result.early).toEqual([true, true, true, false, false]);
    expect(result.counts).toMatchObject({ sent: 7, received: 7, shaped: 5, quarantined: 1, filtered: 1 });
    expect(await contentOf(result)).toEqual(await contentOf(await shape(bad, [])));
    const path = join(bench.folder, 'short.csv');
    await writeFile(path, csvOf(NAMES, [row('1', 1, 'a')]));
    const page = { path, format: 'csv' as const, rowsSent: 2 };
    expect(await bench.shaper.shapePage({ ...terms, page, out: `${path}.part` }, signal)).toBe(false);
  });

  test('a key that repeats across parts keeps its newest row', async () => {
    const repeated = [...pages, [row('1', 9, 'newest'), row('3', 1, 'oldest')]];
    const result = await shape(repeated, [0, 1, 2, 3]);
    expect(result.early).toEqual([true, true, true, true]);
    expect(result.files.rows).toHaveLength(1);
    expect(result.counts).toMatchObject({ sent: 7, received: 7, shaped: 5, superseded: 2 });
    expect(await contentOf(result)).toEqual(await contentOf(await shape(repeated, [])));
    const path = literal(result.files.rows[0] ?? '');
    const names = await select(`SELECT name FROM read_parquet(${path}) WHERE id IN ('1','3') ORDER BY id`);
    expect(names).toEqual([['newest'], ['N/A']]);
  });

  test('a part that lost rows is not landed', async () => {
    const at = join(bench.folder, `parts-${files++}`);
    await writeFile(at, csvOf(NAMES, pages[0] ?? []));
    await select(
      `COPY (SELECT '1' AS id, TIMESTAMPTZ ${literal(T(1))} AS _version, false AS _deleted) TO ${literal(`${at}.part`)} (FORMAT parquet)`,
    );
    const page = { path: at, format: 'csv' as const, rowsSent: 2, part: `${at}.part` };
    const out = { rows: `${at}.rows`, tombstones: `${at}.gone`, quarantine: `${at}.bad` };
    const request = { ...terms, pages: [page], jsonRecords: '', badShareMax: 1, badRowsMax: 1, out };
    await expect(bench.shaper.shape(request, signal)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

describe('the strict statement takes a text only where the exact one yields the same value', () => {
  const kinds: FieldType[] = [
    ...(['boolean', 'integer', 'double', 'date', 'time', 'timestamp', 'json'] as const).map((kind) => ({
      kind,
    })),
    { kind: 'decimal', precision: 18, scale: 2 },
    { kind: 'decimal', precision: 18, scale: 0 },
  ];
  const fragments = oneof(
    constantFrom(...['', ' ', '0', '1', '00', '.5', '1.0', '-1', '1e3', '1.5E-1', '1.2300', '718169550.0']),
    constantFrom(...['true', 'F', 'yes', 'NULL', 'NaN', 'inf', '-infinity', '0x1f', '1_000', '9'.repeat(20)]),
    constantFrom(...['2026-01-02', '2026-1-2', '2026-02-30', '10:11:12', '10:11:12.1234567', '{"a":1}', '{']),
    constantFrom(...['T03:04:05', '.000+0000', '.1234567Z', '.1234560Z', 'Z', '+05:30', 'epoch', 'today']),
    string({ maxLength: 6, unit: constantFrom(...DIGITS) }),
    string({ maxLength: 4 }).filter((text) => !text.includes('\0')),
  );
  const texts = array(fragments, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));

  const TYPICAL = ['true', '12', '1.5', '2026-01-02', '10:11:12.123456', T(1), '{"a":1}'];

  test.each(kinds)('%j', async (type) => {
    const typed = { ...terms, schema: schemaOf([field('A', type)]) };
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    const connection = await instance.connect();
    await connection.run("SET TimeZone='UTC'");
    let taken = 0;
    const values = async (text: string, strict: boolean): Promise<string[] | null> => {
      const from = `SELECT '1' AS r0,${literal(T(1))} AS r1,'false' AS r2,${literal(text)} AS r3`;
      try {
        const found = await connection.runAndReadAll(rowsSql(typed, from, strict));
        return found.getRowsJson().map((one) => JSON.stringify(one));
      } catch (error) {
        if (!strict) throw error;
        return null;
      }
    };
    await assert(
      asyncProperty(texts, async (text) => {
        const strict = await values(text, true);
        if (strict === null) return;
        taken += 1;
        expect(strict).toEqual(await values(text, false));
        expect(strict).toHaveLength(1);
      }),
      { numRuns: 600, examples: TYPICAL.map((text): [string] => [text]) },
    );
    expect(taken).toBeGreaterThan(0);
    connection.closeSync();
    instance.closeSync();
  });
});
