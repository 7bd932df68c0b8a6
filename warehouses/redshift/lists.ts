/** "Quotas and limits": a prepared statement takes 32,767 parameters, the Data API 100 KB of a statement. */
const VALUES_MAX = 1_000;

/** A list of bound values: IN takes no array. An empty one would be no SQL; NULL is equal to nothing. */
export const listed = (values: readonly unknown[], after = 0): string =>
  values.length === 0 ? '(NULL)' : `(${values.map((_, at) => `$${after + at + 1}`).join(', ')})`;

/** All answers for lists that are too long for one statement. */
export async function inChunks<V, T>(
  values: readonly V[],
  work: (part: V[]) => Promise<readonly T[]>,
): Promise<T[]> {
  const found: T[] = [];
  for (let at = 0; at < values.length; at += VALUES_MAX)
    found.push(...(await work(values.slice(at, at + VALUES_MAX))));
  return found;
}

/** The rows that were changed in all. */
export async function sumInChunks<V>(
  values: readonly V[],
  work: (part: V[]) => Promise<number>,
): Promise<number> {
  const counts = await inChunks(values, async (part) => [await work(part)]);
  return counts.reduce((sum, rows) => sum + rows, 0);
}
