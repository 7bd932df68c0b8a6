/**
 * The Data API of Redshift over the driver of tests: the requests, refusals and answers of "Amazon Redshift Data API Reference",
 * protocol JSON 1.1, with a connection of its own per session. test/contract/redshift-data-fake.test.ts asks it through a client
 * that AWS wrote.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { z } from 'zod';
import { bindAll, fieldOf, invalid, Refusal, runOne, TYPE_NAMES } from './fake-redshift-words.ts';
import type { Answer, Bound } from './fake-redshift-words.ts';

const STATEMENT_BYTES_MAX = 102_400;
const BATCH_MAX = 40;
const WAIT_S_MAX = 30;
/** The service's own pages are larger; smaller ones show more. */
const PAGE_ROWS = 50;

export interface FakeDataApi {
  readonly endpoint: string;
  /** Names of operations, in order. */
  readonly operations: string[];
  /** Sessions that are open. */
  readonly sessions: number;
  stop(): Promise<void>;
}

export interface FakeOptions {
  /** Address of the server; a request names the database. */
  url: string;
  driver: new (config: ClientConfig) => Client;
  /** No session idles for longer, whatever was asked for; it holds its locks for so long. */
  keepAliveMsMax?: number;
  /** What goes wrong instead; undefined: nothing. */
  fault?: (
    operation: string,
    request: Request,
  ) => { status: number; type: string; message: string } | undefined;
}

const text = z.string().min(1);
const requestSchema = z.strictObject({
  Sql: text.optional(),
  Sqls: z.array(text).min(1).max(BATCH_MAX).optional(),
  Parameters: z
    .array(z.strictObject({ name: z.string().regex(/^[0-9a-zA-Z_]+$/), value: text }))
    .min(1)
    .optional(),
  Id: text.optional(),
  NextToken: text.optional(),
  WaitTimeSeconds: z.number().int().min(0).max(WAIT_S_MAX).optional(),
  SessionId: text.optional(),
  SessionKeepAliveSeconds: z.number().int().min(0).max(86_400).optional(),
  ClientToken: text.max(64).optional(),
  Database: text.optional(),
  DbUser: text.optional(),
  ClusterIdentifier: text.optional(),
  WorkgroupName: text.optional(),
  SecretArn: text.optional(),
});
type Request = z.output<typeof requestSchema>;

interface Session {
  id: string;
  client: Client;
  isBusy: boolean;
  keepAliveMs: number;
  timer?: NodeJS.Timeout;
}

interface Statement {
  id: string;
  session: Session;
  sqls: string[];
  status: string;
  error?: string;
  rows: number;
  answer?: Answer;
  isCancelled: boolean;
  done: Promise<void>;
}

export async function startFakeDataApi(options: FakeOptions): Promise<FakeDataApi> {
  const service = new Service(options);
  const server = createServer((request, response) => void answered(service, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    endpoint: `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`,
    operations: service.operations,
    get sessions() {
      return service.sessions.size;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await service.close();
    },
  };
}

async function answered(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) if (Buffer.isBuffer(part)) parts.push(part);
  let status = 200;
  let body: unknown;
  try {
    const operation = /^RedshiftData\.(\w+)$/.exec(String(request.headers['x-amz-target']))?.[1] ?? '';
    const login = /^AWS4-HMAC-SHA256 Credential=(\w+)\/\d{8}\/[\w-]+\/redshift-data\/aws4_request, /.exec(
      request.headers.authorization ?? '',
    );
    if (login === null || login[1] === 'forbidden')
      throw new Refusal(
        'AccessDeniedException',
        `User is not authorized to perform: redshift-data:${operation}`,
      );
    const parsed = requestSchema.safeParse(JSON.parse(Buffer.concat(parts).toString('utf8')));
    if (!parsed.success) throw invalid(`1 validation error detected: ${parsed.error.message}`);
    body = await service.answer(operation, parsed.data);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    ({ status } = error);
    body = { __type: error.type, Message: error.message, ...needed(error.type) };
  }
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'x-amzn-requestid': randomUUID(),
  });
  response.end(JSON.stringify(body));
}

const needed = (type: string): object => (type === 'ResourceNotFoundException' ? { ResourceId: 'x' } : {});

class Service {
  readonly operations: string[] = [];
  readonly sessions = new Map<string, Session>();
  readonly #statements = new Map<string, Statement>();
  readonly #tokens = new Map<string, { request: string; answer: Promise<unknown> }>();
  readonly #options: FakeOptions;

  constructor(options: FakeOptions) {
    this.#options = options;
  }

  async answer(operation: string, request: Request): Promise<unknown> {
    this.operations.push(operation);
    const fault = this.#options.fault?.(operation, request);
    if (fault !== undefined) throw new Refusal(fault.type, fault.message, fault.status);
    switch (operation) {
      case 'ExecuteStatement':
        if (request.Sql === undefined || request.Sqls !== undefined) throw invalid('Sql is required');
        return this.#once(request, [request.Sql]);
      case 'BatchExecuteStatement':
        if (request.Sqls === undefined || request.Sql !== undefined) throw invalid('Sqls are required');
        return this.#once(request, request.Sqls);
      case 'DescribeStatement':
        return this.#describe(request);
      case 'GetStatementResult':
        return this.#result(request);
      case 'CancelStatement':
        return this.#cancel(request);
      default:
        throw invalid(`no operation ${operation}`);
    }
  }

  /** A request with a token that was used gets the answer of the first one. */
  async #once(request: Request, sqls: string[]): Promise<unknown> {
    const token = request.ClientToken ?? randomUUID();
    const known = this.#tokens.get(token);
    const asked = JSON.stringify(request);
    if (known !== undefined && known.request !== asked)
      throw invalid('The ClientToken was used for another request');
    const answer = known?.answer ?? this.#submit(request, sqls);
    this.#tokens.set(token, { request: asked, answer });
    return answer;
  }

  async #submit(request: Request, sqls: string[]): Promise<unknown> {
    for (const sql of sqls)
      if (Buffer.byteLength(sql) > STATEMENT_BYTES_MAX)
        throw invalid('Cannot exceed the statement size limit of 100 KB');
    const bound = bindAll(sqls, request.Parameters ?? []);
    const session = await this.#sessionOf(request);
    if (session.isBusy) throw invalid('Session is not available');
    session.isBusy = true;
    clearTimeout(session.timer);
    const statement: Statement = {
      ...{ id: randomUUID(), session, sqls, status: 'SUBMITTED', rows: -1, isCancelled: false },
      done: Promise.resolve(),
    };
    this.#statements.set(statement.id, statement);
    statement.done = this.#run(statement, bound);
    const isKept = request.SessionKeepAliveSeconds !== undefined || request.SessionId !== undefined;
    return {
      Id: statement.id,
      CreatedAt: Date.now() / 1_000,
      ...(request.Database === undefined ? {} : { Database: request.Database }),
      ...(isKept ? { SessionId: session.id } : {}),
    };
  }

  async #sessionOf({ SessionId, SessionKeepAliveSeconds, ...place }: Request): Promise<Session> {
    const keepAliveMs = Math.min(
      (SessionKeepAliveSeconds ?? 0) * 1_000,
      this.#options.keepAliveMsMax ?? Infinity,
    );
    if (SessionId !== undefined) {
      if (
        place.Database !== undefined ||
        place.WorkgroupName !== undefined ||
        place.ClusterIdentifier !== undefined
      )
        throw invalid('A request with SessionId goes without Database, WorkgroupName and ClusterIdentifier');
      const session = this.sessions.get(SessionId);
      if (session === undefined) throw invalid('Session is not available');
      if (SessionKeepAliveSeconds !== undefined) session.keepAliveMs = keepAliveMs;
      return session;
    }
    if (place.Database === undefined) throw invalid('Database is required');
    if ((place.WorkgroupName === undefined) === (place.ClusterIdentifier === undefined))
      throw invalid('WorkgroupName or ClusterIdentifier is required');
    if (place.WorkgroupName === 'nowhere') throw invalid("Redshift endpoint doesn't exist in this region");
    const url = new URL(this.#options.url);
    url.pathname = `/${place.Database}`;
    const client = new this.#options.driver({
      connectionString: url.href,
      types: { getTypeParser: () => String },
    });
    client.on('error', () => undefined);
    const session: Session = { id: randomUUID(), client, isBusy: false, keepAliveMs };
    this.sessions.set(session.id, session);
    return session;
  }

  async #run(statement: Statement, bound: Bound[]): Promise<void> {
    const { session, sqls } = statement;
    const { client } = session;
    try {
      if (!('isOpen' in client)) {
        await client.connect();
        Object.assign(client, { isOpen: true });
      }
      statement.status = 'STARTED';
      if (sqls.length > 1) await client.query('BEGIN');
      for (const one of bound) {
        const { rows, answer } = await runOne(client, one);
        statement.rows = rows;
        if (answer !== undefined) statement.answer = answer;
      }
      if (sqls.length > 1) await client.query('COMMIT');
      statement.status = 'FINISHED';
    } catch (error) {
      if (sqls.length > 1) await client.query('ROLLBACK').catch(() => undefined);
      statement.status = statement.isCancelled ? 'ABORTED' : 'FAILED';
      const told = error instanceof Error ? error.message : String(error);
      statement.error = `ERROR: ${told} [ErrorId: 1-${randomUUID()}]`;
    }
    session.isBusy = false;
    const end = (): void => void this.#end(session);
    if (this.sessions.has(session.id)) session.timer = setTimeout(end, session.keepAliveMs);
  }

  async #end(session: Session): Promise<void> {
    this.sessions.delete(session.id);
    clearTimeout(session.timer);
    await session.client.end().catch(() => undefined);
  }

  #statementOf({ Id = '' }: Request): Statement {
    const found = this.#statements.get(Id.replace(/:\d+$/, ''));
    if (found === undefined) throw new Refusal('ResourceNotFoundException', 'Query does not exist.');
    return found;
  }

  async #describe(request: Request): Promise<unknown> {
    const statement = this.#statementOf(request);
    const waitMs = (request.WaitTimeSeconds ?? 0) * 1_000;
    const stop = new AbortController();
    await Promise.race([
      statement.done,
      sleep(waitMs, undefined, { signal: stop.signal }).catch(() => undefined),
    ]);
    stop.abort();
    const { status, rows, error, answer, sqls, id } = statement;
    return {
      ...{ Id: id, Status: status, ResultRows: rows, HasResultSet: answer !== undefined, Duration: 1_000 },
      ...{ CreatedAt: Date.now() / 1_000, UpdatedAt: Date.now() / 1_000, SessionId: statement.session.id },
      ...(error === undefined ? {} : { Error: error }),
      ...(sqls.length === 1 ? { QueryString: sqls[0] } : {}),
    };
  }

  #result(request: Request): unknown {
    const { status, answer } = this.#statementOf(request);
    if (status !== 'FINISHED' || answer === undefined)
      throw new Refusal(
        'ResourceNotFoundException',
        'Query does not have result. Please check query status with DescribeStatement.',
      );
    const from = Number(request.NextToken ?? 0);
    const { fields, rows } = answer;
    return {
      Records: rows
        .slice(from, from + PAGE_ROWS)
        .map((row) => row.map((value, at) => fieldOf(value, fields[at]))),
      ColumnMetadata: fields.map(({ name, dataTypeID }) => ({
        ...{ name, label: name, typeName: TYPE_NAMES[dataTypeID] ?? 'varchar', nullable: 1 },
      })),
      TotalNumRows: rows.length,
      ...(from + PAGE_ROWS < rows.length ? { NextToken: String(from + PAGE_ROWS) } : {}),
    };
  }

  async #cancel(request: Request): Promise<unknown> {
    const statement = this.#statementOf(request);
    if (!['SUBMITTED', 'STARTED'].includes(statement.status))
      throw invalid('Could not cancel a query that is already in FINISHED state');
    statement.isCancelled = true;
    const { client } = statement.session;
    const other = new Client({ connectionString: this.#options.url });
    await other.connect();
    const pid = 'processID' in client && typeof client.processID === 'number' ? client.processID : 0;
    await other.query('SELECT pg_cancel_backend($1)', [pid]);
    await other.end();
    return { Status: true };
  }

  async close(): Promise<void> {
    for (const session of [...this.sessions.values()]) await this.#end(session);
  }
}
