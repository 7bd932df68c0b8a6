import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { FieldType } from '../../../schemas/object-schema.ts';
import { fits, nextVersion, widened } from '../../../warehouses/columns.ts';
import { dialect, parseTableType, placeFields, tableType } from '../../../warehouses/duckdb/types.ts';
import { checkIdentifiers, literal, quote } from '../../../warehouses/sql.ts';
import { field, schemaOf } from '../../contract/warehouse-fixture.ts';

const decimal = (precision: number, scale: number): FieldType => ({ kind: 'decimal', precision, scale });
const anyType: fc.Arbitrary<FieldType> = fc.oneof(
  fc.constantFrom<FieldType>(
    ...(['string', 'boolean', 'integer', 'double', 'date', 'time', 'timestamp', 'json'] as const).map(
      (kind) => ({ kind }),
    ),
  ),
  fc
    .integer({ min: 1, max: 38 })
    .chain((precision) => fc.integer({ min: 0, max: precision }).map((scale) => decimal(precision, scale))),
);

describe('types', () => {
  test('the catalog text of a type is read back', () => {
    fc.assert(fc.property(anyType, (type) => expect(parseTableType(tableType(type))).toEqual(type)));
    expect(parseTableType('STRUCT(a INTEGER)')).toBeUndefined();
  });

  test('a widened type holds both', () => {
    fc.assert(
      fc.property(anyType, anyType, (old, next) => {
        const wide = widened(old, next);
        if (wide !== undefined) expect([fits(old, wide), fits(next, wide)]).toEqual([true, true]);
      }),
    );
  });

  test.each<[FieldType, FieldType, boolean]>([
    [{ kind: 'integer' }, decimal(18, 0), false],
    [{ kind: 'integer' }, decimal(19, 0), true],
    [{ kind: 'integer' }, { kind: 'double' }, false],
    [decimal(18, 2), decimal(20, 4), true],
    [decimal(18, 2), decimal(18, 4), false],
    [decimal(18, 0), { kind: 'integer' }, true],
    [decimal(19, 0), { kind: 'integer' }, false],
    [{ kind: 'date' }, { kind: 'timestamp' }, true],
    [{ kind: 'timestamp' }, { kind: 'date' }, false],
    [{ kind: 'json' }, { kind: 'string' }, true],
    [{ kind: 'string' }, { kind: 'json' }, false],
  ])('%j fits %j: %s', (from, to, expected) => expect(fits(from, to)).toBe(expected));

  test('values go to the newest version of a column, and a new version takes no name that is in use', () => {
    const fields = [field('V', { kind: 'integer' }), field('V__v2')];
    const columns = ['v', 'v__v2', 'V__v3'].map((name) => ({ name, type: 'BIGINT' }));
    expect(placeFields(fields, columns).map((place) => [place.column?.name, place.fits])).toEqual([
      ['V__v3', true],
      ['v__v2', false],
    ]);
    expect(nextVersion(fields[0] ?? field('V'), fields, columns, dialect)).toBe('v__v4');
  });
});

describe('identifiers', () => {
  test('any text without NUL comes back from its quotes', () => {
    const text = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 60 })
      .filter((value) => !value.includes('\0'));
    fc.assert(
      fc.property(text, (value) => expect(quote(value).slice(1, -1).replaceAll('""', '"')).toBe(value)),
    );
    fc.assert(
      fc.property(text, (value) => expect(literal(value).slice(1, -1).replaceAll("''", "'")).toBe(value)),
    );
    for (const value of ['', 'a\0b', 'x'.repeat(256)]) expect(() => quote(value)).toThrow();
    expect(() => literal('a\0b')).toThrow();
  });

  test('names that would meet, or meet ours, are refused', () => {
    expect(() => checkIdentifiers(schemaOf([field('a'), { ...field('B'), column: 'A' }]))).toThrow(
      /same column/,
    );
    expect(() => checkIdentifiers(schemaOf([{ ...field('x'), column: '_hash' }]))).toThrow(/reserved/);
    expect(() => checkIdentifiers(schemaOf([field('x')], { key: 'nope' }))).toThrow(/not described/);
    expect(() => checkIdentifiers(schemaOf([field('select')]))).not.toThrow();
  });
});
