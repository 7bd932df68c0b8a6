import type { Field, FieldType } from '../../schemas/object-schema.ts';
import { placeFields as place } from '../columns.ts';
import type { Dialect, Place, TableColumn } from '../columns.ts';
import { columnName } from './names.ts';

/** "Character types": bytes, not characters, of a VARCHAR. TEXT would be one of 256. */
export const TEXT_BYTES_MAX = 65_535;
export const TEXT = `character varying(${TEXT_BYTES_MAX})`;
export const TIME = 'time without time zone';
/** "Numeric types": 38 digits, at most 37 of them behind the point. */
const SCALE_MAX = 37;

const TYPE_NAMES: Record<Exclude<FieldType['kind'], 'decimal'>, string> = {
  ...{ string: TEXT, json: 'super', boolean: 'boolean', integer: 'bigint', double: 'double precision' },
  ...{ date: 'date', time: TIME, timestamp: 'timestamp with time zone' },
};

/** The column type of a source table, as format_type() writes it. */
export function tableType(type: FieldType): string {
  if (type.kind !== 'decimal') return TYPE_NAMES[type.kind];
  return type.scale > SCALE_MAX ? TEXT : `numeric(${type.precision},${type.scale})`;
}

const PLAIN: Record<string, FieldType> = {
  [TEXT]: { kind: 'string' },
  super: { kind: 'json' },
  boolean: { kind: 'boolean' },
  bigint: { kind: 'integer' },
  'double precision': { kind: 'double' },
  date: { kind: 'date' },
  [TIME]: { kind: 'time' },
  'timestamp with time zone': { kind: 'timestamp' },
};

/** What a column of the catalog holds; undefined for a type that Headwater never makes. */
export function parseTableType(type: string): FieldType | undefined {
  const decimal = /^numeric\((\d+),(\d+)\)$/.exec(type);
  if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return PLAIN[type];
}

export const dialect: Dialect = { tableType, parseTableType, nameOf: columnName };

/** Where the values of each field go. */
export const placeFields = (fields: readonly Field[], columns: readonly TableColumn[]): Place[] =>
  place(fields, columns, dialect);

/** A SUPER has no equality over whole trees: texts are compared. JSON_SERIALIZE would make a text of NULL, too. */
export const comparable = (value: string, type: string): string =>
  type === 'super' ? `CASE WHEN ${value} IS NOT NULL THEN JSON_SERIALIZE(${value}) END` : value;

/** IS DISTINCT FROM is not there. */
export const differs = (mine: string, theirs: string): string =>
  `COALESCE(${mine} <> ${theirs}, (${mine} IS NULL) <> (${theirs} IS NULL))`;

/** A stored value as a wider type. There is no cast from boolean or SUPER to text. */
export function widenedValue(column: string, from: string, to: string): string {
  if (from === 'boolean' && to === TEXT)
    return `CASE WHEN ${column} THEN 'true' WHEN NOT ${column} THEN 'false' END`;
  return from === 'super' && to === TEXT ? comparable(column, from) : `CAST(${column} AS ${to})`;
}
