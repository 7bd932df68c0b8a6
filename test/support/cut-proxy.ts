/** A TCP proxy that cuts the connection at a chosen request: the client's process, or the server's, is gone at that very step. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface CutProxy {
  /** The address of the server, through the proxy. */
  readonly url: string;
  /** Requests of clients since `cutAt`. */
  readonly requests: number;
  /** Cuts once, at the n-th request from now on, or at the first that holds the text: before the server gets it, or after it got it and before its answer. */
  cutAt(request: number | string, side: 'request' | 'answer'): void;
  close(): Promise<void>;
}

export async function cutProxy(target: string): Promise<CutProxy> {
  const server = new URL(target);
  let requests = 0;
  let cut: { request: number | string; side: 'request' | 'answer' } | undefined;
  const open = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = connect(Number(server.port), server.hostname);
    const end = (): void => {
      client.destroy();
      upstream.destroy();
      open.delete(client);
    };
    open.add(client);
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    upstream.on('data', (chunk) => client.write(chunk));
    client.on('data', (chunk) => {
      requests += 1;
      const here = typeof cut?.request === 'string' ? chunk.includes(cut.request) : cut?.request === requests;
      if (cut === undefined || !here) {
        upstream.write(chunk);
        return;
      }
      const { side } = cut;
      cut = undefined;
      if (side === 'request') {
        end();
        return;
      }
      // The server gets it all; the client never hears of it.
      upstream.removeAllListeners('data');
      upstream.once('data', end);
      upstream.write(chunk);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  const url = new URL(target);
  url.port = String(isBound(address) ? address.port : 0);
  return {
    url: url.href,
    get requests() {
      return requests;
    },
    cutAt(request, side) {
      requests = 0;
      cut = { request, side };
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

const isBound = (address: AddressInfo | string | null): address is AddressInfo =>
  address !== null && typeof address !== 'string';
