import { listValue, type DuckDBConnection } from '@duckdb/node-api';
import { literal, quote } from '../warehouses/sql.ts';
import { PARQUET } from './sql.ts';
import type { LeaveOutRequest, LeftOut } from './shaper.ts';

/** The file without the rows that have one of these texts in the column; no file is written where no row stays. */
export async function leaveOut(
  connection: DuckDBConnection,
  { file, column, texts, out }: LeaveOutRequest,
): Promise<LeftOut> {
  await connection.run("SET TimeZone='UTC'");
  await connection.run(
    'CREATE OR REPLACE TEMP TABLE erased AS SELECT DISTINCT unnest($1::VARCHAR[]) AS text',
    [listValue([...texts])],
  );
  const staying = `FROM read_parquet(${literal(file)}) ANTI JOIN erased ON CAST(${quote(column)} AS VARCHAR)=erased.text`;
  const numbers = async (sql: string) =>
    ((await connection.runAndReadAll(sql)).getRows()[0] ?? []).map(Number);
  const [all = 0] = await numbers(`SELECT count(*) FROM read_parquet(${literal(file)})`);
  const [stay = 0] = await numbers(`SELECT count(*) ${staying}`);
  if (stay > 0) await connection.run(`COPY (SELECT * ${staying}) TO ${literal(out)} (${PARQUET})`);
  return { stay, left: all - stay };
}

/** What was set aside, some thousand rows at a time. */
export async function* readSetAside(
  connection: DuckDBConnection,
  file: string,
): AsyncIterable<{ record: string | null; raw: string | null }[]> {
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  const result = await connection.stream(`SELECT record,raw FROM read_parquet(${literal(file)})`);
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    yield chunk.getRows().map(([record, raw]) => ({ record: text(record), raw: text(raw) }));
  }
}
