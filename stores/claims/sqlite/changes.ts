import type { SqliteFile } from '../../sqlite.ts';
import { changeRow } from '../columns.ts';
import type { Writes } from '../engine/draft.ts';
import type { ChangeRow } from '../engine/program.ts';
import type { ChangeState } from '../../../schemas/change.ts';

const CHANGE = 'SELECT id, rid, state, at, seal, body FROM changes';
const PUT = `INSERT INTO changes (id, rid, state, at, seal, body) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET state = excluded.state, seal = excluded.seal, body = excluded.body`;

export function change(db: SqliteFile, id: string): ChangeRow | null {
  const values = db.one(`${CHANGE} WHERE id = ?`, id);
  return values === undefined ? null : changeRow(values);
}

export function changesOf(db: SqliteFile, rids: readonly number[], limit: number): ChangeRow[] {
  const text = `${CHANGE} WHERE rid IN (SELECT value FROM json_each(?)) ORDER BY at DESC, id DESC LIMIT ?`;
  return db.list(text, JSON.stringify(rids), limit).map(changeRow);
}

export function changesIn(db: SqliteFile, state: ChangeState, limit: number): ChangeRow[] {
  return db.list(`${CHANGE} WHERE state = ? ORDER BY at, id LIMIT ?`, state, limit).map(changeRow);
}

export function writeChanges(db: SqliteFile, { changes, goneChanges, forget }: Writes): void {
  for (const { id, rid, state, at, seal, body } of changes) db.run(PUT, id, rid, state, at, seal, body);
  for (const id of goneChanges) db.run('DELETE FROM changes WHERE id = ?', id);
  for (const { rid } of forget) db.run('DELETE FROM changes WHERE rid = ?', rid);
}
