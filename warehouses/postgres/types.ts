import type { Field, FieldType } from '../../schemas/object-schema.ts';
import { placeFields as place } from '../columns.ts';
import type { Dialect, Place, TableColumn } from '../columns.ts';
import { columnName } from './names.ts';

/** `json`, not `jsonb`: it keeps the text exactly, with repeated keys, their order and digits of numbers. */
const TYPE_NAMES: Record<Exclude<FieldType['kind'], 'decimal'>, string> = {
  ...{ string: 'text', json: 'json', boolean: 'boolean', integer: 'bigint', double: 'double precision' },
  ...{ date: 'date', time: 'time without time zone', timestamp: 'timestamp with time zone' },
};

/** The column type of a source table, as format_type() writes it. */
export function tableType(type: FieldType): string {
  return type.kind === 'decimal' ? `numeric(${type.precision},${type.scale})` : TYPE_NAMES[type.kind];
}

const PLAIN: Record<string, FieldType> = {
  text: { kind: 'string' },
  json: { kind: 'json' },
  boolean: { kind: 'boolean' },
  bigint: { kind: 'integer' },
  'double precision': { kind: 'double' },
  date: { kind: 'date' },
  'time without time zone': { kind: 'time' },
  'timestamp with time zone': { kind: 'timestamp' },
};

/** What a column of the catalog holds; undefined for a type that Headwater never makes. */
export function parseTableType(text: string): FieldType | undefined {
  const decimal = /^numeric\((\d+),(\d+)\)$/.exec(text);
  if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return PLAIN[text];
}

export const dialect: Dialect = { tableType, parseTableType, nameOf: columnName };

/** Where the values of each field go. */
export const placeFields = (fields: readonly Field[], columns: readonly TableColumn[]): Place[] =>
  place(fields, columns, dialect);

/** `json` has no equality of its own: texts are compared. */
export const comparable = (value: string, type: string): string =>
  type === 'json' ? `${value}::text` : value;
