import { mkdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import type { WarehouseContext } from '../warehouse.ts';
import type { DuckdbConfig } from './config.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { firstLine, isOutOfMemory, messageOf } from '../sql.ts';
import { copyLive } from './purge.ts';

export const LOCK_RETRY_MS = 500;
/** Every DuckDB from this version on reads the file. */
const STORAGE_VERSION = 'v1.4.0';
/** Of the memory limit: blocks that stay cached between large loads. */
const IDLE_MEMORY_SHARE = 0.25;

/** The open file: one connection for writes behind a mutex, and short-lived ones for reads. */
export interface Client {
  /**
   * Runs alone among all writes of this process, in one transaction; rolled back when `work` throws or the signal aborts. `work` runs
   * twice where the memory did not suffice, so it leaves nothing but what it wrote.
   */
  write<T>(
    what: string,
    work: (connection: DuckDBConnection) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>;
  read<T>(what: string, work: (connection: DuckDBConnection) => Promise<T>): Promise<T>;
  /** Lets go of cached blocks, which a large load has filled the whole limit with; nothing when reads are under way. */
  giveBack(): Promise<void>;
  /** Writes the file anew with its live rows only; in whole sentences, what of removed rows remains. */
  renew(): Promise<string[]>;
  close(): Promise<void>;
}

export async function openClient(config: DuckdbConfig, context: WarehouseContext): Promise<Client> {
  let instance = await openFile(config, context);
  let writer = await writerOf(instance);
  const mutex = createMutex();
  const limits = limitsOf(config, context);
  let reads = 0;
  let idle = Promise.withResolvers<void>();
  let givingBack: Promise<unknown> = Promise.resolve();
  const swap = async (): Promise<string[]> => {
    // oxlint-disable-next-line no-unmodified-loop-condition -- every read that ends lowers it.
    while (reads > 0) await idle.promise;
    const fresh = await liveCopy(config.path, writer);
    if (fresh === null) return [NO_ROOM];
    writer.closeSync();
    instance.closeSync();
    try {
      // Closing has written everything into the file: until the new one takes its name, the old one is whole.
      await rename(fresh, config.path);
    } finally {
      instance = await openFile(config, context);
      writer = await writerOf(instance);
    }
    return [];
  };
  return {
    write: (what, work, signal) =>
      mutex(() => fitting(writer, limits, () => writeWith(writer, what, work, signal))),
    read: async (what, work) => {
      // Nothing may begin between the look and the count.
      for (let seen: unknown; seen !== givingBack;) {
        seen = givingBack;
        await givingBack;
      }
      reads += 1;
      const connection = await instance.connect();
      try {
        await connection.run("SET TimeZone='UTC'");
        return await work(connection);
      } catch (error) {
        throw wrapped(what, error);
      } finally {
        reads -= 1;
        connection.closeSync();
        if (reads === 0) {
          idle.resolve();
          idle = Promise.withResolvers<void>();
        }
      }
    },
    giveBack: () =>
      mutex(async () => {
        if (reads > 0) return;
        givingBack = evict(writer, limits.memoryMb);
        await givingBack;
      }),
    renew: () =>
      mutex(() => {
        const swapped = swap().catch((error: unknown) => {
          throw wrapped('writing the file anew', error);
        });
        givingBack = swapped.catch(() => undefined);
        return swapped;
      }),
    close: () =>
      mutex(async () => {
        writer.closeSync();
        instance.closeSync();
      }),
  };
}

async function writerOf(instance: DuckDBInstance): Promise<DuckDBConnection> {
  const writer = await instance.connect();
  await writer.run("SET TimeZone='UTC'");
  return writer;
}

const NO_ROOM =
  'The disk has no room for a second copy of the warehouse, so bytes of removed rows stay in free blocks of its file until later rows overwrite them, or until an erasure finds room.';

/** Of the file's size: free on its disk before a copy is begun. */
const ROOM_SHARE = 1.2;

/** A file beside the warehouse's with its live rows; null where there is no room for it. */
async function liveCopy(path: string, writer: DuckDBConnection): Promise<string | null> {
  const fresh = `${path}.renewed`;
  await rm(fresh, { force: true });
  await writer.run('CHECKPOINT');
  const [{ size }, { bavail, bsize }] = await Promise.all([stat(path), statfs(dirname(path))]);
  if (bavail * bsize < size * ROOM_SHARE) return null;
  await copyLive(writer, fresh, STORAGE_VERSION);
  return fresh;
}

async function writeWith<T>(
  writer: DuckDBConnection,
  what: string,
  work: (connection: DuckDBConnection) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.throwIfAborted();
  const interrupt = (): void => writer.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    return await inTransaction(writer, work, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw wrapped(what, error);
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}

interface Limits {
  memoryMb: number;
  threads: number;
}

const limitsOf = (config: DuckdbConfig, context: WarehouseContext): Limits => ({
  memoryMb: config.memoryMb ?? context.memoryMbMax,
  threads: config.threads ?? context.threads,
});

/** Each thread holds rows of its own: where texts of megabytes are in them, one thread fits where several do not. */
async function fitting<T>(
  writer: DuckDBConnection,
  { memoryMb, threads }: Limits,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof HeadwaterError) || !isOutOfMemory(error.cause)) throw error;
  }
  await evict(writer, memoryMb);
  await writer.run('SET threads=1');
  try {
    return await work();
  } finally {
    await writer.run(`SET threads=${threads}`);
  }
}

/** A lower limit evicts what is not in use. Where too much is in use it is refused and stays as it was. */
async function evict(connection: DuckDBConnection, memoryMb: number): Promise<void> {
  try {
    await connection.run(`SET memory_limit='${Math.round(memoryMb * IDLE_MEMORY_SHARE)}MB'`);
  } catch {
    return;
  }
  await connection.run(`SET memory_limit='${memoryMb}MB'`);
}

async function inTransaction<T>(
  connection: DuckDBConnection,
  work: (connection: DuckDBConnection) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  await connection.run('BEGIN TRANSACTION');
  try {
    const result = await work(connection);
    signal?.throwIfAborted();
    await connection.run('COMMIT');
    return result;
  } catch (error) {
    // A failed COMMIT has ended the transaction already; the first error is the one that counts.
    await connection.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** First come, first served; a failed task does not stop the next. */
export function createMutex(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const run = last.then(task, task);
    last = run.catch(() => undefined);
    return run;
  };
}

async function openFile(config: DuckdbConfig, context: WarehouseContext): Promise<DuckDBInstance> {
  await mkdir(dirname(config.path), { recursive: true });
  await mkdir(context.tempDirectory, { recursive: true });
  const options = {
    memory_limit: `${config.memoryMb ?? context.memoryMbMax}MB`,
    threads: String(config.threads ?? context.threads),
    temp_directory: context.tempDirectory,
    preserve_insertion_order: 'false',
    // Of a new file: its text compression takes a sixth less time than that of the oldest format, which is the default.
    storage_compatibility_version: STORAGE_VERSION,
    // What eviction frees goes back to the system at once, instead of waiting in the allocator for the next slice.
    allocator_bulk_deallocation_flush_threshold: '8MB',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  };
  const started = performance.now();
  for (;;) {
    try {
      return await DuckDBInstance.create(config.path, options);
    } catch (error) {
      const message = messageOf(error);
      if (!message.includes('Could not set lock on file')) throw wrapped(`opening ${config.path}`, error);
      if (performance.now() - started >= config.lockWaitMsMax) throw lockedError(config.path, message, error);
    }
    await sleep(Math.min(LOCK_RETRY_MS, Math.max(10, config.lockWaitMsMax)));
  }
}

export function lockedError(path: string, message: string, cause: unknown): HeadwaterError {
  const pid = /PID (\d+)/.exec(message)?.[1];
  return new HeadwaterError(
    'WAREHOUSE_LOCKED',
    `${path} is held by another process${pid === undefined ? '' : ` (pid ${pid})`}`,
    {
      details: { path, pid: pid === undefined ? null : Number(pid) },
      remedy: `One process may own a DuckDB file. Stop process ${pid ?? 'that holds it'}, or ask the worker with \`npx headwater sql\`.`,
      cause,
    },
  );
}

/** I5: kinds of errors that are about files, memory and names. Those about casts, constraints and ranges quote the value. */
const PLAIN_KINDS: ReadonlySet<string> = new Set([
  ...['Binder Error', 'Catalog Error', 'Connection Error', 'Dependency Error', 'IO Error', 'Interrupt Error'],
  ...[
    'Missing Extension Error',
    'Out of Memory Error',
    'Parser Error',
    'Permission Error',
    'TransactionContext Error',
  ],
]);

const MORE_MEMORY =
  'The warehouse has too little memory for these rows: raise worker.memoryMb; see docs/warehouses/duckdb.md.';

/** DuckDB's first line says what and where; later lines repeat the statement or data (I5). */
export function wrapped(what: string, error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  const message = firstLine(error);
  if (message.includes('No files found that match')) {
    return new HeadwaterError('STAGE_MISSING', `${what}: a staged file is gone`, { cause: error });
  }
  const transient = /^(IO|Out of Memory|TransactionContext) Error|Conflict on|write-write conflict/i.test(
    message,
  );
  const kind = /^[A-Z][A-Za-z ]{0,40} Error/.exec(message)?.[0] ?? 'an error of DuckDB';
  const safe = PLAIN_KINDS.has(kind) ? message : kind;
  return new HeadwaterError(transient ? 'WAREHOUSE_UNAVAILABLE' : 'WAREHOUSE_REJECTED', `${what}: ${safe}`, {
    cause: error,
    ...(isOutOfMemory(error) ? { remedy: MORE_MEMORY } : {}),
  });
}

/** All rows as JavaScript values. */
export async function rowsOf(
  connection: DuckDBConnection,
  sql: string,
  values: DuckDBValue[] = [],
): Promise<Record<string, unknown>[]> {
  return (await connection.runAndReadAll(sql, values)).getRowObjectsJS();
}
