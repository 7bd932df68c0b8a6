import type { Client } from './client.ts';
import { isMissing } from './errors.ts';
import { tableName } from './names.ts';
import { OWN, ownTable } from './system-tables.ts';

/** Dry runs that are asked at once. */
const AT_ONCE = 6;

/**
 * What one load into each of these objects' tables reads, by dry runs: they run nothing and cost nothing. A load decides by a few
 * columns, then merges; "Query size calculation": a MERGE that updates counts every column of its table. Staged rows, and statements
 * that read almost nothing, are left out.
 */
export async function bytesRead(
  client: Client,
  connection: string,
  objects: readonly string[],
): Promise<(number | null)[]> {
  if ((await client.columns(OWN, 'batches')).length === 0) return objects.map(() => null);
  const loaded = await client.rows(
    `SELECT \`object\`, \`table\`, MAX(\`loaded_at\`) AS at FROM ${ownTable(client, 'batches')} WHERE \`connection\` = @name GROUP BY 1, 2 ORDER BY 3`,
    { name: connection },
  );
  const tables = new Map(loaded.map((row) => [row['object'], String(row['table'])]));
  const bytes: (number | null)[] = objects.map(() => null);
  for (let from = 0; from < objects.length; from += AT_ONCE) {
    const some = objects.slice(from, from + AT_ONCE).map(async (object, at) => {
      const table = tables.get(object);
      if (table !== undefined) bytes[from + at] = await tableRead(client, connection, table);
    });
    await Promise.all(some);
  }
  return bytes;
}

async function tableRead(client: Client, connection: string, table: string): Promise<number | null> {
  const target = client.target(connection, tableName(table));
  const asked = [
    `SELECT _version, _confirmed_at, _deleted, _hash FROM ${target}`,
    `MERGE INTO ${target} AS t USING (SELECT TRUE AS one) AS s ON FALSE WHEN NOT MATCHED BY SOURCE AND t._deleted THEN UPDATE SET _deleted = t._deleted`,
  ];
  try {
    const dry = asked.map((query) => client.jobs.dryRun({ query: { query, useLegacySql: false } }));
    return (await Promise.all(dry)).reduce((sum, { bytes }) => sum + bytes, 0);
  } catch (error) {
    // It was loaded once, and is gone.
    if (isMissing(error)) return null;
    throw error;
  }
}
