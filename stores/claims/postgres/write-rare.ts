import { literal, numbers, texts } from '../../postgres-literal.ts';
import type { Writes } from '../engine/draft.ts';
import type { ReviewRow } from '../engine/program.ts';
import { writeChanges } from './changes.ts';

/** What most transactions do not do. */
export function writeRare(statements: string[], writes: Writes): void {
  const { moves, goneEdges, newEdges, rules, applied, progress, suppress } = writes;
  if (moves.length > 0) {
    const columns = [numbers(moves.map(({ pid }) => pid)), numbers(moves.map(({ rid }) => rid))];
    statements.push(
      `INSERT INTO moves (pid, rid) SELECT * FROM unnest(${columns.join(', ')}) ON CONFLICT DO NOTHING`,
    );
  }
  for (const { a, b, kind } of goneEdges) {
    statements.push(`DELETE FROM edges WHERE a = ${a} AND b = ${b} AND kind = ${literal(kind)}`);
  }
  for (const { a, b, kind } of newEdges) {
    const values = [a, b, kind].map(literal).join(', ');
    statements.push(`INSERT INTO edges (a, b, kind) VALUES (${values}) ON CONFLICT DO NOTHING`);
  }
  for (const review of writes.reviews) statements.push(writeReview(review));
  writeChanges(statements, writes);
  if (rules !== null) {
    const { entity, seq, hash, at } = rules;
    const values = [entity, seq, hash, JSON.stringify(rules.rules), at].map(literal).join(', ');
    statements.push(`INSERT INTO rules (entity, seq, hash, body, at) VALUES (${values})`);
  }
  if (applied !== null) {
    const values = [applied.batch, JSON.stringify(applied.receipt)].map(literal).join(', ');
    // A repetition after a commit without an answer; the first receipt says what really changed.
    statements.push(`INSERT INTO applied (batch, receipt) VALUES (${values}) ON CONFLICT DO NOTHING`);
  }
  if (progress !== null) statements.push(writeProgress(progress));
  if (suppress.length > 0) {
    statements.push(
      `INSERT INTO suppressed (hash) SELECT DISTINCT * FROM unnest(${texts(suppress)}) ON CONFLICT DO NOTHING`,
    );
  }
  for (const one of writes.forget) forget(statements, one);
}

function writeReview(review: ReviewRow): string {
  const { id, kind, entity, pid, field, candidates, evidence, openedAt, state, decision } = review;
  const row = [id, kind, entity, pid, field, JSON.stringify(candidates), evidence, openedAt, state, decision];
  return `INSERT INTO reviews (id, kind, entity, pid, field, candidates, evidence, opened_at, state, decision)
    VALUES (${row.map(literal).join(', ')})
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, decision = excluded.decision`;
}

function writeProgress({ key, value }: NonNullable<Writes['progress']>): string {
  if (value === null) return `DELETE FROM claims_meta WHERE key = ${literal(key)}`;
  return `INSERT INTO claims_meta (key, value) VALUES (${literal(key)}, ${literal(value)})
    ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
}

/** I5: without the salt there is no key; see `scrub` for the old version of the row. */
function forget(statements: string[], { rid, identifiers, references }: Writes['forget'][number]): void {
  statements.push(
    `UPDATE records SET record = NULL, salt = NULL, head_id = NULL, row_hash = NULL, deleted = true WHERE rid = ${rid}`,
    `DELETE FROM edges WHERE a = ${rid} OR b = ${rid}`,
  );
  if (references.length > 0) {
    statements.push(`DELETE FROM record_references WHERE rid = ${rid} AND hash = ANY (${texts(references)})`);
  }
  if (identifiers.length === 0) return;
  statements.push(`DELETE FROM identifiers WHERE rid = ${rid} AND hash = ANY (${texts(identifiers)})`);
}
