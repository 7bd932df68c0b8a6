import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import { HeadwaterError } from '../rules/errors.ts';
import { firstLine, isOutOfMemory, literal } from './sql.ts';
import type { WarehouseContext } from './warehouse.ts';

/** Rows of a file that become text at a time: a row group of a staged file, so that each is read once. */
const PART_ROWS = 122_880;
const READ_BYTES = 256 * 1024;
/** Staged files are only read and written as text: what DuckDB needs for that. */
const MEMORY_MB_MAX = 256;

/**
 * How it writes Parquet. Larger row groups do not fit into its memory with two threads, and a dictionary of nearly every value costs
 * more than it saves: with both, writing takes three times as long.
 */
export const PARQUET =
  'FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 61440, ROW_GROUP_SIZE_BYTES 32000000, DICTIONARY_SIZE_LIMIT 1000';

/** The DuckDB of a warehouse elsewhere that reads staged files; it holds no data. */
export interface StagedFiles {
  rows(sql: string): Promise<Record<string, unknown>[]>;
  /**
   * The rows of these files as CSV: NULL is nothing, an empty text is "". `select` is a list of expressions over a staged row.
   * One part is written while another is read; at most two are on the disk.
   */
  csv(paths: readonly string[], select: string): AsyncGenerator<Buffer, void, undefined>;
  /** The same for one statement. */
  csvOf(sql: string): AsyncGenerator<Buffer, void, undefined>;
  /** A statement that leaves a file; `path` is one of `temporary`. */
  run(sql: string): Promise<number>;
  /** A path in its folder. */
  temporary(ending?: string): string;
  remove(path: string): Promise<void>;
  close(): Promise<void>;
}

/** `kind`, of letters, begins the name of its folder of temporary files. */
export async function openStaged(context: WarehouseContext, kind: string): Promise<StagedFiles> {
  await mkdir(context.tempDirectory, { recursive: true });
  await removeLeftOver(context.tempDirectory, kind);
  const folder = join(context.tempDirectory, `${kind}-${process.pid}-${randomUUID()}`);
  await mkdir(folder, { mode: 0o700 });
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${Math.min(context.memoryMbMax, MEMORY_MB_MAX)}MB`,
    threads: String(context.threads),
    temp_directory: folder,
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const temporary: StagedFiles['temporary'] = (ending = 'csv') => join(folder, `${randomUUID()}.${ending}`);
  const once = async <T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> => {
    const connection = await instance.connect();
    try {
      await connection.run("SET TimeZone = 'UTC'");
      return await work(connection);
    } finally {
      connection.closeSync();
    }
  };
  // Each thread holds a row group: where texts of megabytes are in it, one thread fits where several do not.
  const withOneThread = async <T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> => {
    await once((connection) => connection.run('SET threads = 1'));
    try {
      return await once(work);
    } finally {
      await once((connection) => connection.run(`SET threads = ${context.threads}`));
    }
  };
  const connected = async <T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> => {
    try {
      return await once(work).catch((error: unknown) => {
        if (!isOutOfMemory(error) || context.threads === 1) throw error;
        return withOneThread(work);
      });
    } catch (error) {
      throw stagedError(error);
    }
  };
  const run: StagedFiles['run'] = (sql) =>
    connected(async (connection) => Number((await connection.runAndReadAll(sql)).getRows()[0]?.[0] ?? 0));
  const rows: StagedFiles['rows'] = (sql) =>
    connected(async (connection) => (await connection.runAndReadAll(sql)).getRowObjectsJS());
  const write = async (sql: string): Promise<string> => {
    const path = temporary();
    await run(`COPY (${sql}) TO ${literal(path)} (FORMAT csv, HEADER false)`);
    return path;
  };
  return {
    rows,
    run,
    temporary,
    csv: async function* (paths, select) {
      const parts: string[] = [];
      for (const path of paths) parts.push(...(await partsOf(rows, path, select)));
      yield* inTurn(parts, write);
    },
    csvOf: (sql) => inTurn([sql], write),
    remove: (path) => rm(path, { force: true }),
    close: async () => {
      instance.closeSync();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function partsOf(rows: StagedFiles['rows'], path: string, select: string): Promise<string[]> {
  const [counted] = await rows(`SELECT num_rows AS n FROM parquet_file_metadata(${literal(path)})`);
  const total = Number(counted?.['n'] ?? 0);
  const from = `FROM read_parquet(${literal(path)}, file_row_number = true)`;
  const parts: string[] = [];
  for (let at = 0; at < total; at += PART_ROWS) {
    const inside = `WHERE file_row_number >= ${at} AND file_row_number < ${at + PART_ROWS}`;
    parts.push(`SELECT ${select} ${from}${total > PART_ROWS ? ` ${inside}` : ''}`);
  }
  return parts;
}

/** What stops in the middle leaves no file behind. */
async function* inTurn(
  parts: readonly string[],
  write: (sql: string) => Promise<string>,
): AsyncGenerator<Buffer, void, undefined> {
  const begin = (at: number): Promise<string> | undefined => {
    const sql = parts[at];
    const written = sql === undefined ? undefined : write(sql);
    // Its failure is told when its turn comes.
    written?.catch(() => undefined);
    return written;
  };
  let next = begin(0);
  let at = 0;
  try {
    while (next !== undefined) {
      const path = await next;
      at += 1;
      next = begin(at);
      try {
        for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
          if (Buffer.isBuffer(chunk)) yield chunk;
        }
      } finally {
        await rm(path, { force: true });
      }
    }
  } finally {
    const path = await next?.catch(() => undefined);
    if (path !== undefined) await rm(path, { force: true });
  }
}

/** Of processes that were killed. */
async function removeLeftOver(folder: string, kind: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [of, owner] = name.split('-', 2);
    const pid = of === kind ? Number(owner) : 0;
    if (pid > 0 && pid !== process.pid && !isAlive(pid))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(typeof error === 'object' && error !== null && 'code' in error && error.code === 'ESRCH');
  }
}

/** I5: DuckDB's words about casts quote values; those about files and memory do not. */
function stagedError(error: unknown): unknown {
  if (error instanceof HeadwaterError) return error;
  const message = firstLine(error);
  if (/No files found that match|No such file|Cannot open file/i.test(message))
    return new HeadwaterError('STAGE_MISSING', 'a staged file is gone', { cause: error });
  const passing = /^(?:IO|Out of Memory) Error/.test(message);
  const words = passing
    ? message
    : (/^[A-Z][A-Za-z ]{0,40} Error/.exec(message)?.[0] ?? 'an error of DuckDB');
  return new HeadwaterError(
    passing ? 'WAREHOUSE_UNAVAILABLE' : 'WAREHOUSE_REJECTED',
    `reading a staged file: ${words}`,
    {
      cause: error,
    },
  );
}
