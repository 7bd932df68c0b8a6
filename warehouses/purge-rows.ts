import { wordsPattern } from './query-rules.ts';
import type { PurgedRows } from './warehouse.ts';

/** What is to go from one table: rows as a whole, or the values of some columns. */
export interface PurgeTarget<V> {
  /** As the contract names it, and as a statement does. */
  name: string;
  table: string;
  where: string;
  values: V[];
  blank: string[];
}

interface PurgeSession<V> {
  rows(sql: string, values: V[]): Promise<Record<string, unknown>[]>;
  /** The number of rows changed. */
  run(sql: string, values: V[]): Promise<number>;
}

/** Removes what belongs to one subject, or only counts it: both by the same conditions, so that a preview is what happens. */
export async function purgeTargets<V>(
  session: PurgeSession<V>,
  targets: readonly PurgeTarget<V>[],
  /** `gone`: after rows of a table went. */
  { dryRun, gone }: { dryRun: boolean; gone: (table: string) => Promise<unknown> },
): Promise<PurgedRows[]> {
  const found = new Map<string, number>();
  for (const { name, table, where, values, blank } of targets) {
    const set = blank.map((column) => `${column} = NULL`).join(', ');
    const change =
      blank.length > 0 ? `UPDATE ${table} SET ${set} WHERE ${where}` : `DELETE FROM ${table} WHERE ${where}`;
    const rows = dryRun
      ? Number(
          (await session.rows(`SELECT count(*) AS rows FROM ${table} WHERE ${where}`, values))[0]?.['rows'],
        )
      : await session.run(change, values);
    if (rows === 0) continue;
    found.set(name, (found.get(name) ?? 0) + rows);
    if (!dryRun) await gone(table);
  }
  return [...found].map(([table, rows]) => ({ table, rows }));
}

/** Lines of the quarantine that are looked at at once. */
export const LINES_MAX = 1_000;

/**
 * Ids of the lines that hold one of the texts as a whole word, whatever its case. Compared here: how a server lowers letters and
 * what it takes for one depends on the server. `page`: at most LINES_MAX of `id` and `line`, ordered, behind an id.
 */
export async function linesThatSay(
  texts: readonly string[],
  page: (after: string) => Promise<Record<string, unknown>[]>,
  first = '',
): Promise<string[]> {
  const said = wordsPattern(texts);
  if (said === undefined) return [];
  const found: string[] = [];
  for (let after = first; ;) {
    const lines = await page(after);
    for (const { id, line } of lines)
      if (typeof line === 'string' && said.test(line.toLowerCase())) found.push(String(id));
    const last = lines.at(-1)?.['id'];
    if (typeof last !== 'string' || lines.length < LINES_MAX) return found;
    after = last;
  }
}
