/** An HTTP proxy that does to chosen requests what networks and services do: refuse, break off, change a byte. */
import { once } from 'node:events';
import {
  createServer,
  request as forward,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';

export type Fault =
  /** The service is not asked. */
  | { answer: number }
  /** So many bytes of the body pass, then the line is cut; of an answer with 0, nothing passes. */
  | { cut: 'request' | 'answer'; after: number }
  /** The first byte of the body comes other than it was sent. */
  | { change: 'request' | 'answer' };

export interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** Of the service; null when it was not asked or the line was cut before. */
  status: number | null;
}

export interface FaultProxy {
  readonly url: string;
  readonly seen: Seen[];
  /** Asked for each request from now on; undefined: it passes. */
  on(choose: (request: { method: string; path: string }) => Fault | undefined): void;
  close(): Promise<void>;
}

export async function faultProxy(target: string): Promise<FaultProxy> {
  const seen: Seen[] = [];
  let choose: Parameters<FaultProxy['on']>[0] = () => undefined;
  const server = createServer((request, response) => {
    const { method = '', url: path = '' } = request;
    const entry: Seen = { method, path, headers: request.headers, status: null };
    seen.push(entry);
    pass(target, request, response, entry, choose({ method, path }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    on: (chosen) => {
      seen.length = 0;
      choose = chosen;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function pass(
  target: string,
  request: IncomingMessage,
  response: ServerResponse,
  entry: Seen,
  fault: Fault | undefined,
): void {
  const cut = () => request.socket.destroy();
  if (fault !== undefined && 'answer' in fault) {
    request.resume().once('end', () => response.writeHead(fault.answer).end());
    return;
  }
  const onward = forward(`${target}${request.url}`, { method: request.method, headers: request.headers });
  request.once('close', () => {
    if (!request.complete) onward.destroy();
  });
  onward.on('error', cut);
  onward.on('response', (answer) => {
    entry.status = answer.statusCode ?? null;
    if (fault !== undefined && 'cut' in fault && fault.cut === 'answer' && fault.after === 0) {
      answer.resume().once('end', cut);
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    copy(answer, response, fault, 'answer', cut);
  });
  copy(request, onward, fault, 'request', () => {
    onward.destroy();
    cut();
  });
}

function copy(
  from: IncomingMessage,
  to: { write(chunk: Buffer): unknown; end(): unknown },
  fault: Fault | undefined,
  side: 'request' | 'answer',
  cut: () => void,
): void {
  let passed = 0;
  from.on('data', (chunk: Buffer) => {
    const part = Buffer.from(chunk);
    if (fault !== undefined && 'change' in fault && fault.change === side)
      changeByte(part, side, passed === 0);
    const rest =
      fault !== undefined && 'cut' in fault && fault.cut === side ? fault.after - passed : Infinity;
    passed += part.length;
    if (part.length >= rest) {
      to.write(part.subarray(0, rest));
      setTimeout(cut, 20);
      from.pause();
    } else to.write(part);
  });
  from.on('end', () => to.end());
  from.on('error', cut);
}

/** An answer's first byte; of a request the letter X, since other bytes there may be the frame of the body. */
function changeByte(part: Buffer, side: 'request' | 'answer', first: boolean): void {
  const at = side === 'answer' ? (first ? 0 : -1) : part.indexOf('X');
  if (at >= 0) part[at] = (part[at] ?? 0) ^ 1;
}
