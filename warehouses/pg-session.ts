import { setTimeout as sleep } from 'node:timers/promises';
import { Client as Connection, types as standardTypes } from 'pg';
import type { ClientConfig, CustomTypesConfig, Pool, PoolClient, QueryArrayConfig } from 'pg';
import { isGone } from './pg-errors.ts';

/** A server that restarts is waited for; then the step is tried again later. */
const REACH_MS = 5_000;
const RETRY_MS = 200;
const CANCEL_MS_MAX = 3_000;

export const CONNECT_MS_MAX = 15_000;
export const IDLE_MS_MAX = 60_000;

export type Parameter = string | number | boolean | null | readonly string[];
export type Row = Record<string, unknown>;

/** Statements of one transaction. Values come back as QueryAnswer has them: 64-bit integers, decimals and times as text. */
export interface Statements {
  rows(sql: string, values?: readonly Parameter[]): Promise<Row[]>;
  /** The number of rows changed. */
  run(sql: string, values?: readonly Parameter[]): Promise<number>;
  /** Rows as arrays with the type of each column, through the protocol that takes one statement only. */
  table(sql: string): Promise<{ columns: { name: string; oid: number }[]; rows: unknown[][] }>;
}

const { BOOL, INT2, INT4, FLOAT4, FLOAT8 } = standardTypes.builtins;
const TEXT_ARRAY = 1009;
const PARSED: ReadonlySet<number> = new Set([BOOL, INT2, INT4, TEXT_ARRAY]);
const FLOATS: ReadonlySet<number> = new Set([FLOAT4, FLOAT8]);
const float = (text: string): number | string => (Number.isFinite(Number(text)) ? Number(text) : text);

/** JSON-safe and exact: whatever a JavaScript number cannot hold stays the text that the server writes. */
export const types: CustomTypesConfig = {
  getTypeParser: (oid: Parameters<typeof standardTypes.getTypeParser>[0]) => {
    if (FLOATS.has(oid)) return float;
    return PARSED.has(oid) ? standardTypes.getTypeParser(oid, 'text') : String;
  },
};

export function statementsOf(client: PoolClient, signal: AbortSignal | undefined): Statements {
  const query = async (text: string, values: readonly Parameter[] = []) => {
    signal?.throwIfAborted();
    return client.query<Row>({ text, values: [...values] });
  };
  return {
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
  };
}

export interface Within<T> {
  work: (client: PoolClient) => Promise<T>;
  signal?: AbortSignal | undefined;
  /** The connection is closed afterwards: what a statement of a user did to it is gone. */
  last?: boolean;
}

export interface Around {
  /** For the connection that asks the server to end a statement. */
  login: ClientConfig;
  /** Begins the transaction and sets what holds in it. One after the other: a time limit holds from the next request on. */
  opening: readonly string[];
  end: 'COMMIT' | 'ROLLBACK';
}

/** One transaction; rolled back when `work` throws or the signal aborts. Errors are the driver's. */
export async function transact<T>(pool: Pool, around: Around, { work, signal, last }: Within<T>): Promise<T> {
  const client = await connected(pool);
  const ignore = (): void => undefined;
  client.on('error', ignore);
  const stop = (): void => void cancel(around.login, client);
  let discard = last === true;
  try {
    // Beginning may wait, too: for a lock.
    signal?.addEventListener('abort', stop);
    signal?.throwIfAborted();
    for (const statements of around.opening) await client.query(statements);
    const result = await work(client);
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

/** Statements that cannot run in a transaction. Errors are the driver's. */
export async function runAlone(pool: Pool, statements: readonly string[]): Promise<void> {
  const client = await connected(pool);
  let broken = true;
  try {
    for (const statement of statements) await client.query(statement);
    broken = false;
  } finally {
    client.release(broken);
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
async function cancel(login: ClientConfig, client: PoolClient): Promise<void> {
  const other = new Connection({ ...login, connectionTimeoutMillis: CANCEL_MS_MAX });
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
