import type { FieldType } from '../../schemas/object-schema.ts';
import type { SourceType } from '../source.ts';

export const SIMPLE = [
  'string',
  'boolean',
  'integer',
  'double',
  'date',
  'time',
  'timestamp',
  'json',
] as const;

/** As a configuration writes it. */
export function wordOf(type: FieldType): string {
  return type.kind === 'decimal' ? `decimal(${type.precision},${type.scale})` : type.kind;
}

const MONEY: FieldType = { kind: 'decimal', precision: 18, scale: 2 };

export const types: readonly SourceType[] = [
  ...SIMPLE.map((name) => ({ name, type: { kind: name } })),
  { name: wordOf(MONEY), type: MONEY, note: 'up to 38 digits' },
];
