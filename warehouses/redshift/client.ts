import { readFile } from 'node:fs/promises';
import { Pool } from 'pg';
import type { PoolClient, PoolConfig } from 'pg';
import { HeadwaterError } from '../../rules/errors.ts';
import { CONNECT_MS_MAX, IDLE_MS_MAX, runAlone, statementsOf, transact, types } from '../pg-session.ts';
import type { Statements } from '../pg-session.ts';
import { openStaged } from '../staged.ts';
import type { StagedFiles } from '../staged.ts';
import type { WarehouseContext } from '../warehouse.ts';
import { openBucket } from './bucket.ts';
import type { Bucket } from './bucket.ts';
import type { RedshiftConfig } from './config.ts';
import { wrapped } from './errors.ts';
import { targetName } from './names.ts';

/** "query_group": characters of a label. */
const LABEL_CHARS_MAX = 320;

/** The table that whoever writes locks first. */
export const WRITER = '_headwater.writer';

/** One transaction. Lists are bound one value at a time: there are no arrays. */
export interface Session extends Statements {
  readonly prefix: string;
  /** As COPY takes it. */
  readonly role: string;
  target(connection: string, table: string): string;
}

export interface Options {
  signal?: AbortSignal | undefined;
  /** Ids of window, batch and run: the label of the statements in Redshift's own logs. */
  label?: string;
}

export interface Client {
  readonly staged: StagedFiles;
  readonly bucket: Bucket;
  /**
   * One transaction; rolled back when `work` throws or the signal aborts. It waits for every other writer of Headwater, and only
   * then sees the tables: what it reads stays true, so no two of them stop each other (1023).
   */
  write<T>(what: string, work: (session: Session) => Promise<T>, options?: Options): Promise<T>;
  /** One transaction that waits for nobody: for making the table that the others lock. */
  first<T>(what: string, work: (session: Session) => Promise<T>): Promise<T>;
  /** Never committed: for work that needs tables of its own for a moment. */
  scratch<T>(what: string, work: (session: Session) => Promise<T>, options?: Options): Promise<T>;
  /** Read only, one state for all statements. */
  read<T>(what: string, work: (session: Session) => Promise<T>): Promise<T>;
  /** The same on a connection that is closed afterwards, with another time limit. */
  visit<T>(what: string, msMax: number, work: (session: Session) => Promise<T>): Promise<T>;
  /** Statements that cannot run in a transaction. */
  alone(what: string, statements: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Set in each transaction, not once per connection: a pooler may give each transaction another one. */
export function openingSql(
  config: Pick<RedshiftConfig, 'statementMsMax' | 'lockWaitMsMax'>,
  kind: 'first' | 'write' | 'read',
  label = 'headwater',
): string[] {
  const settings = {
    timezone: 'UTC',
    datestyle: 'ISO, YMD',
    extra_float_digits: '2',
    query_group: label.replaceAll(/[^\w .:/-]/g, '_').slice(0, LABEL_CHARS_MAX),
  };
  const limit = (ms: number): string => `SET LOCAL statement_timeout TO ${ms}`;
  const begin = [
    kind === 'read' ? 'BEGIN READ ONLY' : 'BEGIN',
    ...Object.entries(settings).map(([name, value]) => `SET LOCAL ${name} TO '${value}'`),
  ].join('; ');
  if (kind !== 'write') return [`${begin}; ${limit(config.statementMsMax)}`];
  // A lock has no time limit of its own. It is the first thing asked: the state that is read is taken after it.
  return [`${begin}; ${limit(config.lockWaitMsMax)}`, `LOCK ${WRITER}`, limit(config.statementMsMax)];
}

/** `driver`: what a test puts between this and a server that is no Redshift. */
export async function openClient(
  config: RedshiftConfig,
  context: WarehouseContext,
  driver?: PoolConfig['Client'],
): Promise<Client> {
  const staged = await openStaged(context, 'redshift');
  const bucket = openBucket(config);
  const { host, port, database, user, password, credentialsPath } = config;
  const login = {
    ...{ host, port, database, user, ssl: config.ssl, keepAlive: true },
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
  const role = roleSql(config.iamRole);
  const within = async <T>(
    what: string,
    around: { opening: readonly string[]; end: 'COMMIT' | 'ROLLBACK' },
    { work, signal, last = false }: Within<T>,
  ): Promise<T> => {
    signal?.throwIfAborted();
    const inSession = (client: PoolClient) =>
      work(sessionOf(client, { prefix: config.schemaPrefix, role }, signal));
    try {
      return await transact(pool, { login, ...around }, { work: inSession, signal, last });
    } catch (error) {
      signal?.throwIfAborted();
      throw wrapped(what, error);
    }
  };
  const begin = (kind: 'first' | 'write' | 'read', label?: string): string[] =>
    openingSql(config, kind, label);
  return {
    staged,
    bucket,
    write: (what, work, { signal, label } = {}) =>
      within(what, { opening: begin('write', label), end: 'COMMIT' }, { work, signal }),
    first: (what, work) => within(what, { opening: begin('first'), end: 'COMMIT' }, { work }),
    scratch: (what, work, { signal, label } = {}) =>
      within(what, { opening: begin('first', label), end: 'ROLLBACK' }, { work, signal }),
    read: (what, work) => within(what, { opening: begin('read'), end: 'COMMIT' }, { work }),
    visit: (what, msMax, work) => {
      const opening = [...begin('read'), `SET LOCAL statement_timeout TO ${msMax}`];
      return within(what, { opening, end: 'ROLLBACK' }, { work, last: true });
    },
    alone: (what, statements) =>
      runAlone(pool, statements).catch((error: unknown) => {
        throw wrapped(what, error);
      }),
    close: async () => {
      await pool.end();
      bucket.close();
      await staged.close();
    },
  };
}

interface Within<T> {
  work: (session: Session) => Promise<T>;
  signal?: AbortSignal | undefined;
  last?: boolean;
}

const sessionOf = (
  client: PoolClient,
  { prefix, role }: Pick<Session, 'prefix' | 'role'>,
  signal: AbortSignal | undefined,
): Session => ({
  ...statementsOf(client, signal),
  ...{ prefix, role },
  target: (connection, table) => targetName(prefix, connection, table),
});

/** `default` is a word of the language, an ARN a text. */
export const roleSql = (iamRole: string): string => (iamRole === 'default' ? 'default' : `'${iamRole}'`);

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
