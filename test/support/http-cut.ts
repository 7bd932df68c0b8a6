/** An HTTP proxy that cuts at a chosen request, before the server gets it or before its answer arrives; once, or from then on. */
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';

export interface HttpCut {
  readonly endpoint: string;
  /** Requests so far. */
  readonly requests: string[];
  close(): Promise<void>;
}

export interface Cut {
  /** The n-th request from 1; 0: none. */
  at: number;
  side: 'request' | 'answer';
  /** Whoever asks is gone: nothing after it arrives. */
  forEver: boolean;
}

export async function httpCut(target: string, cut: Cut): Promise<HttpCut> {
  const requests: string[] = [];
  const { hostname, port } = new URL(target);
  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) if (Buffer.isBuffer(part)) parts.push(part);
    requests.push(`${request.method ?? ''} ${(request.url ?? '').replace(/\?.*/, '')}`);
    const number = requests.length;
    const here = number === cut.at;
    if ((cut.forEver && cut.at > 0 && number > cut.at) || (here && cut.side === 'request')) {
      response.destroy();
      return;
    }
    const headers = { ...request.headers, 'content-length': String(Buffer.concat(parts).length) };
    delete request.headers['transfer-encoding'];
    const upstream = send(
      { hostname, port, path: request.url, method: request.method, headers },
      (answer) => {
        if (here) {
          // The server has done it, and nobody hears of it.
          answer.resume();
          answer.on('end', () => response.destroy());
          return;
        }
        const location = answer.headers['location']?.replace(target, endpoint);
        response.writeHead(answer.statusCode ?? 502, {
          ...answer.headers,
          ...(location === undefined ? {} : { location }),
        });
        answer.pipe(response);
      },
    );
    upstream.on('error', () => response.destroy());
    upstream.end(Buffer.concat(parts));
  };
  const server = createServer((request, response) => void forward(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const endpoint = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
  return {
    endpoint,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
