import type { Field, FieldType } from '../../schemas/object-schema.ts';
import { placeFields as place } from '../columns.ts';
import type { Dialect, Place, TableColumn } from '../columns.ts';
import { columnName } from './names.ts';

/** A 64-bit integer has at most 19 digits. */
const INTEGER = 'NUMBER(19,0)';
const TYPE_NAMES: Record<Exclude<FieldType['kind'], 'decimal'>, string> = {
  ...{ string: 'TEXT', json: 'VARIANT', boolean: 'BOOLEAN', integer: INTEGER, double: 'FLOAT' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMP_TZ' },
};

/** The column type of a source table, as the catalog writes it. */
export const tableType = (type: FieldType): string =>
  type.kind === 'decimal' ? `NUMBER(${type.precision},${type.scale})` : TYPE_NAMES[type.kind];

const PLAIN: Record<string, FieldType> = {
  TEXT: { kind: 'string' },
  VARIANT: { kind: 'json' },
  BOOLEAN: { kind: 'boolean' },
  FLOAT: { kind: 'double' },
  DATE: { kind: 'date' },
  TIME: { kind: 'time' },
  TIMESTAMP_TZ: { kind: 'timestamp' },
};

/** What a column of the catalog holds; undefined for a type that Headwater never makes. Every integer is a decimal here. */
export function parseTableType(type: string): FieldType | undefined {
  const decimal = /^NUMBER\((\d+),(\d+)\)$/.exec(type);
  if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return PLAIN[type];
}

export const dialect: Dialect = { tableType, parseTableType, nameOf: columnName };

/** Where the values of each field go. */
export const placeFields = (fields: readonly Field[], columns: readonly TableColumn[]): Place[] =>
  place(fields, columns, dialect);

/** A variant has no equality that keeps to its text: texts are compared. */
export const comparable = (value: string, type: string): string =>
  type === 'VARIANT' ? `TO_JSON(${value})` : value;
