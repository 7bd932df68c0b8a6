import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { bigqueryConfigSchema } from '../../../../warehouses/bigquery/config.ts';
import {
  columnName,
  datasetName,
  label,
  quoted,
  tableName,
  text,
} from '../../../../warehouses/bigquery/names.ts';
import { bareWords, checkReadOnly } from '../../../../warehouses/bigquery/query.ts';
import { inOwnWords } from '../../../../warehouses/bigquery/standard.ts';
import { parseTableType, tableType } from '../../../../warehouses/bigquery/types.ts';
import { instantOf, timeText } from '../../../../warehouses/bigquery/values.ts';

const client = (prefix = '') => ({
  config: bigqueryConfigSchema.parse({ kind: 'bigquery', project: 'a-project', location: 'EU' }),
  dataset: (name: string) => datasetName(prefix, name),
});

test.each([
  [
    'SELECT "id", _deleted FROM "crm"."contact" WHERE _window = \'w"1\'',
    "SELECT `id`, _deleted FROM `crm`.`contact` WHERE _window = 'w\"1'",
  ],
  [
    'SELECT * FROM golden."a b" WHERE "x" IN (\'it\'\'s\')',
    `SELECT * FROM \`golden\`.\`a_b_${tableName('a b').slice(-8)}\` WHERE \`x\` IN ('it\\'s')`,
  ],
  [
    'SELECT count(*) FROM "c"."t" WHERE CAST("v" AS VARCHAR) < TIMESTAMPTZ \'a -- VARCHAR\'',
    "SELECT count(*) FROM `c`.`t` WHERE CAST(`v` AS STRING) < TIMESTAMP 'a -- VARCHAR'",
  ],
  [
    "SELECT table_schema || '.' || table_name AS t FROM information_schema.tables",
    "SELECT table_schema || '.' || table_name AS t FROM `region-eu`.INFORMATION_SCHEMA.TABLES",
  ],
])('a statement of a command is said in BigQuery’s words: %s', (standard, own) => {
  expect(inOwnWords(client(), standard)).toBe(own);
});

test('BigQuery’s own words stay, and the prefix is put before the dataset of Headwater', () => {
  const sql = 'SELECT "a text", \'it\\\'s\' FROM crm.INFORMATION_SCHEMA.TABLES JOIN `x`.y # "';
  expect(inOwnWords(client(), sql)).toBe(sql);
  expect(inOwnWords(client('hw_'), 'SELECT 1 FROM _headwater.batches')).toBe(
    'SELECT 1 FROM hw__headwater.batches',
  );
  expect(inOwnWords(client('hw_'), 'SELECT 1 FROM "crm"."contact"')).toBe('SELECT 1 FROM `hw_crm`.`contact`');
});

test('whatever a text holds, it is one text of a statement', () => {
  const odd = fc.string({ unit: fc.constantFrom("'", '\\', '\n', '\r', '"', '`', ';', '-', '#', 'é', 'x') });
  fc.assert(
    fc.property(odd, (value) => {
      expect(bareWords(`SELECT ${text(value)} AS a`)).toBe("SELECT '' AS a");
      expect(() => checkReadOnly(`SELECT ${text(value)}`)).not.toThrow();
    }),
  );
});

test('whatever a name is, its column can be quoted; different names stay different', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 255 }),
      fc.string({ minLength: 1, maxLength: 255 }),
      (a, b) => {
        expect(quoted(columnName(a))).toMatch(/^`[^`]{1,300}`$/);
        expect(columnName(a) === columnName(b)).toBe(a === b);
        expect(datasetName('', a)).toMatch(/^\w+$/);
        expect(label(a)).toMatch(/^[a-z0-9_-]{0,63}$/);
      },
    ),
  );
});

test('a type of a column is read back as it was made', () => {
  const precision = fc.integer({ min: 1, max: 38 });
  const decimal = precision.chain((digits) =>
    fc.record({ precision: fc.constant(digits), scale: fc.integer({ min: 0, max: digits }) }),
  );
  fc.assert(
    fc.property(decimal, (size) => {
      const type = { kind: 'decimal' as const, ...size };
      expect(parseTableType(tableType(type))).toEqual(type);
      const small = size.precision - size.scale <= 29 && size.scale <= 9;
      expect(tableType(type).startsWith('NUMERIC')).toBe(small);
    }),
  );
});

test('a time is written with its microseconds, before 1970 too', () => {
  expect(timeText(1_770_091_506_123_456n)).toBe('2026-02-03 04:05:06.123456+00');
  expect(timeText(0n)).toBe('1970-01-01 00:00:00+00');
  expect(timeText(-1n)).toBe('1969-12-31 23:59:59.999999+00');
  expect(timeText(-62_135_596_800_000_000n)).toBe('0001-01-01 00:00:00+00');
  expect(timeText(1_500_000n)).toBe('1970-01-01 00:00:01.500+00');
  expect(instantOf(timeText(1_770_091_506_123_456n))).toBe('2026-02-03T04:05:06.123Z');
});
