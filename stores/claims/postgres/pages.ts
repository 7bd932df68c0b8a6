import { HeadwaterError } from '../../../rules/errors.ts';
import { viaSchema } from '../../../schemas/observation.ts';
import type { Transaction } from '../../postgres.ts';
import type { Link } from '../chain.ts';
import type { ApplyReceipt } from '../claims.ts';
import type { CauseOf, EventRow, OutboxEntry, ReviewRow } from '../engine/program.ts';
import { eventRow, num, reviewRow, str, strOrNull } from '../columns.ts';
import { EVENT, REVIEW } from './columns.ts';

/** Lists in bounded pages. */

export async function profilesAfter(
  tx: Transaction,
  after: number,
  entity: string | null,
  limit: number,
): Promise<number[]> {
  const rows =
    entity === null
      ? await tx.list(
          'SELECT pid FROM profiles WHERE pid > $1 AND merged_into IS NULL ORDER BY pid LIMIT $2',
          ...[after, limit],
        )
      : await tx.list(
          'SELECT pid FROM profiles WHERE entity = $3 AND pid > $1 AND merged_into IS NULL ORDER BY pid LIMIT $2',
          ...[after, limit, entity],
        );
  return rows.map(([pid]) => num(pid));
}

export async function contested(
  tx: Transaction,
  entity: string | null,
  skip: number,
  limit: number,
): Promise<number[]> {
  const rows = await tx.list(
    `SELECT pid FROM profiles WHERE contested AND entity = coalesce($1, entity) AND merged_into IS NULL
     ORDER BY seq DESC, pid DESC LIMIT $2 OFFSET $3`,
    ...[entity, limit, skip],
  );
  return rows.map(([pid]) => num(pid));
}

export async function eventsAfter(tx: Transaction, seq: number, limit: number): Promise<EventRow[]> {
  const rows = await tx.list(
    `SELECT ${EVENT} FROM events e JOIN causes c ON c.number = e.cause WHERE e.seq > $1 ORDER BY e.seq LIMIT $2`,
    ...[seq, limit],
  );
  return rows.map(eventRow);
}

export async function links(tx: Transaction, after: number, limit: number): Promise<Link[]> {
  const rows = await tx.list(
    'SELECT number, first_seq, last_seq, cause, root, hash FROM batches WHERE number > $1 ORDER BY number LIMIT $2',
    ...[after, limit],
  );
  return rows.map(([number, firstSeq, lastSeq, cause, root, hash]) => ({
    number: num(number),
    firstSeq: num(firstSeq),
    lastSeq: num(lastSeq),
    cause: num(cause),
    root: str(root),
    hash: str(hash),
  }));
}

export async function recordsChanged(
  tx: Transaction,
  { run, sinceMs }: { run: string | null; sinceMs: number | null },
  after: number,
  limit: number,
): Promise<number[]> {
  // A batch has one cause, and its events are neighbours.
  const rows =
    run === null && sinceMs === null
      ? await tx.list(
          'SELECT rid FROM records WHERE rid > $1 AND salt IS NOT NULL ORDER BY rid LIMIT $2',
          ...[after, limit],
        )
      : await tx.list(
          `SELECT DISTINCT e.rid FROM causes c JOIN batches b ON b.cause = c.number
             JOIN events e ON e.seq BETWEEN b.first_seq AND b.last_seq
           WHERE ($3::text IS NULL OR c.run = $3) AND ($4::bigint IS NULL OR c.at > $4) AND e.rid > $1
           ORDER BY e.rid LIMIT $2`,
          ...[after, limit, run, sinceMs],
        );
  return rows.map(([rid]) => num(rid));
}

export async function outbox(tx: Transaction, after: number, limit: number): Promise<OutboxEntry[]> {
  const rows = await tx.list(
    `SELECT o.position, o.pid, p.entity, o.version, o.seq, o.at FROM outbox o JOIN profiles p ON p.pid = o.pid
     WHERE o.position > $1 ORDER BY o.position LIMIT $2`,
    ...[after, limit],
  );
  return rows.map(([position, pid, entity, version, seq, at]) => ({
    position: num(position),
    pid: num(pid),
    entity: str(entity),
    version: num(version),
    seq: num(seq),
    at: num(at),
  }));
}

export async function reviewsIn(
  tx: Transaction,
  state: 'open' | 'resolved' | null,
  limit: number,
): Promise<ReviewRow[]> {
  const rows = await tx.list(
    `SELECT ${REVIEW} FROM reviews WHERE state = coalesce($1, state) ORDER BY opened_at, id LIMIT $2`,
    ...[state, limit],
  );
  return rows.map(reviewRow);
}

export async function causes(tx: Transaction, numbers: readonly number[]): Promise<Map<number, CauseOf>> {
  const rows = await tx.list(
    'SELECT number, via, run, actor, reason FROM causes WHERE number = ANY ($1::bigint[])',
    numbers,
  );
  const found = new Map<number, CauseOf>();
  for (const [number, via, run, actor, reason] of rows) {
    found.set(num(number), {
      via: viaSchema.parse(via),
      run: strOrNull(run),
      actor: strOrNull(actor),
      reason: strOrNull(reason),
    });
  }
  const missing = numbers.find((number) => !found.has(number));
  if (missing !== undefined) throw new HeadwaterError('INTERNAL', `the claims have no cause ${missing}`);
  return found;
}

export async function applied(tx: Transaction, batch: string): Promise<ApplyReceipt | null> {
  const row = await tx.one('SELECT receipt FROM applied WHERE batch = $1', batch);
  if (row === undefined) return null;
  const receipt: ApplyReceipt = JSON.parse(str(row[0]));
  return receipt;
}
