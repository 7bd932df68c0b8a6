import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { quote, literal } from '../warehouses/sql.ts';
import type { ShapedColumn, ShapedRow, ShapedRowsRequest } from './shaper.ts';

/** Instants and numbers come as text, exact and of one width; whatever reads them decides what they are. */
function readable({ column, type }: ShapedColumn): string {
  const name = quote(column);
  switch (type.kind) {
    case 'string':
    case 'json':
    case 'boolean':
    case 'double':
      return name;
    case 'timestamp':
      return `strftime(${name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')`;
    default:
      return `CAST(${name} AS VARCHAR)`;
  }
}

const INSTANT = "'%Y-%m-%dT%H:%M:%S.%gZ'";

/**
 * The rows of a shaped file in the file's order, a vector (2,048 rows) at a time, so that memory stays flat. `values` is read
 * cell by cell, only for the rows that the caller wants: a row that is known already never becomes an object.
 */
export async function* readShapedRows(
  connection: DuckDBConnection,
  { files, key, columns, hashed }: ShapedRowsRequest,
): AsyncIterable<ShapedRow[]> {
  const system = [
    `CAST(${quote(key)} AS VARCHAR)`,
    hashed ? 'CAST(_hash AS VARCHAR)' : 'NULL',
    `strftime(_version AT TIME ZONE 'UTC', ${INSTANT})`,
    `strftime(_confirmed_at AT TIME ZONE 'UTC', ${INSTANT})`,
    '_deleted',
  ];
  const sql = `SELECT ${[...system, ...columns.map(readable)].join(',')} FROM read_parquet([${files.map(literal).join(',')}])`;
  const result = await connection.stream(sql);
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    const vectors = Array.from({ length: chunk.columnCount }, (_, at) => chunk.getColumnVector(at));
    const cell = (at: number, row: number): DuckDBValue => vectors[at]?.getItem(row) ?? null;
    yield Array.from({ length: chunk.rowCount }, (_, row) => ({
      record: text(cell(0, row)) ?? '',
      hash: text(cell(1, row)),
      version: text(cell(2, row)),
      confirmedAt: text(cell(3, row)) ?? '',
      deleted: cell(4, row) === true,
      values: () => columns.map((_column, at) => plain(cell(system.length + at, row))),
    }));
  }
}

function text(value: DuckDBValue): string | null {
  return typeof value === 'string' ? value : null;
}

function plain(value: DuckDBValue): string | number | boolean | null {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  return typeof value === 'boolean' ? value : String(value);
}
