/** The limit: what DuckDB itself needs to read the same bytes with types and to store them, with the worker's own means. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import {
  checksumSql,
  OUR_COLUMNS,
  OUR_COLUMNS_INEXACT,
  type Checksum,
  type ChecksumColumns,
} from './contact.ts';
import type { Resources } from './stand.ts';

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Columns in the order of the CSV with the types in which the product stores them. */
export type ColumnTypes = ReadonlyMap<string, string>;

export interface Stored extends Checksum {
  /** Without the amounts. */
  inexact: Checksum;
  ms: number;
}

export async function storeWithDuckdb(
  paths: readonly string[],
  folder: string,
  resources: Resources,
  types: ColumnTypes,
): Promise<Stored> {
  const file = join(folder, 'limit.duckdb');
  const spill = join(folder, 'limit-spill');
  mkdirSync(spill, { recursive: true });
  const instance = await DuckDBInstance.create(file, {
    threads: String(resources.threads),
    memory_limit: `${resources.memoryMb}MB`,
    temp_directory: spill,
    preserve_insertion_order: 'false',
  });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone='UTC'");
    const columns = [...types].map(([column, type]) => `${literal(column)}:${literal(type)}`).join(',');
    const startedMs = performance.now();
    await connection.run(
      `CREATE TABLE contact AS SELECT * FROM read_csv([${paths.map(literal).join(',')}],` +
        `auto_detect=false,header=true,delim=',',quote='"',escape='"',nullstr='',columns={${columns}})`,
    );
    const ms = performance.now() - startedMs;
    const exact = await checksum(connection, 'contact', OUR_COLUMNS);
    return { ...exact, inexact: await checksum(connection, 'contact', OUR_COLUMNS_INEXACT), ms };
  } finally {
    connection.closeSync();
    instance.closeSync();
    rmSync(file, { force: true });
    rmSync(`${file}.wal`, { force: true });
    rmSync(spill, { recursive: true, force: true });
  }
}

/** Rows and checksum of a table that another program has written. */
export async function checksumOfFile(
  file: string,
  tableName: string,
  columns: ChecksumColumns,
): Promise<Checksum> {
  const instance = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone='UTC'");
    return await checksum(connection, tableName, columns);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function checksum(
  connection: DuckDBConnection,
  tableName: string,
  columns: ChecksumColumns,
): Promise<Checksum> {
  const [row] = (await connection.runAndReadAll(checksumSql(tableName, columns))).getRows();
  return { rows: Number(row?.[0]), checksum: String(row?.[1]) };
}
