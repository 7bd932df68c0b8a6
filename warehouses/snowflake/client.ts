import { createPrivateKey } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Column, Connection, ConnectionOptions } from 'snowflake-sdk';
import { HeadwaterError } from '../../rules/errors.ts';
import type { FactRow } from '../batch-rules.ts';
import { openStaged } from '../staged.ts';
import type { LoadBucket } from '../load-bucket.ts';
import type { StagedFiles } from '../staged.ts';
import type { WarehouseContext } from '../warehouse.ts';
import type { SnowflakeConfig } from './config.ts';
import { isGone, wrapped } from './errors.ts';
import { openStageBucket } from './external-stage.ts';
import { targetName } from './names.ts';

/** The driver tries a login again by itself; the step is tried again later. */
const LOGIN_TRIES_MAX = 3;
const REQUEST_MS_MAX = 90_000;
const HEARTBEAT_S = 900;
/** How long a statement that was cancelled may take to come back before its session is given up. */
const CANCEL_MS_MAX = 10_000;
/** Beyond the server's own limit of a statement: then nobody answers any more. */
const ANSWER_MS_MAX = 60_000;
const TAG_CHARS_MAX = 2_000;

export type Parameter = string | number | boolean | null;

export interface Answer {
  columns: Column[];
  rows: unknown[][];
}

export interface StatementOptions {
  /** Parameters of the session, for this statement alone. */
  parameters?: Record<string, string | number | boolean>;
  msMax?: number;
}

/** One session of the server. Numbers, days and times come as texts, columns under names in small letters. */
export interface Session {
  readonly prefix: string;
  readonly staged: StagedFiles;
  /** Where files go, of the configuration; undefined: into a stage of the session, in Headwater's own schema. */
  readonly stage: string | undefined;
  /** Of an external stage, into which no PUT goes. */
  readonly bucket: LoadBucket | undefined;
  readonly signal: AbortSignal | undefined;
  rows(sql: string, values?: readonly Parameter[]): Promise<FactRow[]>;
  /** The number of rows inserted, updated and deleted. */
  run(sql: string, values?: readonly Parameter[]): Promise<number>;
  answer(sql: string, values?: readonly Parameter[], options?: StatementOptions): Promise<Answer>;
  /**
   * One transaction; rolled back when `work` throws. A statement that defines something would end it, so those come before. In
   * this process one after the other.
   */
  atomically<T>(work: () => Promise<T>): Promise<T>;
  /** A statement whose work lasts as long as the session of the server: done once. */
  once(sql: string): Promise<void>;
  /** A statement that tidies up: the signal does not stop it, and its failure is nobody's. */
  discard(sql: string): Promise<void>;
  target(connection: string, table: string): string;
}

export interface Tag {
  window?: string;
  batch?: string;
  /** Of the workflow that owns the window. */
  run?: string;
}

export interface Client {
  /** Statements on one session, each by itself unless `atomically`. What the signal stops is rolled back. */
  use<T>(
    what: string,
    work: (session: Session) => Promise<T>,
    options?: { signal?: AbortSignal; tag?: Tag },
  ): Promise<T>;
  close(): Promise<void>;
}

export async function openClient(config: SnowflakeConfig, context: WarehouseContext): Promise<Client> {
  const options = await connectionOptions(config);
  const bucket = config.externalStage && (await openStageBucket(config.externalStage));
  const staged = await openStaged(context, 'snowflake');
  const pool = createPool(config, options);
  const alone = createMutex();
  return {
    use: async (what, work, { signal, tag } = {}) => {
      signal?.throwIfAborted();
      try {
        return await pool.lend(async (connection) => {
          const label = JSON.stringify({ app: 'headwater', what, ...tag }).slice(0, TAG_CHARS_MAX);
          return work(sessionOf(connection, { config, staged, bucket, alone, label, signal }));
        });
      } catch (error) {
        signal?.throwIfAborted();
        throw wrapped(what, error);
      }
    },
    close: async () => {
      await pool.close();
      await staged.close();
      bucket?.close();
    },
  };
}

/** I5: the words of a key that cannot be read are not told. */
async function connectionOptions(config: SnowflakeConfig): Promise<ConnectionOptions> {
  const { account, user, role, warehouse, database, accessUrl } = config;
  const base: ConnectionOptions = {
    account,
    username: user,
    database,
    ...(role === undefined ? {} : { role }),
    ...(warehouse === undefined ? {} : { warehouse }),
    ...(accessUrl === undefined ? {} : { accessUrl }),
    application: 'headwater',
    clientSessionKeepAlive: true,
    clientSessionKeepAliveHeartbeatFrequency: HEARTBEAT_S,
    sfRetryMaxLoginRetries: LOGIN_TRIES_MAX,
    timeout: REQUEST_MS_MAX,
    disableConsoleLogin: true,
    representNullAsStringNull: false,
  };
  if (config.privateKey !== undefined)
    return {
      ...base,
      authenticator: 'SNOWFLAKE_JWT',
      privateKey: unlocked(config.privateKey, config.privateKeyPassphrase),
    };
  if (config.token !== undefined) return { ...base, authenticator: 'OAUTH', token: config.token };
  if (config.accessToken !== undefined)
    return { ...base, authenticator: 'PROGRAMMATIC_ACCESS_TOKEN', token: config.accessToken };
  return { ...base, authenticator: 'SNOWFLAKE', password: config.password ?? '' };
}

function unlocked(pem: string, passphrase: string | undefined): string {
  try {
    const key = createPrivateKey({
      key: pem,
      format: 'pem',
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    return key.export({ format: 'pem', type: 'pkcs8' }).toString();
  } catch {
    throw new HeadwaterError(
      'CONFIG_INVALID',
      'warehouse.privateKey: the value of this secret is no private key that can be read',
      {
        remedy:
          'Write the key of `openssl genrsa 2048 | openssl pkcs8 -topk8 -inform PEM` into the secret, and its passphrase into privateKeyPassphrase.',
      },
    );
  }
}

interface Pool {
  lend<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Sessions are kept and used again; one that broke, or that may still be in a transaction, is closed. */
function createPool(config: SnowflakeConfig, options: ConnectionOptions): Pool {
  const idle: Connection[] = [];
  const waiting: (() => void)[] = [];
  let lent = 0;
  const take = async (): Promise<Connection> => {
    for (let found = idle.pop(); found !== undefined; found = idle.pop()) {
      if (found.isUp()) return found;
      await destroyed(found);
    }
    return connected(config, options);
  };
  return {
    lend: async (work) => {
      if (lent >= config.connectionsMax) await new Promise<void>((resolve) => waiting.push(resolve));
      else lent += 1;
      let connection: Connection | undefined;
      try {
        connection = await take();
        const result = await work(connection);
        idle.push(connection);
        return result;
      } catch (error) {
        if (connection !== undefined) {
          if (isGone(error) || broken.has(connection)) await destroyed(connection);
          else idle.push(connection);
        }
        throw error;
      } finally {
        const next = waiting.shift();
        if (next === undefined) lent -= 1;
        else next();
      }
    },
    close: async () => {
      await Promise.all(idle.splice(0).map(destroyed));
    },
  };
}

/** Sessions whose state is not known. */
const broken = new WeakSet<Connection>();
/** What was done once, by session. */
const doneOnce = new WeakMap<Connection, Set<string>>();

const destroyed = (connection: Connection): Promise<void> =>
  Promise.race([
    new Promise<void>((resolve) => {
      try {
        connection.destroy(() => resolve());
      } catch {
        resolve();
      }
    }),
    sleep(CANCEL_MS_MAX, undefined, { ref: false }),
  ]);

/** The driver is large: it is read when somebody connects. */
async function connected(config: SnowflakeConfig, options: ConnectionOptions): Promise<Connection> {
  const { default: driver } = await import('snowflake-sdk');
  // It would write a log into the working directory.
  driver.configure({ logLevel: 'OFF', additionalLogToConsole: false });
  const connection = driver.createConnection({ ...options });
  // With a callback: `connectAsync` of this driver is also done when the login was refused.
  await new Promise<void>((resolve, reject) => {
    connection.connect((error) => {
      // oxlint-disable-next-line prefer-promise-reject-errors -- the driver's own, of another realm in tests.
      if (error) reject(error);
      else resolve();
    });
  });
  const seconds = (ms: number): number => Math.ceil(ms / 1000);
  const settings = {
    TIMEZONE: "'UTC'",
    DATE_INPUT_FORMAT: "'AUTO'",
    TIME_INPUT_FORMAT: "'AUTO'",
    TIMESTAMP_INPUT_FORMAT: "'AUTO'",
    STATEMENT_TIMEOUT_IN_SECONDS: seconds(config.statementMsMax),
    LOCK_TIMEOUT: seconds(config.lockWaitMsMax),
    ABORT_DETACHED_QUERY: 'TRUE',
    DATE_OUTPUT_FORMAT: "'YYYY-MM-DD'",
    TIME_OUTPUT_FORMAT: "'HH24:MI:SS.FF6'",
    TIMESTAMP_NTZ_OUTPUT_FORMAT: "'YYYY-MM-DD HH24:MI:SS.FF6'",
    TIMESTAMP_LTZ_OUTPUT_FORMAT: "'YYYY-MM-DD HH24:MI:SS.FF6TZHTZM'",
    TIMESTAMP_TZ_OUTPUT_FORMAT: "'YYYY-MM-DD HH24:MI:SS.FF6TZHTZM'",
    JSON_INDENT: 0,
    QUOTED_IDENTIFIERS_IGNORE_CASE: 'FALSE',
  };
  const assigned = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  await execute(connection, `ALTER SESSION SET ${assigned.join(' ')}`, [], { msMax: REQUEST_MS_MAX });
  return connection;
}

interface Around {
  config: SnowflakeConfig;
  staged: StagedFiles;
  bucket: LoadBucket | undefined;
  alone: <T>(work: () => Promise<T>) => Promise<T>;
  label: string;
  signal: AbortSignal | undefined;
}

const CHANGED = /^number of rows (?:inserted|updated|deleted)$/i;

function sessionOf(
  connection: Connection,
  { config, staged, bucket, alone, label, signal }: Around,
): Session {
  const answer: Session['answer'] = (sql, values = [], options = {}) => {
    signal?.throwIfAborted();
    const msMax = options.msMax ?? config.statementMsMax;
    const parameters = { QUERY_TAG: label, ...options.parameters };
    return execute(connection, sql, values, {
      parameters,
      msMax: msMax + Math.min(msMax, ANSWER_MS_MAX),
      signal,
    });
  };
  const rows: Session['rows'] = async (sql, values) => {
    const found = await answer(sql, values);
    const names = found.columns.map((column) => column.getName().toLowerCase());
    return found.rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at]])));
  };
  const run: Session['run'] = async (sql, values) => {
    const {
      columns,
      rows: [row = []],
    } = await answer(sql, values);
    return columns.reduce(
      (sum, column, at) => sum + (CHANGED.test(column.getName()) ? Number(row[at]) : 0),
      0,
    );
  };
  return {
    prefix: config.schemaPrefix,
    ...{ staged, bucket, signal },
    stage: config.externalStage?.name ?? config.stage,
    rows,
    run,
    answer,
    atomically: (work) =>
      alone(async () => {
        await answer('BEGIN');
        try {
          const result = await work();
          signal?.throwIfAborted();
          await answer('COMMIT');
          return result;
        } catch (error) {
          // The first error is the one that counts. A session that cannot even roll back is given up.
          await execute(connection, 'ROLLBACK', [], { msMax: CANCEL_MS_MAX }).catch(() =>
            broken.add(connection),
          );
          throw error;
        }
      }),
    once: async (sql) => {
      const done = doneOnce.get(connection) ?? new Set<string>();
      if (done.has(sql)) return;
      await answer(sql);
      doneOnce.set(connection, done.add(sql));
    },
    discard: async (sql) => {
      if (broken.has(connection)) return;
      await execute(connection, sql, [], { msMax: REQUEST_MS_MAX }).catch(() => undefined);
    },
    target: (name, table) => targetName(config.schemaPrefix, name, table),
  };
}

interface Execution extends StatementOptions {
  msMax: number;
  signal?: AbortSignal | undefined;
}

/** What the signal stops is cancelled at the server, which answers then; a session that does not answer is given up. */
function execute(
  connection: Connection,
  sqlText: string,
  values: readonly Parameter[],
  { parameters, msMax, signal }: Execution,
): Promise<Answer> {
  return new Promise<Answer>((resolve, reject) => {
    let late: NodeJS.Timeout | undefined;
    const giveUp = (ms: number): void => {
      clearTimeout(late);
      late = setTimeout(() => {
        broken.add(connection);
        signal?.removeEventListener('abort', stop);
        reject(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
      }, ms);
    };
    const statement = connection.execute({
      sqlText,
      binds: [...values],
      rowMode: 'array',
      fetchAsString: ['Number', 'Date', 'JSON', 'Buffer'],
      ...(parameters === undefined ? {} : { parameters }),
      complete: (error, done, rows) => {
        clearTimeout(late);
        signal?.removeEventListener('abort', stop);
        // oxlint-disable-next-line prefer-promise-reject-errors -- the driver's own, of another realm in tests.
        if (error) reject(error);
        else resolve({ columns: done.getColumns() ?? [], rows: rows ?? [] });
      },
    });
    function stop(): void {
      giveUp(CANCEL_MS_MAX);
      statement.cancel(() => undefined);
    }
    giveUp(msMax);
    signal?.addEventListener('abort', stop);
  });
}

function createMutex(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}
