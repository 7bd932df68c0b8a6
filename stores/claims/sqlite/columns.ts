import type { SQLOutputValue } from 'node:sqlite';
import { HeadwaterError } from '../../../rules/errors.ts';
import type { EventRow } from '../engine/program.ts';

export type Values = SQLOutputValue[];

export function num(value: SQLOutputValue | undefined): number {
  if (typeof value !== 'number') throw new HeadwaterError('INTERNAL', 'a column of the claims is no number');
  return value;
}

export function str(value: SQLOutputValue | undefined): string {
  if (typeof value !== 'string') throw new HeadwaterError('INTERNAL', 'a column of the claims is no text');
  return value;
}

export const numOrNull = (value: SQLOutputValue | undefined) => (value === null ? null : num(value));
export const strOrNull = (value: SQLOutputValue | undefined) => (value === null ? null : str(value));

export const EVENT = `SELECT e.seq, e.id, e.kind, e.rid, e.pid, e.cause, c.at, e.confirmed, e.body
  FROM events e JOIN causes c ON c.number = e.cause`;

export function eventRow(values: Values): EventRow {
  const [seq, id, kind, rid, pid, cause, at, confirmed, body] = values;
  return {
    seq: num(seq),
    id: str(id),
    kind: num(kind),
    rid: numOrNull(rid),
    pid: numOrNull(pid),
    cause: num(cause),
    at: num(at),
    confirmed: numOrNull(confirmed),
    body: body instanceof Uint8Array ? body : null,
  };
}
