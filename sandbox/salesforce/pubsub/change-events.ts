/** Change events in Avro: the schema of an object's events, which moves with its fields, and what a change becomes. */
import { createHash } from 'node:crypto';
import avro, { type Type } from 'avsc';
import type { FieldSpec, FieldType } from '../fields.ts';
import type { Value } from '../makers.ts';
import type { Table } from '../table.ts';

export type ChangeType =
  | 'CREATE'
  | 'UPDATE'
  | 'DELETE'
  | 'UNDELETE'
  | 'GAP_CREATE'
  | 'GAP_UPDATE'
  | 'GAP_DELETE'
  | 'GAP_UNDELETE'
  | 'GAP_OVERFLOW';

/** Source: Change Data Capture Developer Guide, "Change Event Header Fields". */
export interface ChangeHeader {
  readonly entityName: string;
  readonly recordIds: readonly string[];
  readonly changeType: ChangeType;
  readonly changeOrigin: string;
  readonly transactionKey: string;
  readonly sequenceNumber: number;
  readonly commitTimestamp: number;
  readonly commitNumber: number;
  readonly commitUser: string;
  readonly nulledFields: readonly string[];
  readonly diffFields: readonly string[];
  readonly changedFields: readonly string[];
}

const texts = { type: 'array', items: 'string' };
const HEADER_FIELDS = [
  { name: 'entityName', type: 'string' },
  { name: 'recordIds', type: texts },
  {
    name: 'changeType',
    type: {
      type: 'enum',
      name: 'ChangeType',
      symbols: [
        ...['CREATE', 'UPDATE', 'DELETE', 'UNDELETE'],
        ...['GAP_CREATE', 'GAP_UPDATE', 'GAP_DELETE', 'GAP_UNDELETE', 'GAP_OVERFLOW'],
        'SNAPSHOT',
      ],
    },
  },
  { name: 'changeOrigin', type: 'string' },
  { name: 'transactionKey', type: 'string' },
  { name: 'sequenceNumber', type: 'int' },
  { name: 'commitTimestamp', type: 'long' },
  { name: 'commitNumber', type: 'long' },
  { name: 'commitUser', type: 'string' },
  { name: 'nulledFields', type: texts },
  { name: 'diffFields', type: texts },
  { name: 'changedFields', type: texts },
];

const AVRO: Partial<Record<FieldType, string>> = {
  ...{ boolean: 'boolean', int: 'int', date: 'long', datetime: 'long' },
  ...{ double: 'double', currency: 'double', percent: 'double' },
};
const LEFT_OUT: ReadonlySet<FieldType> = new Set(['id', 'address', 'base64']);

export interface EventSchema {
  readonly id: string;
  readonly json: string;
  readonly type: Type;
  readonly fields: readonly FieldSpec[];
}

/** Contact → ContactChangeEvent, Offer__c → Offer__ChangeEvent. */
export const eventNameOf = (object: string): string => `${object.replace(/__c$/, '__')}ChangeEvent`;

export function schemaOf(table: Table): EventSchema {
  const fields = table.fields().filter(({ type }) => !LEFT_OUT.has(type));
  const schema = {
    name: eventNameOf(table.name),
    namespace: 'com.sforce.eventbus',
    type: 'record' as const,
    fields: [
      {
        name: 'ChangeEventHeader',
        type: { type: 'record', name: 'ChangeEventHeader', fields: HEADER_FIELDS },
      },
      ...fields.map((spec) => ({
        name: spec.name,
        type: ['null', AVRO[spec.type] ?? 'string'],
        default: null,
      })),
    ],
  };
  const json = JSON.stringify(schema);
  const id = createHash('md5').update(json).digest('base64url');
  const known: Parameters<typeof Type.forSchema>[0] = JSON.parse(json);
  return { id, json, fields, type: avro.Type.forSchema(known) };
}

/** Of fields by name: one bit each by their place in the schema, the header first. */
export function bitmapOf({ fields }: EventSchema, names: readonly string[]): string[] {
  let bits = 0n;
  for (const [index, { name }] of fields.entries()) if (names.includes(name)) bits |= 1n << BigInt(index + 1);
  return bits === 0n ? [] : [`0x${bits.toString(16).toUpperCase()}`];
}

export function payloadOf(
  { type, fields }: EventSchema,
  header: ChangeHeader,
  values: Readonly<Record<string, Value>>,
): Buffer {
  const written = fields.map((spec) => [spec.name, avroValue(spec, values[spec.name] ?? null)]);
  return type.toBuffer({ ChangeEventHeader: header, ...Object.fromEntries(written) });
}

/** What does not fit its type (a word in a number) is left out, as a conversion would. */
function avroValue({ type }: FieldSpec, value: Value): string | number | boolean | null {
  if (value === null) return null;
  const target = AVRO[type];
  if (target === undefined) return value;
  if (target === 'boolean') return value === 'true';
  const number = target === 'long' ? Date.parse(value) : Number(value);
  if (!Number.isFinite(number)) return null;
  return target === 'int' && !Number.isInteger(number) ? null : number;
}
