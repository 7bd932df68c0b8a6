// What a row of any of our databases says, read back with its type: a wrong one is a defect, told by the column's name.
import type { z } from 'zod';
import { HeadwaterError } from '../rules/errors.ts';

export type Row = Readonly<Record<string, unknown>>;

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new HeadwaterError('INTERNAL', `the ledger's ${column} is not a text`);
  return value;
}

export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column);
}

export function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number')
    throw new HeadwaterError('INTERNAL', `the ledger's ${column} is not a number`);
  return value;
}

export function integerOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : integer(row, column);
}

/** Reads back what the stores wrote with JSON.stringify. */
export function json<S extends z.ZodType>(schema: S, body: string): z.infer<S> {
  return schema.parse(JSON.parse(body));
}

export function jsonOrNull<S extends z.ZodType>(schema: S, body: string | null): z.infer<S> | null {
  return body === null ? null : json(schema, body);
}
