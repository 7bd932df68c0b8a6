import type { ChangeState } from '../../../schemas/change.ts';
import type { Transaction } from '../../postgres.ts';
import { literal } from '../../postgres-literal.ts';
import { changeRow } from '../columns.ts';
import type { Writes } from '../engine/draft.ts';
import type { ChangeRow } from '../engine/program.ts';

const CHANGE = 'SELECT id, rid, state, at, seal, body FROM changes';

export async function change(tx: Transaction, id: string): Promise<ChangeRow | null> {
  const values = await tx.one(`${CHANGE} WHERE id = $1`, id);
  return values === undefined ? null : changeRow(values);
}

export async function changesOf(
  tx: Transaction,
  rids: readonly number[],
  limit: number,
): Promise<ChangeRow[]> {
  const text = `${CHANGE} WHERE rid = ANY ($1::bigint[]) ORDER BY at DESC, id DESC LIMIT $2`;
  return (await tx.list(text, rids, limit)).map(changeRow);
}

export async function changesIn(tx: Transaction, state: ChangeState, limit: number): Promise<ChangeRow[]> {
  return (await tx.list(`${CHANGE} WHERE state = $1 ORDER BY at, id LIMIT $2`, state, limit)).map(changeRow);
}

export function writeChanges(statements: string[], { changes, goneChanges, forget }: Writes): void {
  for (const { id, rid, state, at, seal, body } of changes) {
    const values = [id, rid, state, at, seal].map(literal).join(', ');
    const sealed = `decode('${Buffer.from(body).toString('hex')}', 'hex')`;
    statements.push(`INSERT INTO changes (id, rid, state, at, seal, body) VALUES (${values}, ${sealed})
      ON CONFLICT (id) DO UPDATE SET state = excluded.state, seal = excluded.seal, body = excluded.body`);
  }
  for (const id of goneChanges) statements.push(`DELETE FROM changes WHERE id = ${literal(id)}`);
  for (const { rid } of forget) statements.push(`DELETE FROM changes WHERE rid = ${rid}`);
}
