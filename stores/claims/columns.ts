// Columns of the claims' tables, read back with their types; in both databases they come in the same order.
import { HeadwaterError } from '../../rules/errors.ts';
import { conflictRulesSchema } from '../../schemas/conflicts.ts';
import type { ChangeRow, Edge, EventRow, Head, ProfileRow, ReviewRow, RulesRow } from './engine/program.ts';

export type Values = readonly unknown[];

export function num(value: unknown): number {
  if (typeof value !== 'number') throw new HeadwaterError('INTERNAL', 'a column of the claims is no number');
  return value;
}

export function str(value: unknown): string {
  if (typeof value !== 'string') throw new HeadwaterError('INTERNAL', 'a column of the claims is no text');
  return value;
}

export const numOrNull = (value: unknown) => (value === null ? null : num(value));
export const strOrNull = (value: unknown) => (value === null ? null : str(value));
const bytesOrNull = (value: unknown) => (value instanceof Uint8Array ? value : null);
/** SQLite has no booleans of its own. */
const flag = (value: unknown) => value === true || value === 1;

export function headRow(values: Values | undefined): Head {
  const [seq, rid, pid, position, cause, batch, hash, edges, suppressed] = values ?? [];
  return {
    seq: num(seq),
    rid: num(rid),
    pid: num(pid),
    position: num(position),
    cause: num(cause),
    batch: num(batch),
    hash: str(hash),
    edges: num(edges),
    suppressed: num(suppressed),
  };
}

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
    body: bytesOrNull(body),
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
    deleted: flag(deleted),
    mergedInto: numOrNull(mergedInto),
    contested: flag(contested),
    guarded: flag(guarded),
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

export function edgeRow([a, b, kind]: Values): Edge {
  if (kind === 'link' || kind === 'alias' || kind === 'apart') return { a: num(a), b: num(b), kind };
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

export function changeRow([id, rid, state, at, seal, body]: Values): ChangeRow {
  return {
    id: str(id),
    rid: num(rid),
    state: state === 'confirmed' || state === 'refused' ? state : 'pending',
    at: num(at),
    seal: str(seal),
    body: bytesOrNull(body) ?? new Uint8Array(),
  };
}
