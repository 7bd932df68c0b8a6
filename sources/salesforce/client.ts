import { Connection } from 'jsforce/lib/connection.js';
import { HeadwaterError } from '../../rules/errors.ts';
import { HttpClient, isLoopback, readFailure, type HttpRequest, type HttpResponse } from '../http.ts';
import type { SourceContext } from '../source.ts';
import { apiError } from './api-error.ts';
import { Auth, jsforceTransport, type Session } from './auth.ts';
import type { SalesforceConfig } from './config.ts';
import { parseLimitInfo } from './limits.ts';

/** URI and headers together may have 16,384 bytes; the token and the other headers stay well below the difference. */
export const PATH_BYTES_MAX = 14_000;

/** In `changeOrigin` of the changes that we make. Source: REST API guide, "Call Options Header". */
export const CLIENT_NAME = 'Headwater';

export type ApiRequest = Omit<HttpRequest, 'url'> & {
  /** From the root, such as `/services/data/v66.0/limits`. */
  path: string;
};

/**
 * Authorised calls to one org. Rows are read as bytes by http.ts; jsforce's Connection works on the same token and
 * the same HTTP client, for metadata only: see docs/decisions/0001-salesforce-http.md.
 */
export class SalesforceClient {
  readonly context: SourceContext;
  private readonly http: HttpClient;
  private readonly auth: Auth;
  private readonly base: string;
  private readonly jsforce: Connection;
  /** Source's clock less ours, by the Date header of the last answer. */
  private clockOffsetMs = 0;

  constructor(config: SalesforceConfig, context: SourceContext) {
    this.context = context;
    this.http = new HttpClient(context);
    this.auth = new Auth(config, this.http, context);
    this.base = `/services/data/v${config.apiVersion}`;
    this.jsforce = new Connection({
      loginUrl: config.loginUrl,
      version: config.apiVersion,
      logLevel: 'NONE',
    });
    // oxlint-disable-next-line eslint/no-underscore-dangle -- jsforce has no public way to set it.
    this.jsforce._transport = jsforceTransport(async (request) => {
      const { pathname, search } = new URL(request.url);
      if (request.method !== 'GET')
        throw new HeadwaterError('INTERNAL', 'jsforce is used for reading metadata only');
      const response = await this.send({ method: 'GET', path: pathname + search });
      return { statusCode: response.status, headers: response.headers, body: await response.text() };
    });
  }

  /** The source's clock, ms; whole seconds, never ahead of it by more than the header's age. */
  sourceNow(): number {
    return this.context.now() + this.clockOffsetMs;
  }

  /** The path of a resource of the configured API version. */
  path(resource: string): string {
    return `${this.base}/${resource}`;
  }

  /** jsforce on the current session, for describe, describeGlobal and limits. */
  async metadata(): Promise<Connection> {
    const session = await this.auth.current();
    this.jsforce.instanceUrl = session.instanceUrl;
    return this.jsforce;
  }

  /** Opens a session if there is none. Throws AUTH_FAILED. */
  async login(): Promise<string> {
    return (await this.auth.current()).instanceUrl;
  }

  /** A 2xx answer. A refused token is renewed once, together with all other callers. */
  async send(request: ApiRequest): Promise<HttpResponse> {
    const session = await this.auth.current();
    const response = await this.sendAs(session, request);
    if (response.status !== 401) return this.accepted(response, request);
    await response.discard();
    const renewed = await this.auth.renew(session.accessToken);
    return this.accepted(await this.sendAs(renewed, request), request);
  }

  async json(request: ApiRequest): Promise<unknown> {
    const response = await this.send(request);
    const text = await response.text();
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new HeadwaterError('SOURCE_PROTOCOL', `${where(request)} answered something that is not JSON`, {
        cause,
      });
    }
  }

  async close(): Promise<void> {
    await this.http.close();
  }

  private async sendAs(session: Session, request: ApiRequest): Promise<HttpResponse> {
    const url = new URL(request.path, session.instanceUrl);
    // A link that leads elsewhere would carry the token away.
    if (url.origin !== session.instanceUrl) {
      throw new HeadwaterError('SOURCE_PROTOCOL', 'the source sent a link to another host');
    }
    const response = await this.http.send({
      method: request.method,
      url: url.href,
      headers: {
        authorization: `Bearer ${session.accessToken}`,
        accept: 'application/json',
        ...(isLoopback(url) ? {} : { 'accept-encoding': 'gzip' }),
        ...(request.body === undefined ? {} : { 'content-type': 'application/json; charset=UTF-8' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      signal: request.signal,
    });
    const sourceTime = Date.parse(response.headers['date'] ?? '');
    if (!Number.isNaN(sourceTime)) this.clockOffsetMs = sourceTime - this.context.now();
    const quota = parseLimitInfo(response.headers['sforce-limit-info']);
    if (quota !== undefined) this.context.reportQuota(quota);
    return response;
  }

  private async accepted(response: HttpResponse, request: ApiRequest): Promise<HttpResponse> {
    if (response.status >= 200 && response.status < 300) return response;
    const failure = await readFailure(response, this.context.now(), this.auth.secrets());
    throw apiError(failure, where(request));
  }
}

/** For messages: without the query. */
function where(request: ApiRequest): string {
  return `${request.method} ${request.path.split('?', 1)[0] ?? ''}`;
}
