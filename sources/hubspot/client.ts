import { parse } from 'lossless-json';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Quota } from '../../schemas/quota.ts';
import { HttpClient, isLoopback, readFailure, type HttpFailure, type HttpResponse } from '../http.ts';
import type { SourceContext } from '../source.ts';
import { apiError, throttleOf } from './api-error.ts';
import { Auth } from './auth.ts';
import type { HubspotConfig } from './config.ts';
import { Limiter } from './limiter.ts';
import { parseDailyLimit } from './limits.ts';

/** Longer paths are refused by the proxies in front of HubSpot; such a list of properties goes into a body. */
export const PATH_BYTES_MAX = 6000;
/** Refusals of one call that are waited out here; after that the step itself waits, with its own patience. */
const REFUSALS_MAX = 4;
/** HubSpot seldom says how long; the ten seconds are a rolling window, so some room comes back within each. */
const PAUSE_MS_FIRST = 1000;
const PAUSE_GROWTH = 2;
/** Longer than this is no pause but a failure, with the wait as its advice. */
const PAUSE_MS_MAX = 15_000;
/** Numbers beyond what a JavaScript number keeps: rare, since HubSpot writes nearly every value as text. */
const LONG_NUMBER = /[:[,\s]-?\d[\d.eE+-]{15,}/;

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PATCH';
  /** From the root, such as `/crm/objects/2026-03/contacts?limit=1`. */
  path: string;
  body?: unknown;
  /** Searches have a limit of their own. */
  search?: boolean;
  signal?: AbortSignal | undefined;
}

/** Authorised calls to one account, at the pace that HubSpot grants. */
export class HubspotClient {
  readonly context: SourceContext;
  readonly config: HubspotConfig;
  private readonly http: HttpClient;
  private readonly auth: Auth;
  private readonly calls: Limiter;
  private readonly searches: Limiter;
  /** By the Date header of the last answer. */
  private clockOffsetMs: number | undefined;
  private lastQuota: Quota | undefined;

  constructor(config: HubspotConfig, context: SourceContext) {
    this.config = config;
    this.context = context;
    this.http = new HttpClient(context);
    this.auth = new Auth(config, this.http, context);
    const { callsPer10s, searchesPerSecond } = config.thresholds;
    // What may go at once and what flows in during ten seconds are together no more than the limit.
    const burst = Math.max(1, Math.floor(callsPer10s / 10));
    this.calls = new Limiter({ perSecondMax: (callsPer10s - burst) / 10, burst });
    this.searches = new Limiter({
      perSecondMax: searchesPerSecond,
      burst: Math.max(1, searchesPerSecond / 5),
    });
  }

  /** The source's clock, ms; whole seconds, never ahead of it by more than the header's age. */
  sourceNow(): number {
    return this.context.now() + (this.clockOffsetMs ?? 0);
  }

  /** Source's clock less ours, ms; undefined until the first answer. */
  clockOffset(): number | undefined {
    return this.clockOffsetMs;
  }

  /** What the last answer that had it said of the daily limit. */
  dailyLimit(): Quota | undefined {
    return this.lastQuota;
  }

  /** `/crm/objects/<version>/<object>` and what follows. */
  objectPath(object: string, rest = ''): string {
    return `/crm/objects/${this.config.apiVersion}/${encodeURIComponent(object)}${rest}`;
  }

  /** The path of another resource: the version stands behind its first part. */
  path(api: string, rest: string): string {
    return `/${api}/${this.config.apiVersion}/${rest}`;
  }

  /** The body of a 2xx answer, numbers with all their digits. A refused token is renewed once, together with all other callers. */
  async json(request: ApiRequest): Promise<unknown> {
    const response = await this.send(request);
    const text = await response.text();
    try {
      return LONG_NUMBER.test(text) ? parse(text) : (JSON.parse(text) as unknown);
    } catch (cause) {
      throw new HeadwaterError('SOURCE_PROTOCOL', `${where(request)} answered something that is not JSON`, {
        cause,
      });
    }
  }

  async close(): Promise<void> {
    await this.http.close();
  }

  private async send(request: ApiRequest): Promise<HttpResponse> {
    let renewed = false;
    let pauseMs = PAUSE_MS_FIRST;
    for (let refusals = 0; ;) {
      const token = await this.auth.current();
      const response = await this.sendAs(token, request);
      if (response.status >= 200 && response.status < 300) {
        this.granted(request);
        return response;
      }
      if (response.status === 401 && !renewed) {
        await response.discard();
        await this.auth.renew(token);
        renewed = true;
        continue;
      }
      const failure = await readFailure(response, this.context.now(), this.auth.secrets());
      const wait = failure.retryAfterMs ?? pauseMs;
      if (!this.canWait(failure, wait) || refusals >= REFUSALS_MAX) throw apiError(failure, where(request));
      refusals++;
      pauseMs = Math.min(pauseMs * PAUSE_GROWTH, PAUSE_MS_MAX);
      this.refused(request, wait);
    }
  }

  private canWait(failure: HttpFailure, waitMs: number): boolean {
    return failure.status === 429 && throttleOf(failure) === 'burst' && waitMs <= PAUSE_MS_MAX;
  }

  private granted(request: ApiRequest): void {
    (request.search === true ? this.searches : this.calls).granted();
  }

  private refused(request: ApiRequest, waitMs: number): void {
    (request.search === true ? this.searches : this.calls).refused(waitMs);
    this.context.log('the source asks to slow down', { waitMs, search: request.search === true });
  }

  private async sendAs(token: string, request: ApiRequest): Promise<HttpResponse> {
    await this.calls.take(request.signal);
    if (request.search === true) await this.searches.take(request.signal);
    const url = new URL(request.path, this.config.baseUrl);
    const response = await this.http.send({
      method: request.method,
      url: url.href,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(isLoopback(url) ? {} : { 'accept-encoding': 'gzip' }),
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      signal: request.signal,
    });
    const sourceTime = Date.parse(response.headers['date'] ?? '');
    if (!Number.isNaN(sourceTime)) this.clockOffsetMs = sourceTime - this.context.now();
    const quota = parseDailyLimit(response.headers);
    if (quota !== undefined) {
      this.lastQuota = quota;
      this.context.reportQuota(quota);
    }
    return response;
  }
}

/** For messages: without the query. */
function where(request: ApiRequest): string {
  return `${request.method} ${request.path.split('?', 1)[0] ?? ''}`;
}
