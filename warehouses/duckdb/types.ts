import type { Field, FieldType } from '../../schemas/object-schema.ts';
import { placeFields as place, versionName } from '../columns.ts';
import type { Dialect, Place, TableColumn } from '../columns.ts';

const TYPE_NAMES: Record<Exclude<FieldType['kind'], 'decimal'>, string> = {
  ...{ string: 'VARCHAR', json: 'JSON', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMP WITH TIME ZONE' },
};

/** The column type of a source table, as the catalog writes it. */
export function tableType(type: FieldType): string {
  return type.kind === 'decimal' ? `DECIMAL(${type.precision},${type.scale})` : TYPE_NAMES[type.kind];
}

const PLAIN: Record<string, FieldType> = {
  VARCHAR: { kind: 'string' },
  JSON: { kind: 'json' },
  BOOLEAN: { kind: 'boolean' },
  BIGINT: { kind: 'integer' },
  DOUBLE: { kind: 'double' },
  DATE: { kind: 'date' },
  TIME: { kind: 'time' },
  'TIMESTAMP WITH TIME ZONE': { kind: 'timestamp' },
};

/** What a column of the catalog holds; undefined for a type that Headwater never makes. */
export function parseTableType(text: string): FieldType | undefined {
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(text);
  if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return PLAIN[text];
}

export const dialect: Dialect = { tableType, parseTableType, nameOf: versionName };

/** Where the values of each field go. */
export const placeFields = (fields: Field[], columns: TableColumn[]): Place[] =>
  place(fields, columns, dialect);
