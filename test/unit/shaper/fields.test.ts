import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { FieldType } from '../../../schemas/object-schema.ts';
import { valueSql } from '../../../shaper/sql.ts';
import { literal } from '../../../warehouses/sql.ts';

let instance: DuckDBInstance;
let connection: DuckDBConnection;
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
  await connection.run("SET TimeZone='UTC'");
});
afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

async function cast(type: FieldType, text: string): Promise<unknown> {
  const reader = await connection.runAndReadAll(
    `SELECT CAST(${valueSql(type, 't')} AS VARCHAR) FROM (SELECT ${literal(text)} AS t)`,
  );
  return reader.getRows()[0]?.[0];
}

const money: FieldType = { kind: 'decimal', precision: 18, scale: 2 };
const huge: FieldType = { kind: 'decimal', precision: 38, scale: 10 };

describe('a text becomes exactly its value or nothing', () => {
  test.each<[FieldType, string, string | null]>([
    [money, '1.23', '1.23'],
    [money, '-0.5', '-0.50'],
    [money, '1.239', null],
    [money, '1.2300', '1.23'],
    [money, '1.0E7', '10000000.00'],
    [money, '1.5E-1', '0.15'],
    [money, '1.25E-2', null],
    [money, '5E-1', '0.50'],
    [money, '12345678901234567.00', null],
    [money, '1234567890123456.78', '1234567890123456.78'],
    [money, 'abc', null],
    [huge, '1234567890123456789012345678.0123456789', '1234567890123456789012345678.0123456789'],
    [huge, '0.01234567891', null],
    [{ kind: 'integer' }, '9223372036854775807', '9223372036854775807'],
    [{ kind: 'integer' }, '9223372036854775808', null],
    [{ kind: 'integer' }, '5.0', '5'],
    [{ kind: 'integer' }, '1.5', null],
    [{ kind: 'integer' }, '15e-1', null],
    [{ kind: 'integer' }, '1e3', '1000'],
    [{ kind: 'boolean' }, 'true', 'true'],
    [{ kind: 'boolean' }, 'maybe', null],
    [{ kind: 'double' }, '0.1', '0.1'],
    [{ kind: 'double' }, '1e400', null],
    [{ kind: 'date' }, '2026-01-02', '2026-01-02'],
    [{ kind: 'date' }, '2026-01-02T00:00:00.000+0000', '2026-01-02'],
    [{ kind: 'date' }, '2026-01-02T10:00:00.000Z', null],
    [{ kind: 'date' }, '2026-02-30', null],
    [{ kind: 'date' }, 'infinity', null],
    [{ kind: 'time' }, '10:11:12.000Z', '10:11:12'],
    [{ kind: 'time' }, '10:11:12.123456', '10:11:12.123456'],
    [{ kind: 'time' }, '10:11:12.1234567', null],
    [{ kind: 'time' }, '25:00:00', null],
    [{ kind: 'timestamp' }, '2026-01-02T03:04:05.000+0000', '2026-01-02 03:04:05+00'],
    [{ kind: 'timestamp' }, '2026-01-02T03:04:05.123456Z', '2026-01-02 03:04:05.123456+00'],
    [{ kind: 'timestamp' }, '2026-01-02T03:04:05.1234560Z', '2026-01-02 03:04:05.123456+00'],
    [{ kind: 'timestamp' }, '2026-01-02T03:04:05.1234567Z', null],
    [{ kind: 'timestamp' }, '2026-01-02T03:04:05+05:30', '2026-01-01 21:34:05+00'],
    [{ kind: 'timestamp' }, 'yesterday', null],
    [{ kind: 'json' }, '{"a":1.10}', '{"a":1.10}'],
    [{ kind: 'json' }, '{"a":', null],
    [{ kind: 'string' }, 'NULL', 'NULL'],
  ])('%j %s', async (type, text, expected) => {
    expect(await cast(type, text)).toBe(expected);
  });
});
