import type { PoolConfig } from 'pg';
import type { LoadBucket } from '../load-bucket.ts';
import { openStaged } from '../staged.ts';
import type { StagedFiles } from '../staged.ts';
import type { WarehouseContext } from '../warehouse.ts';
import { openLoadBucket } from './bucket.ts';
import type { RedshiftConfig } from './config.ts';
import { dataApiServer } from './data-sessions.ts';
import { wrapped } from './errors.ts';
import { targetName } from './names.ts';
import { pgServer } from './pg-server.ts';
import { setSql } from './server.ts';
import type { Access, Transaction } from './server.ts';

/** "query_group": characters of a label. */
const LABEL_CHARS_MAX = 320;

/** The table that whoever writes locks first. */
export const WRITER = '_headwater.writer';

/** One transaction. Lists are bound one value at a time: there are no arrays. */
export interface Session extends Access {
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
  readonly bucket: LoadBucket;
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

export function transactionOf(
  config: Pick<RedshiftConfig, 'statementMsMax' | 'lockWaitMsMax'>,
  kind: 'first' | 'write' | 'read',
  label = 'headwater',
): Omit<Transaction, 'end'> {
  const query_group = label.replaceAll(/[^\w .:/-]/g, '_').slice(0, LABEL_CHARS_MAX);
  const begin = kind === 'read' ? 'BEGIN READ ONLY' : 'BEGIN';
  const { statementMsMax, lockWaitMsMax } = config;
  if (kind !== 'write')
    return { begin, settings: { query_group, statement_timeout: statementMsMax }, before: [] };
  // A lock has no time limit of its own. It is the first thing asked: the state that is read is taken after it.
  return {
    begin,
    settings: { query_group, statement_timeout: lockWaitMsMax },
    before: [`LOCK ${WRITER}`, setSql('statement_timeout', statementMsMax)],
  };
}

/** `driver`: what a test puts between this and a server that is no Redshift. */
export async function openClient(
  config: RedshiftConfig,
  context: WarehouseContext,
  driver?: PoolConfig['Client'],
): Promise<Client> {
  const server = config.dataApi === undefined ? pgServer(config, driver) : await dataApiServer(config);
  const staged = await openStaged(context, 'redshift');
  const bucket = await openLoadBucket(config);
  const role = roleSql(config.iamRole);
  const prefix = config.schemaPrefix;
  const within = async <T>(
    what: string,
    transaction: Transaction,
    { work, signal, last }: Within<T>,
  ): Promise<T> => {
    signal?.throwIfAborted();
    try {
      return await server.transact(transaction, {
        work: (access) => work(sessionOf(access, { prefix, role })),
        ...{ signal, last },
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw wrapped(what, error);
    }
  };
  const begin = (kind: 'first' | 'write' | 'read', label?: string) => transactionOf(config, kind, label);
  return {
    staged,
    bucket,
    write: (what, work, { signal, label } = {}) =>
      within(what, { ...begin('write', label), end: 'COMMIT' }, { work, signal }),
    first: (what, work) => within(what, { ...begin('first'), end: 'COMMIT' }, { work }),
    scratch: (what, work, { signal, label } = {}) =>
      within(what, { ...begin('first', label), end: 'ROLLBACK' }, { work, signal }),
    read: (what, work) => within(what, { ...begin('read'), end: 'COMMIT' }, { work }),
    visit: (what, msMax, work) => {
      const { settings, ...rest } = begin('read');
      const limited = { ...settings, statement_timeout: msMax };
      return within(what, { ...rest, settings: limited, end: 'ROLLBACK' }, { work, last: true });
    },
    alone: (what, statements) =>
      server.alone(statements).catch((error: unknown) => {
        throw wrapped(what, error);
      }),
    close: async () => {
      await server.close();
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

const sessionOf = (access: Access, { prefix, role }: Pick<Session, 'prefix' | 'role'>): Session => ({
  ...access,
  ...{ prefix, role },
  target: (connection, table) => targetName(prefix, connection, table),
});

/** `default` is a word of the language, an ARN a text. */
export const roleSql = (iamRole: string): string => (iamRole === 'default' ? 'default' : `'${iamRole}'`);
