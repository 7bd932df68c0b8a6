import { createServer, createConnection } from 'node:net';

const HOST = '127.0.0.1';
/** How many ports that another part of this launch already took are passed over before giving up. */
const ATTEMPTS_MAX = 20;
const CONNECT_TIMEOUT_MS = 1_000;

/**
 * The preferred port if nothing listens on it, else one the system calls free. The port is not held: whoever
 * binds it next has it, so ask right before starting the server. `taken` are ports promised to others.
 */
export async function pickPort(preferred: number, taken: ReadonlySet<number> = new Set()): Promise<number> {
  if (preferred !== 0 && !taken.has(preferred) && (await bind(preferred)) === preferred) return preferred;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = await bind(0);
    if (port !== undefined && !taken.has(port)) return port;
  }
  throw new Error(`no free TCP port found on ${HOST}`);
}

function bind(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: HOST, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

/** Whether something accepts connections on `host:port` of this machine. */
export function isListening(address: string): Promise<boolean> {
  const { hostname: host, port } = new URL(`tcp://${address}`);
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port) });
    const settle = (listening: boolean): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(false));
  });
}
