import type { Readable } from 'node:stream';
import { Pool } from 'pg';
import type { PoolClient } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { HeadwaterError } from '../../rules/errors.ts';
import { CONNECT_MS_MAX, IDLE_MS_MAX, runAlone, statementsOf, transact, types } from '../pg-session.ts';
import type { Statements } from '../pg-session.ts';
import { openStaged } from '../staged.ts';
import type { StagedFiles } from '../staged.ts';
import type { WarehouseContext } from '../warehouse.ts';
import type { PostgresConfig } from './config.ts';
import { wrapped } from './errors.ts';
import { targetName } from './names.ts';

/** A load that gets no rows for so long has lost its process. */
const IDLE_IN_TRANSACTION_MS_MAX = 300_000;
const COPY_BYTES = 256 * 1024;

/** One transaction. */
export interface Session extends Statements {
  readonly prefix: string;
  readonly staged: StagedFiles;
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
  const within = async <T>(
    what: string,
    opening: string,
    end: 'COMMIT' | 'ROLLBACK',
    { work, signal, last = false }: Options<T>,
  ) => {
    signal?.throwIfAborted();
    const prefix = config.schemaPrefix;
    const inSession = (client: PoolClient) => work(sessionOf(client, { prefix, staged }, signal));
    try {
      return await transact(
        pool,
        { login: { connectionString }, opening: [opening], end },
        { work: inSession, signal, last },
      );
    } catch (error) {
      signal?.throwIfAborted();
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
    alone: (what, statements) =>
      runAlone(pool, statements).catch((error: unknown) => {
        throw wrapped(what, error);
      }),
    close: async () => {
      await pool.end();
      await staged.close();
    },
  };
}

interface Options<T> {
  work: (session: Session) => Promise<T>;
  signal?: AbortSignal | undefined;
  last?: boolean;
}

function sessionOf(
  client: PoolClient,
  { prefix, staged }: Pick<Session, 'prefix' | 'staged'>,
  signal: AbortSignal | undefined,
): Session {
  return {
    ...statementsOf(client, signal),
    prefix,
    staged,
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
    // What stopped it, not the server's answer to that.
    const cause = failure ?? error;
    const closed = new Promise((resolve) => stream.once('close', resolve));
    if (failure === undefined && !stream.destroyed && !stream.writableFinished) {
      stream.destroy(new Error('stopped'));
      await Promise.race([closed, finished.promise, lost.promise]).catch(() => undefined);
    }
    throw cause;
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
