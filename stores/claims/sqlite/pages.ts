import type { Link } from '../chain.ts';
import type { ApplyReceipt } from '../claims.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import { viaSchema } from '../../../schemas/observation.ts';
import type { SqliteFile } from '../../sqlite.ts';
import type { CauseOf, EventRow, OutboxEntry } from '../engine/program.ts';
import { eventRow, num, str, strOrNull } from '../columns.ts';

/** Lists in bounded pages. */

const EVENT = `SELECT e.seq, e.id, e.kind, e.rid, e.pid, e.cause, c.at, e.confirmed, e.body
  FROM events e JOIN causes c ON c.number = e.cause`;

export function profilesAfter(db: SqliteFile, after: number, entity: string | null, limit: number): number[] {
  const rows =
    entity === null
      ? db.list(
          'SELECT pid FROM profiles WHERE pid > ? AND merged_into IS NULL ORDER BY pid LIMIT ?',
          after,
          limit,
        )
      : db.list(
          'SELECT pid FROM profiles WHERE entity = ? AND pid > ? AND merged_into IS NULL ORDER BY pid LIMIT ?',
          ...[entity, after, limit],
        );
  return rows.map(([pid]) => num(pid));
}

export function contested(db: SqliteFile, entity: string | null, skip: number, limit: number): number[] {
  return db
    .list(
      `SELECT pid FROM profiles WHERE contested = 1 AND entity = ifnull(?, entity) AND merged_into IS NULL
       ORDER BY seq DESC, pid DESC LIMIT ? OFFSET ?`,
      ...[entity, limit, skip],
    )
    .map(([pid]) => num(pid));
}

export function eventsAfter(db: SqliteFile, seq: number, limit: number): EventRow[] {
  return db.list(`${EVENT} WHERE e.seq > ? ORDER BY e.seq LIMIT ?`, seq, limit).map(eventRow);
}

export function links(db: SqliteFile, after: number, limit: number): Link[] {
  return db
    .list(
      'SELECT number, first_seq, last_seq, cause, root, hash FROM batches WHERE number > ? ORDER BY number LIMIT ?',
      ...[after, limit],
    )
    .map(([number, firstSeq, lastSeq, cause, root, hash]) => ({
      number: num(number),
      firstSeq: num(firstSeq),
      lastSeq: num(lastSeq),
      cause: num(cause),
      root: str(root),
      hash: str(hash),
    }));
}

export function recordsChanged(
  db: SqliteFile,
  { run, sinceMs }: { run: string | null; sinceMs: number | null },
  after: number,
  limit: number,
): number[] {
  if (run === null && sinceMs === null) {
    return db
      .list('SELECT rid FROM records WHERE rid > ? AND salt IS NOT NULL ORDER BY rid LIMIT ?', after, limit)
      .map(([rid]) => num(rid));
  }
  // A batch has one cause, and its events are neighbours.
  return db
    .list(
      `SELECT DISTINCT e.rid FROM causes c JOIN batches b ON b.cause = c.number
         JOIN events e ON e.seq BETWEEN b.first_seq AND b.last_seq
       WHERE (?1 IS NULL OR c.run = ?1) AND (?2 IS NULL OR c.at > ?2) AND e.rid > ?3 ORDER BY e.rid LIMIT ?4`,
      ...[run, sinceMs, after, limit],
    )
    .map(([rid]) => num(rid));
}

export function outbox(db: SqliteFile, after: number, limit: number): OutboxEntry[] {
  return db
    .list(
      `SELECT o.position, o.pid, p.entity, o.version, o.seq, o.at FROM outbox o JOIN profiles p ON p.pid = o.pid
       WHERE o.position > ? ORDER BY o.position LIMIT ?`,
      ...[after, limit],
    )
    .map(([position, pid, entity, version, seq, at]) => ({
      position: num(position),
      pid: num(pid),
      entity: str(entity),
      version: num(version),
      seq: num(seq),
      at: num(at),
    }));
}

export function causes(db: SqliteFile, numbers: readonly number[]): Map<number, CauseOf> {
  const found = new Map<number, CauseOf>();
  for (const number of numbers) {
    const row = db.one('SELECT via, run, actor, reason FROM causes WHERE number = ?', number);
    if (row === undefined) throw new HeadwaterError('INTERNAL', `the claims have no cause ${number}`);
    const [via, run, actor, reason] = row;
    found.set(number, {
      via: viaSchema.parse(via),
      run: strOrNull(run),
      actor: strOrNull(actor),
      reason: strOrNull(reason),
    });
  }
  return found;
}

export function applied(db: SqliteFile, batch: string): ApplyReceipt | null {
  const row = db.one('SELECT receipt FROM applied WHERE batch = ?', batch);
  if (row === undefined) return null;
  const receipt: ApplyReceipt = JSON.parse(str(row[0]));
  return receipt;
}
