import { readFile } from 'node:fs/promises';
import { Pool } from 'pg';
import type { PoolClient, PoolConfig } from 'pg';
import { HeadwaterError } from '../../rules/errors.ts';
import { CONNECT_MS_MAX, IDLE_MS_MAX, runAlone, statementsOf, transact, types } from '../pg-session.ts';
import type { RedshiftConfig } from './config.ts';
import { SETTINGS, setSql } from './server.ts';
import type { Access, Part, Server, Transaction } from './server.ts';

const CURSOR = 'headwater_answer';
/** "FETCH": a cluster of one node gives no more at a time. */
const FETCH_ROWS_MAX = 1_000;

/** Set in each transaction, not once per connection: a pooler may give each transaction another one. */
export function openingSql({
  begin,
  settings,
  before,
}: Pick<Transaction, 'begin' | 'settings' | 'before'>): string[] {
  const all = Object.entries({ ...SETTINGS, ...settings });
  return [[begin, ...all.map(([name, value]) => setSql(name, value))].join('; '), ...before];
}

/** `driver`: what a test puts between this and a server that is no Redshift. */
export function pgServer(config: RedshiftConfig, driver?: PoolConfig['Client']): Server {
  const { host, port, database, user, password, credentialsPath } = config;
  const login = {
    ...{ port, database, ssl: config.ssl, keepAlive: true },
    ...(host === undefined ? {} : { host }),
    ...(user === undefined ? {} : { user }),
    password: credentialsPath === undefined ? password : () => passwordIn(credentialsPath),
  };
  const pool = new Pool({
    ...login,
    max: config.connectionsMax,
    types,
    application_name: 'headwater',
    connectionTimeoutMillis: CONNECT_MS_MAX,
    idleTimeoutMillis: IDLE_MS_MAX,
    ...(driver === undefined ? {} : { Client: driver }),
  });
  // An idle connection that breaks is replaced by the next use.
  pool.on('error', () => undefined);
  return {
    transact: (transaction, { work, signal, last = false }) =>
      transact(
        pool,
        { login, opening: openingSql(transaction), end: transaction.end },
        { work: (client) => work(accessOf(client, signal)), signal, last },
      ),
    alone: (statements) => runAlone(pool, statements),
    close: () => pool.end(),
  };
}

function accessOf(client: PoolClient, signal: AbortSignal | undefined): Access {
  const statements = statementsOf(client, signal);
  const typed = async (sql: string): Promise<Part> => {
    const { columns, rows: found } = await statements.table(sql);
    return {
      columns: columns.map(({ name, oid }) => ({ name, type: TYPE_NAMES[oid] ?? 'unknown' })),
      rows: found,
    };
  };
  return {
    ...statements,
    /** A cursor takes one SELECT and nothing else; the extended protocol takes one statement; the transaction is read only. */
    select: async function* (sql, rowsMax) {
      await statements.table(`DECLARE ${CURSOR} CURSOR FOR ${sql}`);
      for (let left = rowsMax; ;) {
        const asked = Math.min(left, FETCH_ROWS_MAX);
        const part = await typed(`FETCH FORWARD ${asked} FROM ${CURSOR}`);
        yield part;
        left -= part.rows.length;
        if (part.rows.length < asked || left <= 0) return;
      }
    },
  };
}

/** Of pg_type, where these numbers are the same in every database. */
const TYPE_NAMES: Record<number, string> = {
  ...{ 16: 'boolean', 20: 'bigint', 21: 'smallint', 23: 'integer', 25: 'text', 114: 'json', 700: 'real' },
  ...{ 701: 'double precision', 1042: 'character', 1043: 'character varying', 1082: 'date' },
  ...{
    1083: 'time without time zone',
    1114: 'timestamp without time zone',
    1184: 'timestamp with time zone',
  },
  ...{ 1266: 'time with time zone', 1700: 'numeric', 4000: 'super', 6551: 'varbyte' },
};

/** What the AWS command line prints for a cluster, or for a serverless workgroup. I5: no word of it is told. */
async function passwordIn(path: string): Promise<string> {
  try {
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof found === 'object' && found !== null) {
      if ('DbPassword' in found && typeof found.DbPassword === 'string') return found.DbPassword;
      if ('dbPassword' in found && typeof found.dbPassword === 'string') return found.dbPassword;
    }
  } catch {
    // The same answer as for another content.
  }
  throw new HeadwaterError('CONFIG_INVALID', 'warehouse.credentialsPath: the file holds no credentials', {
    remedy:
      'Write what `aws redshift get-cluster-credentials` prints into it, and renew it before it expires.',
  });
}
