/**
 * A HubSpot-compatible server with a seeded, living data set and fault injection: see README.md beside this file.
 *
 *   const sandbox = await startHubSpotSandbox({ records: 20_000, seed: 7 });
 *   sandbox.url, .privateToken, .clientId, .clientSecret   where and how to log in
 *   sandbox.clock, .data, .faults, .limits, .behaviour, .living, .tokens, .stats
 *   await sandbox.close()
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { OffsetClock, type Clock } from '../clock.ts';
import type { PushStats } from '../delivery.ts';
import { Exchange, UnreadableBody } from '../exchange.ts';
import { Faults } from '../faults.ts';
import { Associations } from './associations.ts';
import { PORTAL_ID } from './catalog.ts';
import { answerControl } from './control.ts';
import { HubData } from './data.ts';
import type { Behaviour, Hub } from './hub.ts';
import { HubError, notFound } from './hub-error.ts';
import { Journal, readJournal, replay } from './journal.ts';
import { Limits } from './limits.ts';
import { Living } from './living.ts';
import { answerAuthorize, answerOauth, type OauthSettings } from './oauth.ts';
import { behaviourOf, headerOf, tablesOf, type HubSpotSandboxOptions } from './options.ts';
import { answerApi, callKind, isSearch, routeOf } from './routes.ts';
import { SearchCache } from './search-run.ts';
import { Store } from './store.ts';
import { Tokens } from './tokens.ts';
import { Twins } from './twins.ts';
import { HubspotWebhooks } from './webhooks.ts';

export type { HubSpotSandboxOptions } from './options.ts';
export type { ChangeTimes, HubData, RowRef, TruthRow } from './data.ts';

export interface HubSpotSandbox {
  readonly url: string;
  readonly portalId: number;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly privateToken: string;
  readonly clock: Clock;
  readonly data: HubData;
  readonly faults: Faults;
  readonly limits: Limits;
  readonly tokens: Tokens;
  /** Calls by kind, such as "search contacts" or "batch/read contacts". */
  readonly stats: ReadonlyMap<string, number>;
  readonly behaviour: Behaviour;
  readonly living: Pick<Living, 'start' | 'stop' | 'run'>;
  /** What became of the webhooks. */
  pushes(): PushStats | undefined;
  close(): Promise<void>;
}

const TOKEN_LIFE_MS = 1_800_000;
const HEAD_BYTES_READ_MAX = 131_072;

export async function startHubSpotSandbox(options: HubSpotSandboxOptions = {}): Promise<HubSpotSandbox> {
  const clock = new OffsetClock(options.now ?? Date.now);
  const kept = options.statePath === undefined ? undefined : readJournal(options.statePath);
  const header = kept?.header ?? headerOf(options, clock.now());
  const twins = new Twins(header.seed, header.twins);
  const countOf = (name: string): number => header.rows[name] ?? 0;
  const associations = new Associations({ seed: header.seed, countOf, twins });
  const store = new Store(clock, tablesOf(header, twins), associations);
  replay(store, kept?.lines ?? []);
  const journal =
    options.statePath === undefined ? undefined : new Journal(options.statePath, header, kept === undefined);
  store.onRow = (table, row) => journal?.append({ object: table.name, row });
  associations.onChange = (link) => journal?.append({ link });
  const behaviour = behaviourOf(options);
  const clientId = options.clientId ?? 'sandbox-client';
  const clientSecret = options.clientSecret ?? randomBytes(24).toString('base64url');
  const privateToken = options.privateToken ?? `pat-na1-${randomBytes(16).toString('hex')}`;
  const hub: Hub = {
    portalId: PORTAL_ID,
    store,
    data: new HubData(store, behaviour),
    tokens: new Tokens({
      secret: clientSecret,
      privateToken,
      lifeMs: options.tokenLifeMs ?? TOKEN_LIFE_MS,
      now: () => clock.now(),
    }),
    limits: new Limits(behaviour),
    faults: new Faults(),
    searches: new SearchCache(),
    stats: new Map(),
    behaviour,
    onClock: (offsetMs) => journal?.append({ clock: offsetMs }),
  };
  const webhooks =
    options.webhooks === undefined
      ? undefined
      : new HubspotWebhooks(PORTAL_ID, { secret: clientSecret, ...options.webhooks });
  store.onChange = (...told) => webhooks?.tell(...told);
  const living = new Living(store, hub.data, header.seed);
  living.onSteps = (steps) => {
    journal?.append({ living: steps });
    journal?.flush();
  };
  const server = createServer(
    { maxHeaderSize: HEAD_BYTES_READ_MAX, keepAliveTimeout: 30_000 },
    (request, response) => {
      void serve(request, response, hub, { clientId, clientSecret }, living).finally(() => journal?.flush());
    },
  );
  const url = `http://127.0.0.1:${await listen(server, options.port ?? 0)}`;
  if (options.living !== undefined && options.living !== false) living.start(options.living.changesPerMinute);
  const { data, faults, limits, tokens, stats } = hub;
  return {
    ...{ url, portalId: PORTAL_ID, clientId, clientSecret, privateToken },
    ...{ clock, data, faults, limits, tokens, stats },
    ...{ behaviour, living, pushes: () => webhooks?.pusher.stats },
    close: async () => {
      living.stop();
      webhooks?.pusher.close();
      await closeServer(server);
      journal?.close();
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  hub: Hub,
  oauth: OauthSettings,
  living: Living,
): Promise<void> {
  let exchange: Exchange;
  try {
    exchange = new Exchange(request, response, hub.behaviour.gzip);
  } catch {
    response.writeHead(400).end();
    return;
  }
  try {
    if (exchange.path.startsWith('/__sandbox/')) await answerControl(exchange, hub, living);
    else await serveAccount(exchange, hub, oauth);
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    await sendError(exchange, errorOf(error)).catch(() => response.destroy());
  }
}

function errorOf(error: unknown): HubError {
  if (error instanceof HubError) return error;
  if (error instanceof UnreadableBody)
    return new HubError(error.status, 'VALIDATION_ERROR', `Invalid input JSON: ${error.message}`);
  return new HubError(
    500,
    'INTERNAL_ERROR',
    error instanceof Error ? (error.stack ?? error.message) : String(error),
  );
}

async function sendError(exchange: Exchange, error: HubError): Promise<void> {
  for (const [name, value] of Object.entries(error.headers)) exchange.setHeader(name, value);
  await exchange.sendText(error.status, 'application/json;charset=utf-8', error.body());
}

async function serveAccount(exchange: Exchange, hub: Hub, oauth: OauthSettings): Promise<void> {
  const { method, path, request } = exchange;
  const route = routeOf(path);
  const kind = callKind(method, route);
  hub.stats.set(kind, (hub.stats.get(kind) ?? 0) + 1);
  exchange.setHeader('date', new Date(hub.store.clock.now()).toUTCString());
  const isAnswered = await actOut(exchange, hub, method, request.url ?? '/');
  if (isAnswered) return;
  if (path === '/oauth/authorize') await answerAuthorize(exchange, hub, oauth);
  else if (route === undefined) throw notFound();
  else if (route.api === 'oauth') await answerOauth(exchange, hub, oauth, route);
  else {
    hub.tokens.authorize(exchange.header('authorization'));
    const headers = hub.limits.spend(Date.now(), hub.store.clock.now(), isSearch(route));
    for (const [name, value] of Object.entries(headers)) exchange.setHeader(name, value);
    await answerApi(exchange, hub, route);
  }
}

/** What goes wrong with this request before it is handled; true when nothing is left to answer. */
async function actOut(exchange: Exchange, hub: Hub, method: string, url: string): Promise<boolean> {
  const fault = hub.faults.take(method, url);
  exchange.fault = fault;
  if (fault === undefined) return false;
  if ('delayMs' in fault) await sleep(fault.delayMs);
  else if ('hang' in fault) return true;
  else if ('reset' in fault) {
    exchange.request.socket.resetAndDestroy();
    return true;
  } else if ('rateLimit' in fault) throw hub.limits.refusal(fault.rateLimit, fault.retryAfterS);
  else if ('status' in fault) {
    for (const [name, value] of Object.entries(fault.headers ?? {})) exchange.setHeader(name, value);
    const plain = new HubError(fault.status, 'SANDBOX_FAULT', 'injected by the test');
    await exchange.sendText(fault.status, 'application/json;charset=utf-8', fault.body ?? plain.body());
    return true;
  } else if ('expireToken' in fault) hub.tokens.expireAll();
  return false;
}
