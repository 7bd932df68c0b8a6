import type { Instant } from '../../schemas/instant.ts';
import { BY_ID_WINDOW } from '../warehouse.ts';
import type { Client } from './client.ts';
import { moment, text } from './names.ts';
import { ownTable } from './system-tables.ts';

/** Interval rows are never touched: they define coverage and are counted by `seq`. */
export async function pruneFacts(client: Client, before: Instant, rowsMax: number): Promise<number> {
  let removed = 0;
  for (const { table, id, old } of oldFacts(client, before)) {
    const from = ownTable(client, table);
    removed += await client.run(
      `DELETE FROM ${from} WHERE ${id} IN (SELECT ${id} FROM ${from} WHERE ${old} ORDER BY 1 LIMIT ${Math.trunc(rowsMax)})`,
    );
  }
  // I5: what the source sent is kept for as long as somebody may correct it, not for ever.
  await client.run(
    `UPDATE ${ownTable(client, 'quarantine')} SET \`value\` = NULL, \`raw\` = NULL
WHERE \`quarantined_at\` < ${moment(before)} AND (\`value\` IS NOT NULL OR \`raw\` IS NOT NULL) AND ${closed(client)}`,
  );
  return removed;
}

/** I3: only of windows that have their interval row, or never get one; an open one still compares attempts and batches. */
const closed = (client: Client): string =>
  `(\`window\` IN (SELECT i.\`window\` FROM ${ownTable(client, 'intervals')} AS i) OR STARTS_WITH(\`window\`, ${text(BY_ID_WINDOW)}))`;

/**
 * What goes of each table. That a record was set aside is remembered once per field, because it explains why its row is not
 * there; a change that was not applied stays too, because it is told once.
 */
function oldFacts(client: Client, before: Instant): { table: string; id: string; old: string }[] {
  const limit = moment(before);
  const newest = `SELECT n.\`id\` FROM ${ownTable(client, 'quarantine')} AS n WHERE n.\`record\` IS NOT NULL QUALIFY ROW_NUMBER() OVER (PARTITION BY n.\`connection\`, n.\`object\`, n.\`record\`, n.\`field\` ORDER BY n.\`quarantined_at\` DESC, n.\`id\` DESC) = 1`;
  return [
    {
      table: 'batches',
      id: "CONCAT(`window`, '/', `batch`)",
      old: `\`loaded_at\` < ${limit} AND ${closed(client)}`,
    },
    {
      table: 'quarantine',
      id: '`id`',
      old: `\`quarantined_at\` < ${limit} AND ${closed(client)} AND (\`record\` IS NULL OR \`id\` NOT IN (${newest}))`,
    },
    {
      table: 'runs',
      id: "CONCAT(`workflow_id`, '/', `run_id`)",
      old: `\`started_at\` < ${text(before)}`,
    },
    { table: 'schema_changes', id: '`id`', old: `\`changed_at\` < ${limit} AND \`action\` = 'applied'` },
  ];
}
