import { mkdir } from 'node:fs/promises';
import { DuckDBInstance, listValue } from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Shaper } from './shaper.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { firstLine, literal, quote } from '../warehouses/sql.ts';
import { readShapedRows } from './shaped-rows.ts';
import { removeTemporary, shapePage, shapeSlice } from './slice.ts';

export interface ShaperOptions {
  tempDirectory: string;
  memoryMbMax: number;
  threads: number;
}

export async function createShaper(options: ShaperOptions): Promise<Shaper> {
  await mkdir(options.tempDirectory, { recursive: true });
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryMbMax}MB`,
    threads: String(options.threads),
    temp_directory: options.tempDirectory,
    // Row order carries no meaning, and keeping it would halve the speed and hold whole row groups back.
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const work = async <T>(
    object: string,
    signal: AbortSignal,
    task: (connection: DuckDBConnection) => Promise<T>,
  ): Promise<T> => {
    const connection = await instance.connect();
    const interrupt = (): void => connection.interrupt();
    signal.addEventListener('abort', interrupt);
    try {
      signal.throwIfAborted();
      return await task(connection);
    } catch (error) {
      // An interrupted statement must not look like bad content.
      signal.throwIfAborted();
      // The first line only: what follows quotes the record, which may hold personal values (I5).
      throw error instanceof HeadwaterError
        ? error
        : new HeadwaterError('INTERNAL', `shaping ${object}: ${firstLine(error)}`, { cause: error });
    } finally {
      signal.removeEventListener('abort', interrupt);
      connection.closeSync();
    }
  };
  return {
    shapePage: (request, signal) =>
      work(request.schema.object, signal, (connection) => shapePage(connection, request, signal)),
    shape: async (request, signal) => {
      try {
        return await work(request.schema.object, signal, (connection) =>
          shapeSlice(connection, request, signal),
        );
      } finally {
        await removeTemporary(request);
      }
    },
    rows: async function* (request) {
      const connection = await instance.connect();
      try {
        yield* readShapedRows(connection, request);
      } finally {
        connection.closeSync();
      }
    },
    absentKeys: async ({ files, column, ids, from, until }) => {
      if (files.length === 0 || ids.length === 0) return [...new Set(ids)];
      const connection = await instance.connect();
      try {
        const absent = await connection.runAndReadAll(
          `SELECT id FROM (SELECT DISTINCT unnest($1::VARCHAR[]) AS id) ANTI JOIN ` +
            `(SELECT CAST(${quote(column)} AS VARCHAR) AS id FROM read_parquet([${files.map(literal).join(',')}],union_by_name=true) ` +
            `WHERE _version>=TIMESTAMPTZ ${literal(from)} AND _version<TIMESTAMPTZ ${literal(until)}) USING (id)`,
          [listValue(ids)],
        );
        return absent.getRows().map((row) => String(row[0]));
      } catch (error) {
        throw new HeadwaterError('INTERNAL', `comparing keys: ${firstLine(error)}`, { cause: error });
      } finally {
        connection.closeSync();
      }
    },
    close: async () => {
      instance.closeSync();
    },
  };
}
