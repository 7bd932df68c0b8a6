import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { readFailure, type HttpClient } from '../http.ts';
import type { SourceContext } from '../source.ts';
import { apiError } from './api-error.ts';
import type { HubspotConfig } from './config.ts';

/** A token is renewed so much before its end (it lives 30 minutes), so that few calls ever meet a 401. */
const RENEW_BEFORE_MS = 60_000;

const tokenSchema = z.object({
  access_token: z.string().min(1),
  expires_in: z.number().positive().optional(),
});

interface Session {
  token: string;
  /** Milliseconds of the context's clock; undefined: it lives until it is refused. */
  endsAtMs: number | undefined;
}

/**
 * The access token of one connection. All callers share one: whoever meets a 401 calls `renew` with the token that was
 * refused, and only the first of them makes a request. A service key is the only one there is.
 */
export class Auth {
  private readonly config: HubspotConfig;
  private readonly http: HttpClient;
  private readonly context: SourceContext;
  private session: Session | undefined;
  private pending: Promise<Session> | undefined;

  constructor(config: HubspotConfig, http: HttpClient, context: SourceContext) {
    this.config = config;
    this.http = http;
    this.context = context;
    if (config.auth.kind === 'token') this.session = { token: config.auth.token, endsAtMs: undefined };
  }

  async current(): Promise<string> {
    const { session } = this;
    const ended = session?.endsAtMs !== undefined && session.endsAtMs - RENEW_BEFORE_MS <= this.context.now();
    return session === undefined || ended ? (await this.login()).token : session.token;
  }

  /** A token that is not the refused one; exactly one request however many callers come at once. */
  async renew(refused: string): Promise<string> {
    if (this.config.auth.kind === 'token') {
      throw new HeadwaterError('AUTH_FAILED', 'HubSpot refused the token', {
        remedy:
          'Copy the key from HubSpot (Development → Keys → Service keys) into what auth.token refers to.',
      });
    }
    if (this.session !== undefined && this.session.token !== refused) return this.session.token;
    return (await this.login()).token;
  }

  /** What must never be in a message (I5). */
  secrets(): string[] {
    const { auth } = this.config;
    const fixed = auth.kind === 'token' ? [auth.token] : [auth.clientSecret, auth.refreshToken];
    return this.session === undefined ? fixed : [...fixed, this.session.token];
  }

  private async login(): Promise<Session> {
    this.pending ??= this.requestSession()
      .then((session) => {
        this.session = session;
        return session;
      })
      .finally(() => {
        this.pending = undefined;
      });
    return this.pending;
  }

  private async requestSession(): Promise<Session> {
    const { auth, baseUrl, apiVersion } = this.config;
    if (auth.kind === 'token') return { token: auth.token, endsAtMs: undefined };
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: auth.clientId,
      client_secret: auth.clientSecret,
      refresh_token: auth.refreshToken,
    });
    const response = await this.http.send({
      method: 'POST',
      url: new URL(`/oauth/${apiVersion}/token`, baseUrl).href,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: form.toString(),
    });
    if (response.status < 200 || response.status > 299) {
      throw loginError(
        apiError(await readFailure(response, this.context.now(), this.secrets()), 'the log-in'),
      );
    }
    const answer = tokenSchema.safeParse(parsed(await response.text())).data;
    if (answer === undefined)
      throw new HeadwaterError('SOURCE_PROTOCOL', 'the log-in answered without a token');
    const livesMs = answer.expires_in === undefined ? undefined : answer.expires_in * 1000;
    return {
      token: answer.access_token,
      endsAtMs: livesMs === undefined ? undefined : this.context.now() + livesMs,
    };
  }
}

/** A log-in is refused with a 400 for a wrong client or refresh token. */
function loginError(error: HeadwaterError): HeadwaterError {
  if (error.code !== 'SOURCE_REJECTED' && error.code !== 'PERMISSION_DENIED') return error;
  return new HeadwaterError('AUTH_FAILED', error.message, { details: error.details });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
