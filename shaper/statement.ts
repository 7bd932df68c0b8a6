import type { DuckDBConnection } from '@duckdb/node-api';
import { firstLine, literal } from '../warehouses/sql.ts';
import { PARQUET, UNFIT_ROW } from './sql.ts';

/** Statements of one slice, on a connection that is closed after it. */
export interface Running {
  connection: DuckDBConnection;
  signal: AbortSignal;
}

export async function numbers({ connection, signal }: Running, sql: string): Promise<number[]> {
  signal.throwIfAborted();
  const rows = (await connection.runAndReadAll(sql)).getRows();
  return (rows[0] ?? []).map(Number);
}

export const first = async (running: Running, sql: string): Promise<number> =>
  (await numbers(running, sql))[0] ?? 0;

/** Rows written, as COPY reports them. */
export const copy = (running: Running, select: string, path: string): Promise<number> =>
  first(running, `COPY (${select}) TO ${literal(path)} (${PARQUET})`);

/** The strict statement met a row that it does not take; the other one knows what to do with it. */
export const isDoubt = (error: unknown): boolean =>
  firstLine(error).includes(UNFIT_ROW) || /^(Conversion|Out of Range) Error/.test(firstLine(error));

/** Errors that the pages' bytes cause, as against a full disk or too little memory. */
export const isContent = (error: unknown): boolean =>
  /^(Invalid Input|Conversion) Error/.test(firstLine(error));
