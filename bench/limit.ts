/** The limit: what DuckDB itself needs to read the same bytes with types and to store them, with the worker's own means. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { CONTACT_FIELDS, checksumSql, OUR_COLUMNS, type Checksum } from './contact.ts';
import type { Resources } from './stand.ts';

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export interface Stored extends Checksum {
  ms: number;
}

export async function storeWithDuckdb(
  paths: readonly string[],
  folder: string,
  resources: Resources,
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
    const columns = CONTACT_FIELDS.map(([, column, type]) => `${literal(column)}:${literal(type)}`).join(',');
    const startedMs = performance.now();
    await connection.run(
      `CREATE TABLE contact AS SELECT * FROM read_csv([${paths.map(literal).join(',')}],` +
        `auto_detect=false,header=true,delim=',',quote='"',escape='"',nullstr='',columns={${columns}})`,
    );
    const ms = performance.now() - startedMs;
    const [row] = (await connection.runAndReadAll(checksumSql('contact', OUR_COLUMNS))).getRows();
    return { rows: Number(row?.[0]), checksum: String(row?.[1]), ms };
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
  columns: { id: string; stamp: string; amount: string },
): Promise<Checksum> {
  const instance = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone='UTC'");
    const [row] = (await connection.runAndReadAll(checksumSql(tableName, columns))).getRows();
    return { rows: Number(row?.[0]), checksum: String(row?.[1]) };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
