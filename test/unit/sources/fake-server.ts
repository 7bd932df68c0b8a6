import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { SourceContext } from '../../../sources/source.ts';
import type { Quota } from '../../../schemas/quota.ts';

export interface FakeCall {
  method: string;
  path: string;
  url: URL;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface FakeServer {
  url: string;
  calls: FakeCall[];
  close: () => Promise<void>;
}

/** A server on a free loopback port that answers as the test says and remembers what it was asked. */
export async function startFake(
  answer: (call: FakeCall, response: ServerResponse, request: IncomingMessage) => void | Promise<void>,
): Promise<FakeServer> {
  const calls: FakeCall[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const body = Buffer.concat(chunks).toString('utf8');
      const call = { method: request.method ?? '', path: url.pathname, url, headers: request.headers, body };
      calls.push(call);
      void Promise.resolve(answer(call, response, request)).catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A context that grants every call and records what the source reports. */
export function testContext(over: Partial<SourceContext> = {}): SourceContext & {
  acquired: () => number;
  quotas: Quota[];
  lines: string[];
} {
  let acquired = 0;
  const quotas: Quota[] = [];
  const lines: string[] = [];
  return {
    connection: 'crm',
    now: () => Date.now(),
    acquire: async (calls) => {
      acquired += calls;
    },
    reportQuota: (quota) => quotas.push(quota),
    log: (message) => lines.push(message),
    ...over,
    acquired: () => acquired,
    quotas,
    lines,
  };
}
