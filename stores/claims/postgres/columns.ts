import { HeadwaterError } from '../../../rules/errors.ts';
import { conflictRulesSchema } from '../../../schemas/conflicts.ts';
import type { Value, Values } from '../../postgres.ts';
import type { Edge, EventRow, Head, ProfileRow, ReviewRow, RulesRow } from '../engine/program.ts';

export function num(value: Value | undefined): number {
  if (typeof value !== 'number') throw new HeadwaterError('INTERNAL', 'a column of the claims is no number');
  return value;
}

export function str(value: Value | undefined): string {
  if (typeof value !== 'string') throw new HeadwaterError('INTERNAL', 'a column of the claims is no text');
  return value;
}

export const numOrNull = (value: Value | undefined) => (value === null ? null : num(value));
export const strOrNull = (value: Value | undefined) => (value === null ? null : str(value));
const bytesOrNull = (value: Value | undefined) => (value instanceof Uint8Array ? value : null);

export const HEAD = 'seq, rid, pid, position, cause, batch, hash, edges, suppressed';

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

/** A version that is not the newest any more keeps its last confirmation apart. */
export const EVENT = `e.seq, e.id, e.kind, e.rid, e.pid, e.cause, c.at,
  greatest(e.confirmed, (SELECT f.confirmed FROM confirmations f WHERE f.seq = e.seq)), e.body`;

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

export const PROFILE = 'pid, entity, version, seq, at, deleted, merged_into, contested, guarded';

export function profileRow(values: Values): ProfileRow {
  const [pid, entity, version, seq, at, deleted, mergedInto, contested, guarded] = values;
  return {
    pid: num(pid),
    entity: str(entity),
    version: num(version),
    seq: num(seq),
    at: num(at),
    deleted: deleted === true,
    mergedInto: numOrNull(mergedInto),
    contested: contested === true,
    guarded: guarded === true,
  };
}

export const RULES = 'entity, hash, body, seq, at';

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
  if (kind !== 'link' && kind !== 'alias' && kind !== 'apart') {
    throw new HeadwaterError('INTERNAL', 'the claims hold an unknown kind of edge');
  }
  return { a: num(a), b: num(b), kind };
}

export const REVIEW = 'id, kind, entity, pid, field, candidates, evidence, opened_at, state, decision';

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
