import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as Connection, Pool, types as standardTypes } from 'pg';
import type { CustomTypesConfig, PoolClient, QueryArrayConfig } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { HeadwaterError } from '../../rules/errors.ts';
import { openStaged } from '../staged.ts';
import type { StagedFiles } from '../staged.ts';
import type { WarehouseContext } from '../warehouse.ts';
import type { PostgresConfig } from './config.ts';
import { isGone, wrapped } from './errors.ts';
import { targetName } from './names.ts';

/** A server that restarts is waited for; then the step is tried again later. */
const REACH_MS = 5_000;
const RETRY_MS = 200;
const CONNECT_MS_MAX = 15_000;
const IDLE_MS_MAX = 60_000;
const CANCEL_MS_MAX = 3_000;
/** A load that gets no rows for so long has lost its process. */
const IDLE_IN_TRANSACTION_MS_MAX = 300_000;
const COPY_BYTES = 256 * 1024;

export type Parameter = string | number | boolean | null | readonly string[];
export type Row = Record<string, unknown>;

/** One transaction. Values come back as QueryAnswer has them: 64-bit integers, decimals and times as text. */
export interface Session {
  readonly prefix: string;
  readonly staged: StagedFiles;
  rows(sql: string, values?: readonly Parameter[]): Promise<Row[]>;
  /** The number of rows changed. */
  run(sql: string, values?: readonly Parameter[]): Promise<number>;
  /** Rows as arrays with the type of each column, through the protocol that takes one statement only. */
  table(sql: string): Promise<{ columns: { name: string; oid: number }[]; rows: unknown[][] }>;
  /** COPY … FROM STDIN (FORMAT csv); returns rows. */
  copyIn(into: string, chunks: AsyncIterable<Buffer>): Promise<number>;
  /** COPY (…) TO STDOUT. */
  copyOut(sql: string): Readable;
  target(connection: string, table: string): string;
}

export interface Client {
  /** One transaction; rolled back when `work` throws or the signal aborts. */
  write<T>(what: string, work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** The same, never committed: for work that needs tables of its own for a moment. */
  scratch<T>(what: string, work: (session: Session) => Promise<T>): Promise<T>;
  /** Read only, one state for all statements. */
  read<T>(what: string, work: (session: Session) => Promise<T>): Promise<T>;
  /** The same on a connection that is closed afterwards; the user's own search path, other time limit. */
  visit<T>(what: string, msMax: number, work: (session: Session) => Promise<T>): Promise<T>;
  /** Statements that cannot run in a transaction. */
  alone(what: string, statements: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const { BOOL, INT2, INT4, FLOAT4, FLOAT8 } = standardTypes.builtins;
const TEXT_ARRAY = 1009;
const PARSED: ReadonlySet<number> = new Set([BOOL, INT2, INT4, TEXT_ARRAY]);
const FLOATS: ReadonlySet<number> = new Set([FLOAT4, FLOAT8]);
const float = (text: string): number | string => (Number.isFinite(Number(text)) ? Number(text) : text);

/** JSON-safe and exact: whatever a JavaScript number cannot hold stays the text that the server writes. */
const types: CustomTypesConfig = {
  getTypeParser: (oid: Parameters<typeof standardTypes.getTypeParser>[0]) => {
    if (FLOATS.has(oid)) return float;
    return PARSED.has(oid) ? standardTypes.getTypeParser(oid, 'text') : String;
  },
};

/** Set in each transaction, not once per connection: a pooler may give each transaction another one. */
const settings = (config: PostgresConfig): string =>
  Object.entries({
    TimeZone: 'UTC',
    DateStyle: 'ISO, YMD',
    extra_float_digits: '1',
    search_path: 'pg_catalog',
    statement_timeout: String(config.statementMsMax),
    lock_timeout: String(config.lockWaitMsMax),
    idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_MS_MAX),
    client_min_messages: 'warning',
    standard_conforming_strings: 'on',
    jit: 'off',
  })
    .map(([name, value]) => `SET LOCAL ${name} = '${value}'`)
    .join('; ')
    .replace("search_path = 'pg_catalog'", 'search_path = pg_catalog');

export async function openClient(config: PostgresConfig, context: WarehouseContext): Promise<Client> {
  const connectionString = checkedUrl(config.url);
  const staged = await openStaged(context, 'postgres');
  const pool = new Pool({
    connectionString,
    max: config.connectionsMax,
    types,
    application_name: 'headwater',
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    idleTimeoutMillis: IDLE_MS_MAX,
  });
  // An idle connection that breaks is replaced by the next use.
  pool.on('error', () => undefined);
  const limits = settings(config);
  const begin = {
    write: `BEGIN; ${limits}`,
    read: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${limits}`,
  };
  const within = async <T>(what: string, opening: string, end: 'COMMIT' | 'ROLLBACK', options: Within<T>) => {
    options.signal?.throwIfAborted();
    try {
      return await transact(
        pool,
        { connectionString, opening, end, prefix: config.schemaPrefix, staged },
        options,
      );
    } catch (error) {
      options.signal?.throwIfAborted();
      throw wrapped(what, error);
    }
  };
  return {
    write: (what, work, signal) => within(what, begin.write, 'COMMIT', { work, signal }),
    scratch: (what, work) => within(what, begin.write, 'ROLLBACK', { work }),
    read: (what, work) => within(what, begin.read, 'COMMIT', { work }),
    visit: (what, msMax, work) => {
      const own = `SET LOCAL search_path TO DEFAULT; SET LOCAL statement_timeout = '${msMax}'`;
      return within(what, `${begin.read}; ${own}`, 'ROLLBACK', { work, last: true });
    },
    alone: async (what, statements) => {
      const client = await connected(pool).catch((error: unknown) => {
        throw wrapped(what, error);
      });
      let broken: unknown;
      try {
        for (const statement of statements) await client.query(statement);
      } catch (error) {
        broken = error;
        throw wrapped(what, error);
      } finally {
        client.release(broken !== undefined);
      }
    },
    close: async () => {
      await pool.end();
      await staged.close();
    },
  };
}

interface Within<T> {
  work: (session: Session) => Promise<T>;
  signal?: AbortSignal | undefined;
  /** The connection is closed afterwards: what a statement of a user did to it is gone. */
  last?: boolean;
}

interface Around {
  connectionString: string;
  opening: string;
  end: 'COMMIT' | 'ROLLBACK';
  prefix: string;
  staged: StagedFiles;
}

async function transact<T>(pool: Pool, around: Around, { work, signal, last }: Within<T>): Promise<T> {
  const client = await connected(pool);
  const ignore = (): void => undefined;
  client.on('error', ignore);
  const stop = (): void => void cancel(around.connectionString, client);
  let discard = last === true;
  try {
    await client.query(around.opening);
    signal?.addEventListener('abort', stop);
    signal?.throwIfAborted();
    const result = await work(sessionOf(client, around, signal));
    signal?.throwIfAborted();
    await client.query(around.end);
    return result;
  } catch (error) {
    discard ||= isGone(error);
    // The first error is the one that counts. A connection that cannot even roll back is given up.
    await client.query('ROLLBACK').catch(() => (discard = true));
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    client.off('error', ignore);
    client.release(discard);
  }
}

async function connected(pool: Pool): Promise<PoolClient> {
  const deadline = performance.now() + REACH_MS;
  for (;;) {
    try {
      return await pool.connect();
    } catch (error) {
      if (!isGone(error) || performance.now() > deadline) throw error;
    }
    await sleep(RETRY_MS);
  }
}

/** Asks the server to end the statement; it is the transaction that undoes it. Where the server cannot be asked, the end of the connection does. */
async function cancel(connectionString: string, client: PoolClient): Promise<void> {
  const other = new Connection({ connectionString, connectionTimeoutMillis: CANCEL_MS_MAX });
  other.on('error', () => undefined);
  try {
    await other.connect();
    const pid = 'processID' in client && typeof client.processID === 'number' ? client.processID : 0;
    await other.query('SELECT pg_cancel_backend($1)', [pid]);
  } catch {
    // The statement runs into its time limit at the latest.
  } finally {
    await other.end().catch(() => undefined);
  }
}

function sessionOf(client: PoolClient, { prefix, staged }: Around, signal: AbortSignal | undefined): Session {
  const query = async (text: string, values: readonly Parameter[] = []) => {
    signal?.throwIfAborted();
    return client.query<Row>({ text, values: [...values] });
  };
  return {
    prefix,
    staged,
    rows: async (sql, values) => (await query(sql, values)).rows,
    run: async (sql, values) => (await query(sql, values)).rowCount ?? 0,
    table: async (text) => {
      // Not in the driver's published types: the simple protocol would take several statements.
      const config: QueryArrayConfig & { queryMode: 'extended' } = {
        text,
        rowMode: 'array',
        queryMode: 'extended',
      };
      const result = await client.query<unknown[]>(config);
      return {
        columns: result.fields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID })),
        rows: result.rows,
      };
    },
    copyIn: (into, chunks) => {
      signal?.throwIfAborted();
      return copyRows(client, `COPY ${into} FROM STDIN (FORMAT csv)`, chunks, signal);
    },
    copyOut: (sql) => client.query(copyTo(sql)),
    target: (connection, table) => targetName(prefix, connection, table),
  };
}

/**
 * The stream of the driver's COPY does not always hear that its connection has ended, so that is waited for, too. What stops in
 * the middle tells the server, which fails the statement: the transaction can still be rolled back.
 */
async function copyRows(
  client: PoolClient,
  text: string,
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const stream = client.query(copyFrom(text, { highWaterMark: COPY_BYTES }));
  const lost = Promise.withResolvers<never>();
  const finished = Promise.withResolvers<void>();
  let failure: Error | undefined;
  const drop = (): void => {
    failure ??= new Error('Connection terminated');
    lost.reject(failure);
  };
  client.once('end', drop);
  stream.on('error', (error) => {
    failure ??= error;
    finished.reject(error);
  });
  stream.once('finish', () => finished.resolve());
  for (const promise of [lost.promise, finished.promise]) promise.catch(() => undefined);
  try {
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      if (failure !== undefined) throw failure;
      if (stream.write(chunk)) continue;
      const drained = new Promise((resolve) => stream.once('drain', resolve));
      await Promise.race([drained, finished.promise, lost.promise]);
    }
    stream.end();
    await Promise.race([finished.promise, lost.promise]);
    return stream.rowCount;
  } catch (error) {
    const closed = new Promise((resolve) => stream.once('close', resolve));
    if (failure === undefined && !stream.destroyed && !stream.writableFinished) {
      stream.destroy(new Error('stopped'));
      await Promise.race([closed, finished.promise, lost.promise]).catch(() => undefined);
    }
    throw failure ?? error;
  } finally {
    client.off('end', drop);
  }
}

/** I5: the parser of addresses repeats what it was given. */
function checkedUrl(url: string): string {
  try {
    const { protocol } = new URL(url);
    if (protocol === 'postgres:' || protocol === 'postgresql:') return url;
  } catch {
    // The same answer as for another protocol.
  }
  throw new HeadwaterError(
    'CONFIG_INVALID',
    'warehouse.url: the value of this secret is no address of a Postgres',
    {
      remedy: 'Write postgres://user:password@host:5432/database?sslmode=verify-full into the secret.',
    },
  );
}
