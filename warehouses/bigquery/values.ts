import { z } from 'zod';
import type { FactRow } from '../batch-rules.ts';

/** Named parameters of one statement. */
export type Parameters = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

const cell = z.looseObject({ v: z.unknown() });
const fieldSchema = z.looseObject({ name: z.string(), type: z.string(), mode: z.string().optional() });
export type AnswerField = z.output<typeof fieldSchema>;

export const resultSchema = z.looseObject({
  jobComplete: z.boolean().optional(),
  schema: z.looseObject({ fields: z.array(fieldSchema).optional() }).optional(),
  rows: z.array(z.looseObject({ f: z.array(cell) })).optional(),
  pageToken: z.string().optional(),
  numDmlAffectedRows: z.string().optional(),
});
export type ResultPage = z.output<typeof resultSchema>;

export function parameterList(parameters: Parameters): object[] {
  return Object.entries(parameters).map(([name, value]) => {
    if (Array.isArray(value))
      return {
        name,
        parameterType: { type: 'ARRAY', arrayType: { type: 'STRING' } },
        parameterValue: { arrayValues: value.map((one: string) => ({ value: one })) },
      };
    const type = typeof value === 'number' ? 'INT64' : typeof value === 'boolean' ? 'BOOL' : 'STRING';
    return {
      name,
      parameterType: { type },
      parameterValue: { value: value === null ? null : String(value) },
    };
  });
}

const MICROS = 1_000_000n;
const MS_PER_SECOND = 1_000n;

/** Microseconds since 1970 as the service itself writes a time: 2026-02-03 04:05:06.123456+00. */
export function timeText(micros: bigint): string {
  const part = ((micros % MICROS) + MICROS) % MICROS;
  const seconds = (micros - part) / MICROS;
  // Years have four digits, from 0001 to 9999.
  const [day = '', time = ''] = new Date(Number(seconds * MS_PER_SECOND))
    .toISOString()
    .slice(0, 19)
    .split('T');
  const fraction =
    part === 0n
      ? ''
      : `.${String(part)
          .padStart(6, '0')
          .replace(/(?:000)$/, '')}`;
  return `${day} ${time}${fraction}+00`;
}

/** JSON-safe and exact: 64-bit integers, decimals and times as text. */
export function decoded(value: unknown, { type, mode }: AnswerField): unknown {
  if (value === null || value === undefined) return null;
  if (mode === 'REPEATED' && Array.isArray(value))
    return value.map((one) => decoded(cell.parse(one).v, { name: '', type }));
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (type === 'BOOLEAN' || type === 'BOOL') return text === 'true';
  if (type === 'FLOAT' || type === 'FLOAT64') return Number.isFinite(Number(text)) ? Number(text) : text;
  if (type === 'TIMESTAMP' && /^-?\d+$/.test(text)) return timeText(BigInt(text));
  return text;
}

export const decodedRow = (fields: readonly AnswerField[], row: { f: { v?: unknown }[] }): unknown[] =>
  fields.map((field, at) => decoded(row.f[at]?.v, field));

export const factRow = (fields: readonly AnswerField[], row: { f: { v?: unknown }[] }): FactRow =>
  Object.fromEntries(fields.map((field, at) => [field.name, decoded(row.f[at]?.v, field)]));

/** A time of an answer, in milliseconds as instants are. */
export const instantOf = (value: unknown): string | null =>
  typeof value === 'string' ? new Date(value.replace(' ', 'T').replace(/\+00$/, 'Z')).toISOString() : null;
