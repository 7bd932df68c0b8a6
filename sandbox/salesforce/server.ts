/**
 * A Salesforce-compatible server with a seeded, living data set and fault injection.
 *
 *   const sandbox = await startSalesforceSandbox({ records: 20_000, seed: 7, living: { changesPerMinute: 120 } });
 *   sandbox.url, .loginUrl, .clientId, .clientSecret     where and how to log in (instance and login host are one)
 *   sandbox.clock     now(), advance(ms), set(ms)         the org's time
 *   sandbox.data      create/update/delete/undelete/purge/merge/touchMany/setRaw(object, row, …, { at, visibleAt }),
 *                     addField/removeField/retypeField/renameField/hideField/hideObject/bumpFormula, forgetDeletions,
 *                     get, truth(object), countTruth(object), prepare(object, fields?), idOf(object, index)
 *   sandbox.faults    add({ match: { method, path, nth, after, times }, action }), remove, clear, list
 *   sandbox.behaviour visibilityLagMs, minuteResolution, bulkJobMs, bulkPageRowsMax, apiRequestsMax, … may be assigned
 *   sandbox.stats     report(), of(kind), reset()         calls by kind, such as "rest.query" or "POST bulk.jobs"
 *   sandbox.expire    tokens(), cursors(), jobs()
 *   sandbox.pubsub    url, publish(object, header), cut(status), behaviour: change events, with the option `pubsub`
 *   sandbox.living    start(changesPerMinute), stop(), run(steps)
 *   await sandbox.close()
 *
 * The same controls over HTTP, for other processes: POST /__sandbox/<create|update|delete|undelete|purge|merge|touch|raw|
 * forget-deletions|prepare|behaviour|clock|living|expire|expire-cursors|expire-jobs|reset-stats|faults|clear-faults|
 * add-field|remove-field|retype-field|rename-field|hide-field|hide-object|bump-formula> with { object, row, values, at, visibleAt, … } (control.ts
 * has the names), and GET /__sandbox/<truth|count>?object=X, /__sandbox/<stats|clock|faults>.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, notFound } from './api-error.ts';
import { BulkJobs } from './bulk.ts';
import { OffsetClock, type Clock } from '../clock.ts';
import { answerControl } from './control.ts';
import { CsvCache } from './csv-cache.ts';
import { Cursors } from './cursors.ts';
import { SandboxData } from './data.ts';
import { Exchange, UnreadableBody } from '../exchange.ts';
import { Faults } from '../faults.ts';
import { readJournal } from './journal.ts';
import { Living } from './living.ts';
import type { PushStats } from '../delivery.ts';
import { answerOauth, type OauthSettings } from './oauth.ts';
import { behaviourOf, headerOf, tablesOf, type SandboxOptions } from './options.ts';
import type { Behaviour, Org } from './org.ts';
import type { PubSubSandbox } from './pubsub/pubsub.ts';
import { startPushing } from './pushing.ts';
import { answerRest } from './rest.ts';
import { Stats, callKind } from './stats.ts';
import { Store } from './store.ts';
import { Tokens } from './tokens.ts';

export type { SandboxOptions } from './options.ts';
export type { ChangeTimes, NewField, RowRef, SandboxData, TruthRow } from './data.ts';
export type { FaultAction, FaultMatch, FaultRule, Faults } from '../faults.ts';

export interface SalesforceSandbox {
  readonly url: string;
  readonly loginUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly clock: Clock;
  readonly data: SandboxData;
  readonly faults: Faults;
  readonly stats: Stats;
  readonly behaviour: Behaviour;
  readonly living: Pick<Living, 'start' | 'stop' | 'run'>;
  readonly expire: { tokens(): void; cursors(): void; jobs(): void };
  /** What became of the outbound messages, by object. */
  pushes(): Record<string, PushStats>;
  /** Undefined unless it was asked for. */
  readonly pubsub: PubSubSandbox | undefined;
  close(): Promise<void>;
}

const TOKEN_LIFE_MS = 2 * 3_600_000;
/** Salesforce's limit for URI and headers together; Node's own is set above it so that the answer is Salesforce's. */
const HEAD_BYTES_MAX = 16_384;
const HEAD_BYTES_READ_MAX = 262_144;

export async function startSalesforceSandbox(options: SandboxOptions = {}): Promise<SalesforceSandbox> {
  const clock = new OffsetClock(options.now ?? Date.now);
  const journal = options.statePath === undefined ? undefined : readJournal(options.statePath);
  const header = journal?.header ?? headerOf(options, clock.now());
  const store = new Store(clock, tablesOf(header), options.statePath, header, journal?.lines);
  const cache = new CsvCache();
  const clientId = options.clientId ?? 'sandbox-client';
  const clientSecret = options.clientSecret ?? randomBytes(24).toString('base64url');
  const tokens = new Tokens({
    secret: clientSecret,
    lifeMs: options.tokenLifeMs ?? TOKEN_LIFE_MS,
    now: () => clock.now(),
  });
  const org: Org = {
    store,
    data: new SandboxData(store, cache),
    cursors: new Cursors(),
    jobs: new BulkJobs(),
    cache,
    faults: new Faults(),
    tokens,
    stats: new Stats(),
    behaviour: behaviourOf(options),
    userId: store.table('User').idOf(0),
  };
  const living = new Living(store, org.data, header.seed);
  let url = '';
  const oauth: OauthSettings = {
    clientId,
    clientSecret,
    jwtPublicKey: options.jwtPublicKey,
    url: () => url,
    userId: org.userId,
    tokens,
    now: () => clock.now(),
  };
  const server = createServer(
    { maxHeaderSize: HEAD_BYTES_READ_MAX, keepAliveTimeout: 30_000 },
    (request, response) => {
      void serve(request, response, org, oauth, living);
    },
  );
  url = `http://127.0.0.1:${await listen(server, options.port ?? 0)}`;
  const pushing = await startPushing(options, org, url);
  if (options.living !== undefined && options.living !== false) living.start(options.living.changesPerMinute);
  return {
    url,
    loginUrl: url,
    clientId,
    clientSecret,
    clock,
    data: org.data,
    faults: org.faults,
    stats: org.stats,
    behaviour: org.behaviour,
    living,
    expire: {
      tokens: () => tokens.expireAll(),
      cursors: () => org.cursors.expireAll(),
      jobs: () => org.jobs.expireAll(),
    },
    pushes: () => pushing.stats(),
    pubsub: pushing.pubsub,
    close: async () => {
      await pushing.close();
      await close(server, org, living);
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

async function close(server: Server, org: Org, living: Living): Promise<void> {
  living.stop();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  org.store.close();
  org.cache.close();
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  org: Org,
  oauth: OauthSettings,
  living: Living,
): Promise<void> {
  let exchange: Exchange;
  try {
    exchange = new Exchange(request, response, org.behaviour.gzip);
  } catch {
    response.writeHead(400).end();
    return;
  }
  try {
    if (exchange.path.startsWith('/__sandbox/')) await answerControl(exchange, org, living);
    else await serveOrg(exchange, org, oauth);
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    await sendError(exchange, errorOf(error)).catch(() => response.destroy());
  }
}

function errorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UnreadableBody) return new ApiError(error.status, error.code, error.message);
  return new ApiError(500, 'UNKNOWN_EXCEPTION', describeError(error));
}

async function sendError(exchange: Exchange, error: ApiError): Promise<void> {
  for (const [name, value] of Object.entries(error.headers)) exchange.setHeader(name, value);
  await exchange.sendText(error.status, 'application/json;charset=UTF-8', error.body());
}

const describeError = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

async function serveOrg(exchange: Exchange, org: Org, oauth: OauthSettings): Promise<void> {
  const { request, response, path, method } = exchange;
  org.stats.count(callKind(method, path));
  // Clients read the org's clock from this header, as they do with Salesforce.
  exchange.setHeader('date', new Date(org.store.clock.now()).toUTCString());
  const url = request.url ?? '/';
  const fault = org.faults.take(method, url);
  exchange.fault = fault;
  if (fault !== undefined) {
    if ('delayMs' in fault) await sleep(fault.delayMs);
    else if ('hang' in fault) return;
    else if ('reset' in fault) {
      request.socket.resetAndDestroy();
      return;
    } else if ('status' in fault) {
      for (const [name, value] of Object.entries(fault.headers ?? {})) exchange.setHeader(name, value);
      const code = fault.status === 503 ? 'SERVER_UNAVAILABLE' : 'SANDBOX_FAULT';
      const body = fault.body ?? JSON.stringify([{ errorCode: code, message: 'injected by the test' }]);
      await exchange.sendText(fault.status, 'application/json;charset=UTF-8', body);
      return;
    } else if ('expireToken' in fault) org.tokens.expireAll();
  }
  refuseLongHead(url, request.rawHeaders);
  if (path.startsWith('/services/data')) await answerRest(exchange, org);
  else if (!(await answerOauth(exchange, oauth))) throw notFound();
  if (!response.writableEnded && response.destroyed) request.destroy();
}

function refuseLongHead(url: string, rawHeaders: readonly string[]): void {
  if (url.length > HEAD_BYTES_MAX) throw new ApiError(414, 'URI_TOO_LONG', 'URI Too Long');
  const bytes = rawHeaders.reduce((sum, part) => sum + part.length + 2, url.length);
  if (bytes > HEAD_BYTES_MAX)
    throw new ApiError(431, 'REQUEST_HEADER_TOO_LARGE', 'Request Header Fields Too Large');
}
