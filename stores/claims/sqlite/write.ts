import type { SqliteFile } from '../../sqlite.ts';
import type { CauseRow, Writes } from '../engine/draft.ts';
import type { ProfileRow, RecordRow, ReviewRow, RulesRow } from '../engine/program.ts';
import { writeChanges } from './changes.ts';

const INSERT_EVENT =
  'INSERT INTO events (seq, id, kind, rid, pid, cause, confirmed, previous, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)';
const INSERT_RECORD = `INSERT INTO records (rid, oid, record, pid, home, salt, head, head_id, stamp, confirmed, deleted, row_hash,
  events, last) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const UPDATE_RECORD = `UPDATE records SET pid = ?, home = ?, head = ?, head_id = ?, stamp = ?, confirmed = ?, deleted = ?, row_hash = ?,
  events = ?, last = ? WHERE rid = ?`;
const INSERT_PROFILE = `INSERT INTO profiles (pid, entity, version, seq, at, deleted, merged_into, contested, guarded)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const UPDATE_PROFILE = `UPDATE profiles SET version = ?, seq = ?, at = ?, deleted = ?, merged_into = ?, contested = ?, guarded = ?
  WHERE pid = ?`;
const DELETE_IDENTIFIER = 'DELETE FROM identifiers WHERE hash = ? AND rid = ?';
const INSERT_IDENTIFIER = 'INSERT OR IGNORE INTO identifiers (hash, rid) VALUES (?, ?)';
const INSERT_REFERENCE = 'INSERT OR IGNORE INTO record_references (hash, rid) VALUES (?, ?)';
const DELETE_REFERENCE = 'DELETE FROM record_references WHERE hash = ? AND rid = ?';
const CONFIRM = `INSERT INTO confirmations (seq, confirmed) VALUES (?, ?)
  ON CONFLICT (seq) DO UPDATE SET confirmed = max(confirmed, excluded.confirmed)`;
const INSERT_OUTBOX = 'INSERT INTO outbox (position, pid, version, seq, at) VALUES (?, ?, ?, ?, ?)';
const COUNT = 'INSERT INTO counts (name, n) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET n = n + ?2';
const HEAD = `UPDATE head SET seq = ?, rid = ?, pid = ?, position = ?, cause = ?, batch = ?, hash = ?, edges = ?, suppressed = ?`;

const PRUNE_UNTIL = `SELECT max(position) FROM (SELECT position FROM outbox WHERE position > ? AND position <=
  (SELECT min(position) FROM cursors WHERE instr(consumer, '/') = 0) ORDER BY position LIMIT ?)`;
const PRUNE = `DELETE FROM outbox WHERE position > ? AND position <= ?
  AND EXISTS (SELECT 1 FROM profiles p WHERE p.pid = outbox.pid AND p.version > outbox.version)`;

/** Everything that a program decided, in one transaction whose lock was taken before the program read. */
export function write(db: SqliteFile, writes: Writes): void {
  if (writes.empty) return;
  if (writes.cause !== null) insertCause(db, writes.cause);
  for (const { seq, id, kind, rid, profile, cause, confirmed, previous, body } of writes.events) {
    db.run(INSERT_EVENT, seq, id, kind, rid, profile, cause, confirmed, previous, body);
  }
  if (writes.link !== null) {
    const { number, firstSeq, lastSeq, cause, root, hash } = writes.link;
    db.run(
      'INSERT INTO batches (number, first_seq, last_seq, cause, root, hash) VALUES (?, ?, ?, ?, ?, ?)',
      ...[number, firstSeq, lastSeq, cause, root, hash],
    );
  }
  for (const row of writes.newRecords) insertRecord(db, row);
  for (const row of writes.records) updateRecord(db, row);
  for (const row of writes.newProfiles) insertProfile(db, row);
  for (const row of writes.profiles) updateProfile(db, row);
  for (const { hash, rid } of writes.identifiers) db.run(INSERT_IDENTIFIER, hash, rid);
  for (const { hash, rid } of writes.dropped) db.run(DELETE_IDENTIFIER, hash, rid);
  for (const { hash, rid } of writes.references) db.run(INSERT_REFERENCE, hash, rid);
  for (const { seq, confirmed } of writes.confirmations) db.run(CONFIRM, seq, confirmed);
  for (const { position, pid, version, seq, at } of writes.outbox) {
    db.run(INSERT_OUTBOX, position, pid, version, seq, at);
  }
  writeRare(db, writes);
  for (const [name, by] of writes.counts) if (by !== 0) db.run(COUNT, name, by);
  const { seq, rid, pid, position, cause, batch, hash, edges, suppressed } = writes.head;
  db.run(HEAD, seq, rid, pid, position, cause, batch, hash, edges, suppressed);
}

/** Up to the slowest consumer; what none has begun to read stays. */
export function pruneOutbox(
  db: SqliteFile,
  after: number,
  rows: number,
): { last: number | null; removed: number } {
  const [last] = db.one(PRUNE_UNTIL, after, rows) ?? [];
  if (typeof last !== 'number') return { last: null, removed: 0 };
  return { last, removed: db.run(PRUNE, after, last) };
}

function writeRare(db: SqliteFile, writes: Writes): void {
  for (const { pid, rid } of writes.moves) {
    db.run('INSERT OR IGNORE INTO moves (pid, rid) VALUES (?, ?)', pid, rid);
  }
  for (const { a, b, kind } of writes.goneEdges) {
    db.run('DELETE FROM edges WHERE a = ? AND b = ? AND kind = ?', a, b, kind);
  }
  for (const { a, b, kind } of writes.newEdges) {
    db.run('INSERT OR IGNORE INTO edges (a, b, kind) VALUES (?, ?, ?)', a, b, kind);
  }
  for (const review of writes.reviews) writeReview(db, review);
  writeChanges(db, writes);
  if (writes.rules !== null) insertRules(db, writes.rules);
  if (writes.applied !== null) {
    const { batch, receipt } = writes.applied;
    db.run('INSERT INTO applied (batch, receipt) VALUES (?, ?)', batch, JSON.stringify(receipt));
  }
  if (writes.progress !== null) {
    const { key, value } = writes.progress;
    if (value === null) db.run('DELETE FROM meta WHERE key = ?', key);
    else db.run('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)', key, value);
  }
  for (const hash of writes.suppress) db.run('INSERT OR IGNORE INTO suppressed (hash) VALUES (?)', hash);
  for (const { rid, identifiers, references } of writes.forget) {
    // I5: without the salt there is no key, and secure_delete overwrites what the row held.
    db.run(
      'UPDATE records SET record = NULL, salt = NULL, head_id = NULL, row_hash = NULL, deleted = 1 WHERE rid = ?',
      rid,
    );
    for (const hash of identifiers) db.run(DELETE_IDENTIFIER, hash, rid);
    for (const hash of references) db.run(DELETE_REFERENCE, hash, rid);
    db.run('DELETE FROM edges WHERE a = ?1 OR b = ?1', rid);
  }
}

function insertCause(db: SqliteFile, { number, at, via, run, actor, reason }: CauseRow): void {
  db.run(
    'INSERT INTO causes (number, at, via, run, actor, reason) VALUES (?, ?, ?, ?, ?, ?)',
    ...[number, Date.parse(at), via, run, actor, reason],
  );
}

function insertRecord(db: SqliteFile, row: RecordRow): void {
  const {
    rid,
    oid,
    record,
    pid,
    home,
    salt,
    head,
    headId,
    stamp,
    confirmed,
    deleted,
    rowHash,
    events,
    last,
  } = row;
  const at = Number.isFinite(stamp) ? stamp : null;
  db.run(
    INSERT_RECORD,
    rid,
    oid,
    record,
    pid,
    home,
    salt,
    head,
    headId,
    at,
    confirmed,
    deleted ? 1 : 0,
    rowHash,
    events,
    last,
  );
}

function updateRecord(db: SqliteFile, row: RecordRow): void {
  const { rid, pid, home, head, headId, stamp, confirmed, deleted, rowHash, events, last } = row;
  const at = Number.isFinite(stamp) ? stamp : null;
  db.run(UPDATE_RECORD, pid, home, head, headId, at, confirmed, deleted ? 1 : 0, rowHash, events, last, rid);
}

function insertProfile(db: SqliteFile, row: ProfileRow): void {
  const { pid, entity, version, seq, at, deleted, mergedInto, contested, guarded } = row;
  db.run(
    INSERT_PROFILE,
    pid,
    entity,
    version,
    seq,
    at,
    deleted ? 1 : 0,
    mergedInto,
    contested ? 1 : 0,
    guarded ? 1 : 0,
  );
}

function updateProfile(db: SqliteFile, row: ProfileRow): void {
  const { pid, version, seq, at, deleted, mergedInto, contested, guarded } = row;
  db.run(
    UPDATE_PROFILE,
    version,
    seq,
    at,
    deleted ? 1 : 0,
    mergedInto,
    contested ? 1 : 0,
    guarded ? 1 : 0,
    pid,
  );
}

function writeReview(db: SqliteFile, review: ReviewRow): void {
  const { id, kind, entity, pid, field, candidates, evidence, openedAt, state, decision } = review;
  db.run(
    `INSERT INTO reviews (id, kind, entity, pid, field, candidates, evidence, opened_at, state, decision)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, decision = excluded.decision`,
    ...[id, kind, entity, pid, field, JSON.stringify(candidates), evidence, openedAt, state, decision],
  );
}

function insertRules(db: SqliteFile, { entity, seq, hash, rules, at }: RulesRow): void {
  db.run(
    'INSERT INTO rules (entity, seq, hash, body, at) VALUES (?, ?, ?, ?, ?)',
    ...[entity, seq, hash, JSON.stringify(rules), at],
  );
}
