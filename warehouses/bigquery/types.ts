import type { Field, FieldType } from '../../schemas/object-schema.ts';
import { placeFields as place } from '../columns.ts';
import type { Dialect, Place, TableColumn } from '../columns.ts';
import { columnName } from './names.ts';

const TYPE_NAMES: Record<Exclude<FieldType['kind'], 'decimal'>, string> = {
  ...{ string: 'STRING', json: 'JSON', boolean: 'BOOL', integer: 'INT64', double: 'FLOAT64' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMP' },
};

/** "Parameterized decimal types": NUMERIC has 29 digits before and 9 after the point, BIGNUMERIC 38 and 38. */
const NUMERIC_WHOLE_MAX = 29;
const NUMERIC_SCALE_MAX = 9;

/** The column type of a source table, as `catalogType` writes it. */
export function tableType(type: FieldType): string {
  if (type.kind !== 'decimal') return TYPE_NAMES[type.kind];
  const { precision, scale } = type;
  const small = precision - scale <= NUMERIC_WHOLE_MAX && scale <= NUMERIC_SCALE_MAX;
  return `${small ? 'NUMERIC' : 'BIGNUMERIC'}(${precision},${scale})`;
}

const KINDS = new Map<string, FieldType>(
  (['string', 'json', 'boolean', 'integer', 'double', 'date', 'time', 'timestamp'] as const).map((kind) => [
    TYPE_NAMES[kind],
    { kind },
  ]),
);

/** What a column of the catalog holds; undefined for a type that Headwater never makes. */
export function parseTableType(type: string): FieldType | undefined {
  const decimal = /^(?:BIG)?NUMERIC\((\d+),(\d+)\)$/.exec(type);
  if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return KINDS.get(type);
}

/** The names that the REST catalog still uses. */
const LEGACY: Record<string, string> = {
  ...{ INTEGER: 'INT64', FLOAT: 'FLOAT64', BOOLEAN: 'BOOL', RECORD: 'STRUCT' },
};

export interface CatalogField {
  name: string;
  type: string;
  mode?: string | undefined;
  precision?: string | undefined;
  scale?: string | undefined;
}

export function catalogType({ type, mode, precision, scale }: CatalogField): string {
  const name = LEGACY[type] ?? type;
  if (mode === 'REPEATED') return `ARRAY<${name}>`;
  return precision === undefined ? name : `${name}(${precision},${scale ?? '0'})`;
}

export const dialect: Dialect = { tableType, parseTableType, nameOf: columnName };

/** Where the values of each field go. */
export const placeFields = (fields: readonly Field[], columns: readonly TableColumn[]): Place[] =>
  place(fields, columns, dialect);

export const isDecimal = (type: string): boolean => /^(?:BIG)?NUMERIC/.test(type);

/**
 * "ALTER COLUMN SET DATA TYPE": digits of a number can grow, and a whole number can become a decimal one. Nothing becomes a
 * text or a time in place.
 */
export const canWiden = (from: string, to: string): boolean =>
  isDecimal(to) &&
  (from === 'INT64' || isDecimal(from)) &&
  !(from.startsWith('BIG') && !to.startsWith('BIG'));

/** `JSON` has no equality of its own: texts are compared. */
export const comparable = (value: string, type: string): string =>
  type === 'JSON' ? `TO_JSON_STRING(${value})` : value;
