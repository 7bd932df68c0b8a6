import { CopyRows } from '../../postgres-copy.ts';
import { booleans, literal, numbers, texts } from '../../postgres-literal.ts';
import type { CauseRow, Writes } from '../engine/draft.ts';
import type { RecordRow } from '../engine/program.ts';
import { writeRare } from './write-rare.ts';

/** Statements, and the rows of their COPYs in the same order. */
export interface Script {
  statements: string[];
  rows: Buffer[];
}

/** Everything that a program decided, in one round trip of the transaction that holds the head. */
export function scriptOf(writes: Writes): Script {
  const script: Script = { statements: [], rows: [] };
  const { statements } = script;
  if (writes.cause !== null) statements.push(insertCause(writes.cause));
  copyEvents(script, writes.events);
  if (writes.link !== null) {
    const { number, firstSeq, lastSeq, cause, root, hash } = writes.link;
    const values = [number, firstSeq, lastSeq, cause, root, hash].map(literal).join(', ');
    statements.push(
      `INSERT INTO batches (number, first_seq, last_seq, cause, root, hash) VALUES (${values})`,
    );
  }
  copyRecords(script, writes.newRecords);
  updateRecords(script, writes.records);
  copyProfiles(script, writes.newProfiles);
  updateProfiles(script, writes.profiles);
  insertIdentifiers(script, writes.identifiers);
  dropIdentifiers(script, writes.dropped);
  deleteIdentifiers(script, writes.dropped);
  insertReferences(script, writes.references);
  confirm(script, writes.confirmations);
  copyOutbox(script, writes.outbox);
  writeRare(statements, writes);
  count(script, writes.counts);
  statements.push(updateHead(writes));
  return script;
}

function insertCause({ number, at, via, run, actor, reason }: CauseRow): string {
  const values = [number, Date.parse(at), via, run, actor, reason].map(literal).join(', ');
  return `INSERT INTO causes (number, at, via, run, actor, reason) VALUES (${values})`;
}

function copyEvents({ statements, rows }: Script, events: Writes['events']): void {
  if (events.length === 0) return;
  const copy = new CopyRows();
  for (const { seq, id, kind, rid, profile, cause, confirmed, body } of events) {
    copy.row(8).int8(seq).text(id).int2(kind).int8(rid).int8(profile).int8(cause).int8(confirmed).bytes(body);
  }
  statements.push('COPY events (seq, id, kind, rid, pid, cause, confirmed, body) FROM STDIN (FORMAT binary)');
  rows.push(copy.end());
}

const stampOf = ({ stamp }: RecordRow) => (Number.isFinite(stamp) ? stamp : null);

function copyRecords({ statements, rows }: Script, records: readonly RecordRow[]): void {
  if (records.length === 0) return;
  const copy = new CopyRows();
  for (const row of records) {
    copy.row(13).int8(row.rid).int4(row.oid).text(row.record).int8(row.pid).int8(row.home).text(row.salt);
    copy.int8(row.head).text(row.headId).int8(stampOf(row)).int8(row.confirmed).bool(row.deleted);
    copy.text(row.rowHash).int4(row.events);
  }
  statements.push(
    'COPY records (rid, oid, record, pid, home, salt, head, head_id, stamp, confirmed, deleted, row_hash, events) FROM STDIN (FORMAT binary)',
  );
  rows.push(copy.end());
}

function updateRecords({ statements }: Script, records: readonly RecordRow[]): void {
  if (records.length === 0) return;
  const columns = [
    numbers(records.map(({ rid }) => rid)),
    numbers(records.map(({ pid }) => pid)),
    numbers(records.map(({ home }) => home)),
    numbers(records.map(({ head }) => head)),
    texts(records.map(({ headId }) => headId)),
    numbers(records.map(stampOf)),
    numbers(records.map(({ confirmed }) => confirmed)),
    booleans(records.map(({ deleted }) => deleted)),
    texts(records.map(({ rowHash }) => rowHash)),
    numbers(records.map(({ events }) => events)),
  ];
  statements.push(`UPDATE records r SET pid = v.pid, home = v.home, head = v.head, head_id = v.head_id, stamp = v.stamp,
    confirmed = v.confirmed, deleted = v.deleted, row_hash = v.row_hash, events = v.events
    FROM unnest(${columns.join(', ')}) AS v (rid, pid, home, head, head_id, stamp, confirmed, deleted, row_hash, events)
    WHERE r.rid = v.rid`);
}

function copyProfiles({ statements, rows }: Script, profiles: Writes['newProfiles']): void {
  if (profiles.length === 0) return;
  const copy = new CopyRows();
  for (const row of profiles) {
    copy.row(9).int8(row.pid).text(row.entity).int8(row.version).int8(row.seq).int8(row.at).bool(row.deleted);
    copy.int8(row.mergedInto).bool(row.contested).bool(row.guarded);
  }
  statements.push(
    'COPY profiles (pid, entity, version, seq, at, deleted, merged_into, contested, guarded) FROM STDIN (FORMAT binary)',
  );
  rows.push(copy.end());
}

function updateProfiles({ statements }: Script, profiles: Writes['profiles']): void {
  if (profiles.length === 0) return;
  const columns = [
    numbers(profiles.map(({ pid }) => pid)),
    numbers(profiles.map(({ version }) => version)),
    numbers(profiles.map(({ seq }) => seq)),
    numbers(profiles.map(({ at }) => at)),
    booleans(profiles.map(({ deleted }) => deleted)),
    numbers(profiles.map(({ mergedInto }) => mergedInto)),
    booleans(profiles.map(({ contested }) => contested)),
    booleans(profiles.map(({ guarded }) => guarded)),
  ];
  statements.push(`UPDATE profiles p SET version = v.version, seq = v.seq, at = v.at, deleted = v.deleted,
    merged_into = v.merged_into, contested = v.contested, guarded = v.guarded
    FROM unnest(${columns.join(', ')}) AS v (pid, version, seq, at, deleted, merged_into, contested, guarded)
    WHERE p.pid = v.pid`);
}

function dropIdentifiers({ statements }: Script, dropped: Writes['dropped']): void {
  if (dropped.length === 0) return;
  const columns = [texts(dropped.map(({ hash }) => hash)), numbers(dropped.map(({ rid }) => rid))];
  statements.push(
    `DELETE FROM identifiers i USING unnest(${columns.join(', ')}) AS d (hash, rid) WHERE i.hash = d.hash AND i.rid = d.rid`,
  );
}

function insertIdentifiers({ statements }: Script, identifiers: Writes['identifiers']): void {
  if (identifiers.length === 0) return;
  const columns = [texts(identifiers.map(({ hash }) => hash)), numbers(identifiers.map(({ rid }) => rid))];
  statements.push(
    `INSERT INTO identifiers (hash, rid) SELECT * FROM unnest(${columns.join(', ')}) ON CONFLICT DO NOTHING`,
  );
}

function insertReferences({ statements }: Script, references: Writes['references']): void {
  if (references.length === 0) return;
  const columns = [texts(references.map(({ hash }) => hash)), numbers(references.map(({ rid }) => rid))];
  statements.push(
    `INSERT INTO record_references (hash, rid) SELECT * FROM unnest(${columns.join(', ')}) ON CONFLICT DO NOTHING`,
  );
}

function deleteIdentifiers({ statements }: Script, dropped: Writes['dropped']): void {
  if (dropped.length === 0) return;
  const columns = [texts(dropped.map(({ hash }) => hash)), numbers(dropped.map(({ rid }) => rid))];
  statements.push(`DELETE FROM identifiers i USING unnest(${columns.join(', ')}) AS v (hash, rid)
    WHERE i.hash = v.hash AND i.rid = v.rid`);
}

/** One statement cannot change a row twice, so each version comes with its newest time alone. */
function confirm({ statements }: Script, confirmations: Writes['confirmations']): void {
  if (confirmations.length === 0) return;
  const newest = new Map<number, number>();
  for (const { seq, confirmed } of confirmations) {
    newest.set(seq, Math.max(confirmed, newest.get(seq) ?? -Infinity));
  }
  statements.push(`INSERT INTO confirmations AS old (seq, confirmed)
    SELECT * FROM unnest(${numbers([...newest.keys()])}, ${numbers([...newest.values()])})
    ON CONFLICT (seq) DO UPDATE SET confirmed = greatest(old.confirmed, excluded.confirmed)`);
}

function copyOutbox({ statements, rows }: Script, outbox: Writes['outbox']): void {
  if (outbox.length === 0) return;
  const copy = new CopyRows();
  for (const { position, pid, version, seq, at } of outbox) {
    copy.row(5).int8(position).int8(pid).int8(version).int8(seq).int8(at);
  }
  statements.push('COPY outbox (position, pid, version, seq, at) FROM STDIN (FORMAT binary)');
  rows.push(copy.end());
}

function count({ statements }: Script, counts: Writes['counts']): void {
  const changed = [...counts].filter(([, by]) => by !== 0);
  if (changed.length === 0) return;
  const values = changed.map(([name, by]) => `(${literal(name)}, ${by})`).join(', ');
  statements.push(`INSERT INTO claims_counts AS old (name, n) VALUES ${values}
    ON CONFLICT (name) DO UPDATE SET n = old.n + excluded.n`);
}

function updateHead({ head }: Writes): string {
  const { seq, rid, pid, position, cause, batch, hash, edges, suppressed } = head;
  return `UPDATE claims_head SET seq = ${seq}, rid = ${rid}, pid = ${pid}, position = ${position}, cause = ${cause},
    batch = ${batch}, hash = ${literal(hash)}, edges = ${edges}, suppressed = ${suppressed}`;
}
