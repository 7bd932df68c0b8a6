import { importPKCS8, SignJWT } from 'jose';
import { OAuth2 } from 'jsforce/lib/oauth2.js';
import { StreamPromise } from 'jsforce/lib/util/promise.js';
import { PassThrough } from 'node:stream';
import { HeadwaterError } from '../../rules/errors.ts';
import {
  httpError,
  isLoopback,
  readFailure,
  scrub,
  vendorCode,
  vendorWords,
  type HttpClient,
} from '../http.ts';
import { LOGIN_HISTORY, PLAIN_LOGIN_CODES } from './plain-texts.ts';
import type { SourceContext } from '../source.ts';
import type { SalesforceConfig } from './config.ts';

const JWT_LIFETIME_S = 180;

export interface Session {
  accessToken: string;
  instanceUrl: string;
  /** Of the org, 15 or 18 characters; null where the log-in did not tell it. */
  organizationId: string | null;
}

/** jsforce's transport, as far as it is used; ours keeps the status, Retry-After and the time-outs of http.ts. */
export type JsforceTransport = OAuth2['_transport'];
type JsforceRequest = Parameters<JsforceTransport['httpRequest']>[0];
export interface JsforceResponse {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

export function jsforceTransport(
  answer: (request: JsforceRequest) => Promise<JsforceResponse>,
): JsforceTransport {
  return {
    httpRequest: (request) =>
      StreamPromise.create(() => ({ stream: new PassThrough(), promise: answer(request) })),
    getRequestStreamCreator: () => {
      throw new HeadwaterError('INTERNAL', 'jsforce streams are not used');
    },
  };
}

/**
 * The access token of one connection. All callers share one log-in: whoever meets a 401 calls `renew` with the token
 * that was refused, and only the first of them makes a request.
 */
export class Auth {
  private readonly config: SalesforceConfig;
  private readonly oauth2: OAuth2;
  private session: Session | undefined;
  private pending: Promise<Session> | undefined;

  constructor(config: SalesforceConfig, http: HttpClient, context: SourceContext) {
    this.config = config;
    const { auth } = config;
    this.oauth2 = new OAuth2({
      loginUrl: config.loginUrl,
      clientId: auth.clientId,
      ...('clientSecret' in auth && auth.clientSecret !== undefined
        ? { clientSecret: auth.clientSecret }
        : {}),
    });
    // oxlint-disable-next-line eslint/no-underscore-dangle -- jsforce has no public way to set it.
    this.oauth2._transport = jsforceTransport(async (request) => {
      const response = await http.send({
        method: 'POST',
        url: request.url,
        headers: { ...request.headers, accept: 'application/json' },
        body: typeof request.body === 'string' ? request.body : '',
      });
      if (response.status === 429 || response.status >= 500) {
        throw httpError(
          await readFailure(response, context.now(), this.secrets()),
          new URL(request.url).host,
        );
      }
      return { statusCode: response.status, headers: response.headers, body: await response.text() };
    });
  }

  async current(): Promise<Session> {
    return this.session ?? this.login();
  }

  /** A session that is not the refused one; exactly one request however many callers come at once. */
  async renew(refused: string): Promise<Session> {
    if (this.session !== undefined && this.session.accessToken !== refused) return this.session;
    this.session = undefined;
    return this.login();
  }

  /** What must never be in a message (I5). */
  secrets(): string[] {
    const { auth } = this.config;
    const secrets = [this.session?.accessToken];
    if ('clientSecret' in auth) secrets.push(auth.clientSecret);
    if ('refreshToken' in auth) secrets.push(auth.refreshToken);
    return secrets.filter((secret) => secret !== undefined);
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
    const host = new URL(this.config.loginUrl).host;
    try {
      const answer = await this.oauth2.requestToken(await this.grant());
      return {
        accessToken: answer.access_token,
        instanceUrl: this.checkedInstance(answer.instance_url),
        // …/id/<org>/<user>
        organizationId: /\/id\/(00D\w{12}(?:\w{3})?)\//.exec(answer.id)?.[1] ?? null,
      };
    } catch (error) {
      throw error instanceof HeadwaterError ? error : loginError(error, host, this.secrets());
    }
  }

  private async grant(): Promise<{ grant_type: string; [name: string]: string }> {
    const { auth } = this.config;
    if (auth.grant === 'client_credentials') return { grant_type: 'client_credentials' };
    if (auth.grant === 'refresh_token')
      return { grant_type: 'refresh_token', refresh_token: auth.refreshToken };
    const assertion = await signAssertion(auth, auth.audience ?? new URL(this.config.loginUrl).origin);
    return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion };
  }

  /** The token goes wherever this URL points, so it must be as safe as the login URL. */
  private checkedInstance(instanceUrl: unknown): string {
    const url = typeof instanceUrl === 'string' ? URL.parse(instanceUrl) : null;
    if (url === null || (url.protocol !== 'https:' && !isLoopback(url))) {
      throw new HeadwaterError('SOURCE_PROTOCOL', 'the log-in answered without a safe instance_url');
    }
    return url.origin;
  }
}

async function signAssertion(
  auth: { clientId: string; username: string; privateKey: string },
  audience: string,
): Promise<string> {
  const key = await importPKCS8(auth.privateKey, 'RS256').catch(() => {
    throw new HeadwaterError('AUTH_FAILED', 'auth.privateKey is not a PKCS#8 PEM key');
  });
  return new SignJWT({})
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(auth.clientId)
    .setSubject(auth.username)
    .setAudience(audience)
    .setExpirationTime(`${JWT_LIFETIME_S}s`)
    .sign(key);
}

/** jsforce throws the OAuth error code as the error's name and the description as its message. */
function loginError(error: unknown, host: string, secrets: readonly string[]): HeadwaterError {
  const name = vendorCode(error instanceof Error ? error.name : 'unknown');
  const text = error instanceof Error ? error.message : '';
  // Not the cause: jsforce's error may hold the request.
  if (/rate exceeded/i.test(text))
    return new HeadwaterError('SOURCE_THROTTLED', `${host} limits log-ins: ${name}, rate exceeded`);
  const words = vendorWords(name, scrub(text, secrets), {
    codes: PLAIN_LOGIN_CODES,
    readIn: LOGIN_HISTORY,
  });
  return new HeadwaterError(
    'AUTH_FAILED',
    `${host} refused the log-in: ${name}${words === '' ? '' : `, ${words}`}`,
    {
      details: { errorCode: name },
    },
  );
}
