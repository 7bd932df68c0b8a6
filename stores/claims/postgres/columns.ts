// The columns that `../columns.ts` reads, in its order.
export const HEAD = 'seq, rid, pid, position, cause, batch, hash, edges, suppressed';

/** A version that is not the newest any more keeps its last confirmation apart. */
export const EVENT = `e.seq, e.id, e.kind, e.rid, e.pid, e.cause, c.at,
  greatest(e.confirmed, (SELECT f.confirmed FROM confirmations f WHERE f.seq = e.seq)), e.body`;

export const PROFILE = 'pid, entity, version, seq, at, deleted, merged_into, contested, guarded';

export const RULES = 'entity, hash, body, seq, at';

export const REVIEW = 'id, kind, entity, pid, field, candidates, evidence, opened_at, state, decision';
