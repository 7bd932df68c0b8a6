/** One home with customers in it, asked by assistants over both transports with the SDK's own client. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { FastifyInstance } from 'fastify';
import { keyHash, newKey } from '../../config/keys.ts';
import { loadConfig } from '../../config/load-config.ts';
import type { Observation } from '../../schemas/observation.ts';
import { createApp } from '../../servers/app.ts';
import { changeRoutes } from '../../servers/changes/routes.ts';
import { profileRoutes } from '../../servers/profiles/routes.ts';
import { openServices, type OpenServices } from '../../servers/services.ts';
import type { Claims } from '../../stores/claims/claims.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const BIN = join(ROOT, 'bin', 'headwater.js');
export const MAIN = join(ROOT, 'servers', 'mcp', 'main.ts');
/** Nobody listens there: changes wait for their workflow. */
const NO_TEMPORAL = '127.0.0.1:1';

export type Transport = 'http' | 'stdio';

export interface Answered {
  isError: boolean;
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- what a test expects of it is what it is checked for.
  data: any;
}

export interface McpHome {
  url: string;
  home: string;
  config: string;
  keys: Record<string, string>;
  claims: Claims;
  app: FastifyInstance;
  log: string[];
  apply(...observations: Observation[]): Promise<void>;
  idOf(object: string, record: string): Promise<string>;
  /** The same client again for the same key and transport. */
  client(transport: Transport, key: string): Promise<Client>;
  call(transport: Transport, key: string, name: string, input: Record<string, unknown>): Promise<Answered>;
  /** The HTTP API with a key. */
  send(
    method: string,
    path: string,
    key: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Response>;
  environment(key: string): Record<string, string>;
  close(): Promise<void>;
}

const SEES = ['business', 'identifier', 'personal', 'sensitive'];
const KEYS: Record<string, object> = {
  reader: { sees: SEES },
  plain: {},
  business: { sees: ['business'] },
  orders: { sees: SEES, entities: ['order'] },
  ingest: { scopes: ['ingest'] },
  writer: { sees: SEES, scopes: ['read', 'write'] },
  allowed: { sees: SEES, scopes: ['read', 'write'], allowChanges: true },
  eager: { sees: SEES, allowChanges: true },
  slow: { sees: SEES, perSecond: 0.001, burst: 6 },
};

/** One line: what, where, the fix. */
export function expectFailure({ isError, text }: Answered, pattern: RegExp): void {
  expect([isError, text]).toEqual([true, expect.stringMatching(pattern)]);
  expect(text).toMatch(/^[^\n]+ \([a-z_/]+(?:, [0-9a-f-]{36})?, \d{3}\) → [^\n]+$/);
  expect(text).not.toMatch(/node_modules|\bat \S+:\d/);
}

export async function startMcpHome(): Promise<McpHome> {
  const home = await mkdtemp(join(tmpdir(), 'headwater-mcp-'));
  const keys = Object.fromEntries(Object.keys(KEYS).map((name) => [name, newKey()]));
  const config = join(home, 'headwater.config.json');
  await writeFile(config, JSON.stringify(inputOf(keys)));
  const loaded = await loadConfig({ path: config, home });
  const log: string[] = [];
  const opened = await openServices(loaded, {
    log: (level, message, fields = {}) => void log.push(JSON.stringify({ level, message, ...fields })),
  });
  const services: OpenServices = {
    ...opened,
    temporal: async () => {
      throw new Error('there is no Temporal here');
    },
  };
  const claims = await services.claims();
  if (claims === undefined) throw new Error('there are no claims');
  const app = createApp(services, { name: 'profiles' });
  profileRoutes(app, services);
  changeRoutes(app, services);
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const clients = new Map<string, Promise<Client>>();
  const environment = (key: string) => ({
    ...Object.fromEntries(
      Object.entries(process.env).filter((one): one is [string, string] => one[1] !== undefined),
    ),
    HEADWATER_HOME: home,
    TEMPORAL_ADDRESS: NO_TEMPORAL,
    ...(keys[key] === undefined ? {} : { HEADWATER_KEY: keys[key] }),
  });
  const connect = async (transport: Transport, key: string): Promise<Client> => {
    const client = new Client({ name: 'test', version: '1' });
    if (transport === 'http') {
      const headers = { authorization: `Bearer ${keys[key]}` };
      await client.connect(
        new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }),
      );
    } else {
      // The command line starts three processes; once is enough.
      const args = key === 'reader' ? [BIN, 'mcp', '--config', config] : [MAIN, '--config', config];
      const options = { command: process.execPath, args, env: environment(key), stderr: 'inherit' } as const;
      await client.connect(new StdioClientTransport(options));
    }
    // The client checks what tools answer against the schemas that it was listed.
    await client.listTools();
    return client;
  };
  const clientOf = async (transport: Transport, key: string): Promise<Client> => {
    const name = `${transport} ${key}`;
    const client = clients.get(name) ?? connect(transport, key);
    clients.set(name, client);
    return await client;
  };
  return {
    ...{ url, home, config, keys, claims, app, log, environment },
    client: clientOf,
    apply: async (...observations) => {
      const at = new Date().toISOString();
      await claims.apply({
        id: null,
        observations,
        cause: { via: 'poll', run: 'test', actor: null, reason: null, at },
      });
    },
    idOf: async (object, record) => (await claims.profileOf({ source: 'crm', object, record })) ?? 'none',
    async call(transport, key, name, input) {
      const result = await (await clientOf(transport, key)).callTool({ name, arguments: input });
      const content = result.content as { type: string; text: string }[];
      return {
        isError: result.isError === true,
        text: content.map(({ text }) => text).join('\n'),
        data: result.structuredContent,
      };
    },
    send: async (method, path, key, body, headers = {}) =>
      await fetch(url + path, {
        method,
        headers: {
          ...(keys[key] === undefined ? {} : { authorization: `Bearer ${keys[key]}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          accept: 'application/json, text/event-stream',
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async close() {
      for (const client of clients.values()) await (await client.catch(() => undefined))?.close();
      await app.close();
      await opened.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function inputOf(keys: Record<string, string>): unknown {
  return {
    connections: {
      crm: {
        kind: 'salesforce',
        loginUrl: 'http://127.0.0.1:1',
        auth: {
          grant: 'client_credentials',
          clientId: { $secret: { env: 'NONE' } },
          clientSecret: { $secret: { env: 'NONE' } },
        },
        objects: ['Contact', 'Order', 'Task'],
        schedule: { every: '1h' },
      },
    },
    warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
    profiles: { writeBack: { contact: { jobTitle: ['crm'], firstName: ['crm'] } } },
    serve: {
      keys: Object.fromEntries(
        Object.entries(keys).map(([name, key]) => [
          name,
          { hash: keyHash(key), perSecond: 1e6, burst: 1e6, ...KEYS[name] },
        ]),
      ),
      liveWithin: '100ms',
    },
  };
}
