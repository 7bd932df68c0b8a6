import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ColumnMetadata, Field, RedshiftData } from '@aws-sdk/client-redshift-data';
import type { Parameter } from '../pg-session.ts';
import { awsLogin } from './config.ts';
import type { RedshiftConfig } from './config.ts';
import { requestError, serverError, statementError } from './data-errors.ts';
import { sessionSql } from './server.ts';
import type { Part } from './server.ts';

/** "Considerations when calling the Amazon Redshift Data API": 100 KB of a statement. */
const STATEMENT_BYTES_MAX = 102_400;
/** "DescribeStatement", WaitTimeSeconds: 30 at most. */
const WAIT_S_MAX = 30;
/** Where the service does not wait: between two questions. */
const POLL_MS = 250;
/** With the same token, so that no statement runs twice. */
const TRIES_MAX = 4;
const CONNECT_MS_MAX = 10_000;
const IDLE_MS_MAX = 60_000;
/** Behind the server's own limit of a statement: then nobody answers any more. */
const ANSWER_MS_MAX = 60_000;
/** How long a statement that was cancelled may take to end before its session is given up. */
const CANCEL_MS_MAX = 10_000;
/** A session, its open transaction and its locks end so long after their last statement: a worker that was killed holds nothing for longer. */
export const KEEP_ALIVE_S = 60;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export interface Done {
  id: string;
  /** Rows that were changed, or that there are. */
  rows: number;
  hasAnswer: boolean;
}

/** Statements of sessions: one at a time in each. */
export interface DataApi {
  open(): Promise<string>;
  /** When the signal aborts, the statement is cancelled. */
  run(session: string, sql: string, values?: readonly Parameter[], signal?: AbortSignal): Promise<Done>;
  /** There is no request for it: a last statement after which the session is kept no more. Where that fails, it ends later. */
  end(session: string): Promise<void>;
  /** At least one part. */
  parts(done: Done): AsyncGenerator<Part, void, undefined>;
  close(): void;
}

/** Loaded by those alone who use it. */
export async function openDataApi(config: RedshiftConfig): Promise<DataApi> {
  const { RedshiftData: Service } = await import('@aws-sdk/client-redshift-data');
  const { database: Database, dataApi = {}, region } = config;
  const { workgroup, clusterIdentifier, dbUser, secretArn, endpoint } = dataApi;
  const place = {
    Database,
    ...(workgroup === undefined ? {} : { WorkgroupName: workgroup }),
    ...(clusterIdentifier === undefined ? {} : { ClusterIdentifier: clusterIdentifier }),
    ...(dbUser === undefined ? {} : { DbUser: dbUser }),
    ...(secretArn === undefined ? {} : { SecretArn: secretArn }),
  };
  const service = new Service({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...awsLogin(config),
    maxAttempts: TRIES_MAX,
    logger: SILENT,
    requestHandler: { connectionTimeout: CONNECT_MS_MAX, socketTimeout: IDLE_MS_MAX },
  });
  exactNumbers(service);
  const msMax = Math.max(config.statementMsMax, config.lockWaitMsMax) + ANSWER_MS_MAX;
  return {
    open: async () => {
      try {
        const token = { ClientToken: randomUUID(), SessionKeepAliveSeconds: KEEP_ALIVE_S };
        const { Id = '', SessionId = '' } = await service.batchExecuteStatement({
          ...place,
          ...token,
          Sqls: sessionSql(),
        });
        await ended(service, Id, { msMax, isOpening: true });
        return SessionId;
      } catch (error) {
        throw requestError(error, true);
      }
    },
    run: async (SessionId, sql, values, signal) => {
      const bound = boundSql(sql, values);
      try {
        const token = { ClientToken: randomUUID(), SessionKeepAliveSeconds: KEEP_ALIVE_S };
        // Not to be aborted: only who knows its id can cancel the statement.
        const { Id = '' } = await service.executeStatement({ SessionId, ...token, ...bound });
        return await ended(service, Id, { msMax, signal });
      } catch (error) {
        signal?.throwIfAborted();
        throw requestError(error);
      }
    },
    end: async (SessionId) => {
      const last = { SessionId, SessionKeepAliveSeconds: 0, Sql: 'ROLLBACK' };
      await service.executeStatement(last).catch(() => undefined);
    },
    parts: (done) => answerParts(service, done),
    close: () => service.destroy(),
  };
}

/** `$1` becomes `:p1`: values are bound, never written. But NULL and an empty text, which a parameter cannot be, have a word each. */
export function boundSql(
  sql: string,
  values: readonly Parameter[] = [],
): { Sql: string; Parameters?: { name: string; value: string }[] } {
  const used = new Map<string, string>();
  // A text or a name in quotes stays as it is.
  const Sql = sql.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\d+)/g, (found, number?: string) => {
    if (number === undefined) return found;
    const value = values[Number(number) - 1] ?? null;
    if (value === null) return 'NULL';
    if (value === '') return "''";
    used.set(`p${number}`, String(value));
    return `:p${number}`;
  });
  const bytes = Buffer.byteLength(Sql);
  if (bytes > STATEMENT_BYTES_MAX)
    throw serverError('54000', `a statement of ${bytes} bytes; the Data API takes ${STATEMENT_BYTES_MAX}`);
  if (used.size === 0) return { Sql };
  return { Sql, Parameters: [...used].map(([name, value]) => ({ name, value })) };
}

interface Waiting {
  msMax: number;
  signal?: AbortSignal | undefined;
  /** Its words are about names and logins. */
  isOpening?: boolean;
}

/** Waits for the end of a statement. */
async function ended(service: RedshiftData, Id: string, waiting: Waiting): Promise<Done> {
  const { msMax, signal, isOpening = false } = waiting;
  let deadline = performance.now() + msMax;
  let isCancelled = false;
  for (;;) {
    const asked = performance.now();
    try {
      const abortSignal = isCancelled || signal === undefined ? {} : { abortSignal: signal };
      const told = await service.describeStatement({ Id, WaitTimeSeconds: WAIT_S_MAX }, abortSignal);
      const { Status, Error: words = '', ResultRows = 0, HasResultSet = false } = told;
      if (Status === 'FINISHED') return { id: Id, rows: Math.max(0, ResultRows), hasAnswer: HasResultSet };
      if (Status === 'FAILED') throw statementError(words, isOpening);
      if (Status === 'ABORTED') throw serverError('57014', 'the statement was cancelled');
    } catch (error) {
      if (isCancelled || signal?.aborted !== true) throw error;
    }
    const now = performance.now();
    if (!isCancelled && (signal?.aborted === true || now > deadline)) {
      isCancelled = true;
      deadline = now + CANCEL_MS_MAX;
      // One that has ended meanwhile cannot be cancelled.
      await service.cancelStatement({ Id }).catch(() => undefined);
    } else if (now > deadline) throw serverError('08006', 'a statement does not end');
    else await sleep(Math.max(0, POLL_MS - (now - asked)));
  }
}

/** "Data API data types": texts are texts, and what is neither number nor boolean is a text, too. */
async function* answerParts(
  service: RedshiftData,
  { id: Id, hasAnswer }: Done,
): AsyncGenerator<Part, void, undefined> {
  if (!hasAnswer) {
    yield { columns: [], rows: [] };
    return;
  }
  let NextToken: string | undefined;
  try {
    do {
      const page = await service.getStatementResult({
        Id,
        ...(NextToken === undefined ? {} : { NextToken }),
      });
      const columns = (page.ColumnMetadata ?? []).map(columnOf);
      const rows = (page.Records ?? []).map((row) => row.map((field, at) => valueOf(field, columns[at])));
      yield { columns, rows };
      NextToken = page.NextToken === '' ? undefined : page.NextToken;
    } while (NextToken !== undefined);
  } catch (error) {
    throw requestError(error);
  }
}

const TYPE_NAMES: Record<string, string> = {
  ...{ bool: 'boolean', int2: 'smallint', int4: 'integer', int8: 'bigint', float4: 'real' },
  ...{ float8: 'double precision', bpchar: 'character', varchar: 'character varying' },
  ...{ time: 'time without time zone', timetz: 'time with time zone' },
  ...{ timestamp: 'timestamp without time zone', timestamptz: 'timestamp with time zone' },
};

const columnOf = ({ label, name, typeName = '' }: ColumnMetadata): Part['columns'][number] => ({
  name: label ?? name ?? '',
  type: TYPE_NAMES[typeName] ?? typeName,
});

/** As the driver of the other way gives them: what a JavaScript number cannot hold for sure is a text. */
function valueOf(field: Field, column: Part['columns'][number] | undefined): unknown {
  if (field.isNull === true) return null;
  if (field.longValue !== undefined) {
    const digits = String(field.longValue);
    return column?.type === 'bigint' ? digits : Number(digits);
  }
  return field.stringValue ?? field.booleanValue ?? field.doubleValue ?? null;
}

/** The service writes 64-bit integers as numbers of JSON, which JavaScript would round: the SDK passes a text on as it is. */
const LONG = /"longValue"\s*:\s*(-?\d+)/g;

function exactNumbers(service: RedshiftData): void {
  service.middlewareStack.add(
    (next) => async (handled) => {
      const result = await next(handled);
      const { response } = result;
      if (isAnswer(response)) {
        const parts: Uint8Array[] = [];
        for await (const part of response.body) parts.push(part);
        // Inside of a text of JSON, each of these quotes would have a backslash.
        const text = Buffer.concat(parts).toString('utf8').replaceAll(LONG, '"longValue":"$1"');
        Object.assign(response, { body: Buffer.from(text) });
      }
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'exactNumbers' },
  );
}

function isAnswer(response: unknown): response is { body: AsyncIterable<Uint8Array> } {
  if (typeof response !== 'object' || response === null || !('body' in response)) return false;
  const { body } = response;
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
