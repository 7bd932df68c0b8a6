import type { FieldType } from '../../schemas/object-schema.ts';
import type { SourceType } from '../source.ts';

const DECIMAL_DIGITS_MAX = 38;

const SIMPLE_TYPES: Record<
  string,
  FieldType['kind'] & ('string' | 'boolean' | 'integer' | 'date' | 'time' | 'timestamp' | 'json')
> = {
  boolean: 'boolean',
  int: 'integer',
  long: 'integer',
  date: 'date',
  datetime: 'timestamp',
  time: 'time',
  complexvalue: 'json',
  json: 'json',
};
/** Of a describe; any other type is text. Source: Object Reference, "Field Types". */
const TEXTS = [
  ...['id', 'reference', 'string', 'textarea', 'encryptedstring', 'email', 'phone', 'url'],
  ...['picklist', 'multipicklist', 'combobox', 'DataCategoryGroupReference', 'anyType'],
];
const NUMBERS = ['double', 'currency', 'percent'];
/** Compounds repeat their parts, which are fields of their own; base64 is a file, not a value. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  address: 'its parts are fields of their own',
  location: 'its parts are fields of their own',
  base64: 'a file, not a value',
};

export const isLeftOut = (type: string): boolean => Object.hasOwn(LEFT_OUT, type);

/** Unknown types become text, which holds every value. */
export function fieldType(field: {
  type: string;
  precision: number;
  scale: number;
  name?: string;
}): FieldType {
  // The coordinates of an address or a geolocation are doubles whatever precision their describe shows.
  if (field.type === 'double' && /(Latitude|Longitude)(__s)?$/.test(field.name ?? ''))
    return { kind: 'double' };
  if (NUMBERS.includes(field.type)) {
    const { precision, scale } = field;
    const exact = precision >= 1 && precision <= DECIMAL_DIGITS_MAX && scale >= 0 && scale <= precision;
    return exact ? { kind: 'decimal', precision, scale } : { kind: 'double' };
  }
  return { kind: SIMPLE_TYPES[field.type] ?? 'string' };
}

const DIGITS = 'digits as described; without a description of them, and coordinates, double';

export const types: readonly SourceType[] = [
  ...TEXTS.map((name) => ({ name, type: fieldType({ type: name, precision: 0, scale: 0 }) })),
  ...NUMBERS.map((name) => ({
    name,
    type: fieldType({ type: name, precision: 18, scale: 2 }),
    note: DIGITS,
  })),
  ...Object.entries(SIMPLE_TYPES).map(([name, kind]) => ({ name, type: { kind } })),
  ...Object.entries(LEFT_OUT).map(([name, note]) => ({ name, type: null, note })),
];
