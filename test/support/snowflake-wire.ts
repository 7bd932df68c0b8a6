/** The other side of the Snowflake driver: answers each statement as a test says, or hands it on to an emulator. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';

/**
 * rows: of texts, under these columns. error: as the server refuses a statement. unavailable: 503. silent: nothing ever comes.
 * lost: the connection ends before the statement is run; unheard: after it. forward: the emulator answers.
 */
export type Reply =
  | { columns: string[]; rows: (string | null)[][] }
  | { error: { code: string; state: string; message: string } }
  | 'unavailable'
  | 'silent'
  | 'lost'
  | 'unheard'
  | 'forward';

export interface Statement {
  sql: string;
  tag: string;
}

export interface SnowflakeWire {
  readonly url: string;
  readonly statements: Statement[];
  /** Bodies of logins. */
  readonly logins: Record<string, unknown>[];
  /** Requests that asked to stop a statement. */
  readonly cancels: number;
  /** Decides about each statement; absent: done without rows. */
  reply: (sql: string) => Reply;
  /** Waited for before a statement goes on to the emulator and before its answer goes back; what it throws ends the connection. */
  gate: (sql: string, side: 'request' | 'answer') => Promise<void>;
  /** Refuses logins with this. */
  refuse: { code: string; message: string } | undefined;
  stop(): Promise<void>;
}

const DONE: Reply = { columns: ['status'], rows: [['done']] };

const loginSchema = z.object({ data: z.record(z.string(), z.unknown()) });
const querySchema = z.object({
  sqlText: z.string(),
  parameters: z.object({ QUERY_TAG: z.string().optional() }).optional(),
});

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) if (Buffer.isBuffer(part)) parts.push(part);
  return Buffer.concat(parts);
}

function readable(request: IncomingMessage, body: Buffer): unknown {
  const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  return text.length === 0 ? {} : JSON.parse(text.toString('utf8'));
}

const answered = ({ columns, rows }: { columns: string[]; rows: (string | null)[][] }) => ({
  success: true,
  data: {
    rowtype: columns.map((name) => ({ name, type: 'text', nullable: true, scale: null, precision: null })),
    ...{ rowset: rows, total: rows.length, returned: rows.length, parameters: [], queryId: '1' },
    ...{ queryResultFormat: 'json' },
  },
});

const LOGIN = {
  success: true,
  data: {
    ...{ token: 'session', masterToken: 'master', sessionId: 1, parameters: [] },
    ...{ validityInSeconds: 3_600, masterValidityInSeconds: 14_400, sessionInfo: {} },
  },
};

export async function startWire(upstream?: string): Promise<SnowflakeWire> {
  const statements: Statement[] = [];
  const logins: Record<string, unknown>[] = [];
  let cancels = 0;
  /** Of statements that nobody answers, until they are stopped. */
  const silent = new Set<ServerResponse>();
  const forward = async (
    request: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; text: string }> => {
    const { host: _, 'content-length': __, connection: ___, ...headers } = request.headers;
    const sent: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) if (typeof value === 'string') sent[name] = value;
    const url = new URL(request.url ?? '/', upstream);
    const answer = await fetch(url, {
      method: request.method ?? 'POST',
      headers: sent,
      body: new Uint8Array(body),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const wire: SnowflakeWire = {
    ...{ url: '', statements, logins, refuse: undefined, cancels: 0 },
    reply: () => (upstream === undefined ? DONE : 'forward'),
    gate: () => Promise.resolve(),
    stop: async () => {
      // The driver would ask again for hours.
      stopAll();
      await sleep(50);
      await new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      });
    },
  };
  const send = (response: ServerResponse, body: unknown, status = 200): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const pass = async (
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    then?: () => Promise<void>,
  ): Promise<void> => {
    const { status, text } = await forward(request, body);
    await then?.();
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  };
  const refuse = (
    response: ServerResponse,
    error: { code: string; state: string; message: string },
  ): void => {
    const { code, state, message } = error;
    send(response, { success: false, code, message, data: { errorCode: code, sqlState: state } });
  };
  const stopAll = (): void => {
    for (const response of silent) refuse(response, { code: '000604', state: '57014', message: 'canceled' });
    silent.clear();
  };
  const query = async (request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> => {
    const { sqlText, parameters } = querySchema.parse(readable(request, body));
    statements.push({ sql: sqlText, tag: parameters?.QUERY_TAG ?? '' });
    const reply = wire.reply(sqlText);
    if (reply === 'forward') {
      await wire.gate(sqlText, 'request');
      return pass(request, response, body, () => wire.gate(sqlText, 'answer'));
    }
    if (reply === 'silent') return void silent.add(response);
    if (reply === 'unheard') await forward(request, body);
    if (reply === 'lost' || reply === 'unheard') return void request.socket.destroy();
    if (reply === 'unavailable') return send(response, {}, 503);
    if (!('error' in reply)) return send(response, answered(reply));
    refuse(response, reply.error);
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const path = new URL(request.url ?? '/', 'http://wire').pathname;
    if (path === '/session/v1/login-request') {
      logins.push(loginSchema.parse(readable(request, body)).data);
      if (wire.refuse !== undefined) return send(response, { success: false, data: null, ...wire.refuse });
      return upstream === undefined ? send(response, LOGIN) : pass(request, response, body);
    }
    if (path === '/queries/v1/query-request') return query(request, response, body);
    if (path === '/queries/v1/abort-request') {
      cancels += 1;
      stopAll();
    }
    return upstream === undefined
      ? send(response, { success: true, data: null })
      : pass(request, response, body);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = `http://127.0.0.1:${address.port}`;
  return Object.defineProperties(wire, {
    url: { value: url },
    cancels: { get: () => cancels },
  });
}
