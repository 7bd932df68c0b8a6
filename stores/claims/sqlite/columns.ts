import type { SQLOutputValue } from 'node:sqlite';
import { HeadwaterError } from '../../../rules/errors.ts';
import { conflictRulesSchema } from '../../../schemas/conflicts.ts';
import type { Edge, EventRow, ProfileRow, ReviewRow, RulesRow } from '../engine/program.ts';

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

export function rulesRow([entity, hash, body, seq, at]: Values): RulesRow {
  // Whoever has the rules of this hash already does not look into the text again.
  let rules: RulesRow['rules'] | undefined;
  return {
    entity: str(entity),
    hash: str(hash),
    get rules() {
      rules ??= conflictRulesSchema.parse(JSON.parse(str(body)));
      return rules;
    },
    seq: num(seq),
    at: num(at),
  };
}

export function profileRow(values: Values): ProfileRow {
  const [pid, entity, version, seq, at, deleted, mergedInto, contested, guarded] = values;
  return {
    pid: num(pid),
    entity: str(entity),
    version: num(version),
    seq: num(seq),
    at: num(at),
    deleted: deleted === 1,
    mergedInto: numOrNull(mergedInto),
    contested: contested === 1,
    guarded: guarded === 1,
  };
}

export function edgeKind(value: SQLOutputValue | undefined): Edge['kind'] {
  if (value === 'link' || value === 'alias' || value === 'apart') return value;
  throw new HeadwaterError('INTERNAL', 'the claims hold an unknown kind of edge');
}

export function reviewRow(values: Values): ReviewRow {
  const [id, kind, entity, pid, field, candidates, evidence, openedAt, state, decision] = values;
  const parsed: ReviewRow['candidates'] = JSON.parse(str(candidates));
  return {
    id: str(id),
    kind: kind === 'tie' ? 'tie' : 'link',
    entity: str(entity),
    pid: num(pid),
    field: strOrNull(field),
    candidates: parsed,
    evidence: str(evidence),
    openedAt: num(openedAt),
    state: state === 'open' ? 'open' : 'resolved',
    decision: strOrNull(decision),
  };
}
