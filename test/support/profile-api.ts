/** The profile API over real stores, with a clock of its own and a configuration of one CRM. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { keyHash, newKey } from '../../config/keys.ts';
import { parseConfig } from '../../config/parse-config.ts';
import { registeredKinds } from '../../config/registered-kinds.ts';
import { NO_ROWS } from '../../rules/receipts.ts';
import { CLAIMS_SINK } from '../../rules/sinks.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import type { ClaimValue, Observation } from '../../schemas/observation.ts';
import type { Receipt } from '../../schemas/receipt.ts';
import { createApp } from '../../servers/app.ts';
import { profileRoutes } from '../../servers/profiles/routes.ts';
import type { Services } from '../../servers/services.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import { openInbox } from '../../stores/inbox/open.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import { openSqliteLedger } from '../../stores/ledger/sqlite.ts';

export const START_MS = Date.UTC(2026, 10, 21, 8);
const HOUR_MS = 3_600_000;

export interface ProfileApi {
  url: string;
  /** By name: `all` sees everything, `plain` what is the default, `business` business fields alone, `orders` one entity. */
  keys: Record<string, string>;
  claims: Claims;
  ledger: Ledger;
  inbox: Inbox;
  app: FastifyInstance;
  /** Lines of the log. */
  log: string[];
  clock: { ms: number };
  /** Everything of these objects is proven up to that moment. */
  prove(object: string, untilMs: number): Promise<void>;
  apply(...observations: Observation[]): Promise<void>;
  idOf(object: string, record: string): Promise<string>;
  get(path: string, options?: { key?: string; headers?: Record<string, string> }): Promise<Answer>;
  post(path: string, body: unknown, options?: { key?: string }): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- what a test expects of it is what it is checked for.
  body: any;
}

export const at = (ms: number) => new Date(ms).toISOString();

/** A record of the CRM as of a moment; `email` and `phone` find its profile. */
export function record(
  entity: string,
  object: string,
  name: string,
  fields: Record<string, ClaimValue>,
  ms = START_MS - HOUR_MS,
  more: Partial<Observation> = {},
): Observation {
  const identifiers = ['email', 'phone'].flatMap((kind) => {
    const value = fields[kind];
    return typeof value === 'string' ? [{ kind, value, field: kind }] : [];
  });
  return {
    entity,
    ref: { source: 'crm', object, record: name },
    stamp: at(ms),
    version: '',
    deleted: false,
    fields,
    identifiers,
    confirmedAt: at(ms),
    ...more,
  };
}

export async function startProfileApi(
  given: { serve?: Record<string, unknown>; wrap?: (services: Services) => Services } = {},
): Promise<ProfileApi> {
  const home = await mkdtemp(join(tmpdir(), 'headwater-profiles-'));
  const keys: Record<string, string> = {};
  const hashed = (name: string, more: object = {}) => {
    const key = newKey();
    keys[name] = key;
    return { hash: keyHash(key), perSecond: 1e6, burst: 1e6, ...more };
  };
  const sees = ['business', 'identifier', 'personal', 'sensitive'];
  const input = {
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
        webhooks: { organizationId: '00D000000000001EAA', secrets: [{ $secret: { env: 'NONE' } }] },
      },
    },
    warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
    profiles: {},
    serve: {
      keys: {
        all: hashed('all', { sees }),
        plain: hashed('plain'),
        business: hashed('business', { sees: ['business'] }),
        orders: hashed('orders', { sees, entities: ['order'] }),
        marketing: hashed('marketing', { sees, consents: ['emailMarketing'] }),
        ingest: hashed('ingest', { scopes: ['ingest'] }),
      },
      liveWithin: '150ms',
      ...given.serve,
    },
  };
  const parsed = parseConfig(input, { file: 'test', home, kinds: registeredKinds() });
  if (!parsed.ok || parsed.config.serve === undefined) throw new Error(JSON.stringify(parsed));
  const { config } = parsed;
  const clock = { ms: START_MS };
  const now = () => at(clock.ms);
  const claims = await openSqliteClaims({
    path: join(home, 'claims.db'),
    masterKey: randomBytes(32),
    rules: new Map(),
    now,
  });
  const ledger = await openSqliteLedger({ path: join(home, 'ledger.db') });
  const inbox = await openInbox({ path: join(home, 'inbox.db'), waitingMax: 1_000 });
  const log: string[] = [];
  const services: Services = {
    loaded: { config, path: join(home, 'test.config.ts'), home },
    serve: parsed.config.serve,
    inbox,
    ledger: async () => ledger,
    claims: async () => claims,
    temporal: async () => {
      throw new Error('nobody asks Temporal to read a profile');
    },
    now: () => clock.ms,
    log: (level, message, fields) => void log.push(JSON.stringify({ level, message, ...fields })),
  };
  const used = given.wrap?.(services) ?? services;
  const app = createApp(used, { name: 'profiles' });
  profileRoutes(app, used);
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  let proofs = 0;
  const send = async (path: string, key: string | undefined, init: RequestInit): Promise<Answer> => {
    const headers = new Headers(init.headers);
    if (key !== undefined) headers.set('authorization', `Bearer ${keys[key] ?? key}`);
    const response = await fetch(url + path, { redirect: 'manual', ...init, headers });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: /json/.test(type) ? JSON.parse(text) : null,
    };
  };
  return {
    url,
    keys,
    claims,
    ledger,
    inbox,
    app,
    log,
    clock,
    async prove(object, untilMs) {
      proofs += 1;
      const row = { connection: 'crm', object, from: ORIGIN, until: at(untilMs), window: `w_${proofs}` };
      const state = { epoch: 'test', seq: proofs };
      await ledger.adoptIntervals(CLAIMS_SINK, [{ ...row, receipt: receipt(row) }], state);
    },
    apply: async (...observations) => {
      const cause = { via: 'poll', run: 'test', actor: null, reason: null, at: now() } as const;
      await claims.apply({ id: null, observations, cause });
    },
    idOf: async (object, name) => {
      const id = await claims.profileOf({ source: 'crm', object, record: name });
      if (id === null) throw new Error(`no profile has the record ${name}`);
      return id;
    },
    get: async (path, { key = 'all', headers = {} } = {}) => await send(path, key, { headers }),
    post: async (path, body, { key = 'all' } = {}) =>
      await send(path, key, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async close() {
      await app.close();
      await claims.close();
      await ledger.close();
      await inbox.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function receipt(row: Pick<Receipt, 'connection' | 'object' | 'from' | 'until' | 'window'>): Receipt {
  return {
    ...row,
    transport: NO_ROWS,
    source: { before: 0, after: 0, moved: 0, late: 0, unexplained: 0 },
    destination: null,
    verdict: 'proven',
    at: row.until,
  };
}
