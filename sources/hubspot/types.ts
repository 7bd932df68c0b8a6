import type { FieldType } from '../../schemas/object-schema.ts';
import type { SourceType } from '../source.ts';

/** HubSpot keeps numbers as decimal text; a value with more digits widens the column, and none is rounded. */
const NUMBER: FieldType = { kind: 'decimal', precision: 22, scale: 4 };
const TYPES: Record<string, FieldType> = {
  number: NUMBER,
  bool: { kind: 'boolean' },
  date: { kind: 'date' },
  datetime: { kind: 'timestamp' },
};
/** Source: CRM properties guide, "Property type and fieldType values". */
const TEXTS: Readonly<Record<string, string>> = {
  string: '',
  enumeration: 'several choices are one text, split by ;',
  phone_number: '',
  json: 'as it is written',
  object_coordinates: 'as they are written',
};

/** Everything else is text. */
export function fieldType(property: { type: string }): FieldType {
  return TYPES[property.type] ?? { kind: 'string' };
}

export const types: readonly SourceType[] = [
  ...Object.entries(TEXTS).map(([name, note]) => ({ name, type: fieldType({ type: name }), note })),
  ...Object.entries(TYPES).map(([name, type]) => ({
    name,
    type,
    ...(type === NUMBER && { note: 'more digits widen the column' }),
  })),
];
