import type { SqliteFile } from '../../sqlite.ts';
import type { IdentifierHit } from '../engine/program.ts';
import { num, str, type Values } from '../columns.ts';

/**
 * Many keys at once, as a JSON list: what is not there costs no step of its own. CROSS keeps the order of the joins, so rows come
 * in the order of the keys and, of one key, in that of its index: by rid.
 */

/** Fewer keys are asked for one by one. */
export const TOGETHER_MIN = 8;
/** Beyond this many holders together, some identifier has too many, and each is asked for with its own limit. */
const HOLDERS_PER_KEY = 4;

export const RECORD = `r.rid, r.oid, r.record, r.pid, r.home, r.salt, r.head, r.head_id, r.stamp, r.confirmed, r.deleted, r.row_hash,
  r.events, r.last`;
const RECORDS = `SELECT ${RECORD} FROM json_each(?2) k CROSS JOIN records r ON r.oid = ?1 AND r.record = k.value`;
const MEMBERS = `SELECT ${RECORD} FROM json_each(?) k CROSS JOIN records r ON r.pid = k.value`;
const PROFILES = `SELECT p.pid, p.entity, p.version, p.seq, p.at, p.deleted, p.merged_into, p.contested, p.guarded
  FROM json_each(?) k CROSS JOIN profiles p ON p.pid = k.value`;
const HOLDERS = `SELECT k.value, i.rid, r.pid FROM json_each(?) k CROSS JOIN identifiers i ON i.hash = k.value
  CROSS JOIN records r ON r.rid = i.rid LIMIT ?`;
const NEWEST = `SELECT e.seq, e.id, e.kind, e.rid, e.pid, e.cause, 0, e.confirmed, e.body, e.previous
  FROM json_each(?) k CROSS JOIN records r ON r.rid = k.value CROSS JOIN events e ON e.seq = r.last`;

export function recordsNamed(db: SqliteFile, oid: number, names: readonly string[]): Values[] {
  return db.list(RECORDS, oid, JSON.stringify(names));
}

export function membersOf(db: SqliteFile, pids: readonly number[]): Values[] {
  return db.list(MEMBERS, JSON.stringify(pids));
}

export function profilesOf(db: SqliteFile, pids: readonly number[]): Values[] {
  return db.list(PROFILES, JSON.stringify(pids));
}

/** The newest event of each record that has one. */
export function newestOf(db: SqliteFile, rids: readonly number[]): Values[] {
  return db.list(NEWEST, JSON.stringify(rids));
}

/** At most `limit` of each. Null: too many to be read together. */
export function holdersOf(db: SqliteFile, hashes: readonly string[], limit: number): IdentifierHit[] | null {
  const most = hashes.length * HOLDERS_PER_KEY;
  const rows = db.list(HOLDERS, JSON.stringify(hashes), most);
  if (rows.length === most) return null;
  const hits: IdentifierHit[] = [];
  let first = 0;
  for (const [hash, rid, pid] of rows) {
    if (hits[first]?.hash !== hash) first = hits.length;
    if (hits.length - first < limit) hits.push({ hash: str(hash), rid: num(rid), pid: num(pid) });
  }
  return hits;
}
