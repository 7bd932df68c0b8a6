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

/** Of the memory limit: what may stay allocated after a large slice. */
const IDLE_MEMORY_SHARE = 0.25;
const LARGE_SLICE_ROWS = 100_000;

export async function createShaper(options: ShaperOptions): Promise<Shaper> {
  await mkdir(options.tempDirectory, { recursive: true });
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryMbMax}MB`,
    threads: String(options.threads),
    temp_directory: options.tempDirectory,
    // Row order carries no meaning, and keeping it would halve the speed and hold whole row groups back.
    preserve_insertion_order: 'false',
    // What a slice has used goes back to the system with it, instead of waiting in the allocator beside the warehouse's.
    allocator_bulk_deallocation_flush_threshold: '8MB',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  let active = 0;
  let givingBack: Promise<void> = Promise.resolve();
  const connect = async (): Promise<DuckDBConnection> => {
    await givingBack;
    active += 1;
    return instance.connect();
  };
  const disconnect = (connection: DuckDBConnection): void => {
    active -= 1;
    connection.closeSync();
  };
  /** A lower limit for a moment makes DuckDB let go of what is not in use; refused where too much is. */
  const giveBack = async (): Promise<void> => {
    const connection = await instance.connect();
    try {
      await connection.run(`SET memory_limit='${Math.round(options.memoryMbMax * IDLE_MEMORY_SHARE)}MB'`);
    } catch {
      // The limit stays as it was.
    } finally {
      await connection.run(`SET memory_limit='${options.memoryMbMax}MB'`);
      connection.closeSync();
    }
  };
  const work = async <T>(
    object: string,
    signal: AbortSignal,
    task: (connection: DuckDBConnection) => Promise<T>,
  ): Promise<T> => {
    const connection = await connect();
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
      disconnect(connection);
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
        const rows = request.pages.reduce((sum, page) => sum + page.rowsSent, 0);
        if (active === 0 && rows >= LARGE_SLICE_ROWS) {
          givingBack = giveBack();
          await givingBack;
        }
        await removeTemporary(request);
      }
    },
    rows: async function* (request) {
      const connection = await connect();
      try {
        yield* readShapedRows(connection, request);
      } finally {
        disconnect(connection);
      }
    },
    absentKeys: async ({ files, column, ids, from, until }) => {
      if (files.length === 0 || ids.length === 0) return [...new Set(ids)];
      const connection = await connect();
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
        disconnect(connection);
      }
    },
    close: async () => {
      instance.closeSync();
    },
  };
}
