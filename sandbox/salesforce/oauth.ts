/** The OAuth endpoints: client credentials, refresh token, JWT bearer and username-password. */
import { verify, type KeyLike } from 'node:crypto';
import { jsonObject, type Exchange } from '../exchange.ts';
import { ORG_ID, type Tokens } from './tokens.ts';

export interface OauthSettings {
  readonly clientId: string;
  readonly clientSecret: string;
  /** When set, JWT assertions must be signed by it (RS256). */
  readonly jwtPublicKey: KeyLike | undefined;
  readonly url: () => string;
  readonly userId: string;
  readonly tokens: Tokens;
  readonly now: () => number;
}

type Refusal = readonly [error: string, description: string];

export async function answerOauth(exchange: Exchange, settings: OauthSettings): Promise<boolean> {
  const { path } = exchange;
  if (path === '/services/oauth2/token') await token(exchange, settings);
  else if (path === '/services/oauth2/revoke') {
    const form = new URLSearchParams(await exchange.text());
    settings.tokens.revoke(form.get('token') ?? exchange.params.get('token') ?? '');
    await exchange.sendNothing(200);
  } else if (path === '/services/oauth2/userinfo' || path.startsWith('/id/')) {
    settings.tokens.authorize(exchange.header('authorization'));
    await exchange.sendJson(200, identity(settings));
  } else return false;
  return true;
}

function identity(settings: OauthSettings): Record<string, unknown> {
  const url = settings.url();
  return {
    id: `${url}/id/${ORG_ID}/${settings.userId}`,
    sub: `${url}/id/${ORG_ID}/${settings.userId}`,
    user_id: settings.userId,
    organization_id: ORG_ID,
    username: 'user0@sandbox.example',
    preferred_username: 'user0@sandbox.example',
    display_name: 'Integration User',
    active: true,
    urls: { rest: `${url}/services/data/v{version}/`, sobjects: `${url}/services/data/v{version}/sobjects/` },
  };
}

async function token(exchange: Exchange, settings: OauthSettings): Promise<void> {
  const form = new URLSearchParams(await exchange.text());
  for (const [name, value] of exchange.params) form.append(name, value);
  const basic = /^Basic (.+)$/.exec(exchange.header('authorization') ?? '')?.[1];
  if (basic !== undefined) {
    const [id, ...secret] = Buffer.from(basic, 'base64').toString('utf8').split(':');
    form.set('client_id', id ?? '');
    form.set('client_secret', secret.join(':'));
  }
  const refusal = refuse(form, settings);
  if (refusal !== undefined) {
    await exchange.sendJson(refusal[0] === 'invalid_client' ? 401 : 400, {
      error: refusal[0],
      error_description: refusal[1],
    });
    return;
  }
  const url = settings.url();
  const withRefresh = form.get('grant_type') === 'password';
  await exchange.sendJson(200, {
    access_token: settings.tokens.issue('access'),
    signature: 'c2FuZGJveA==',
    scope: 'api',
    instance_url: url,
    id: `${url}/id/${ORG_ID}/${settings.userId}`,
    token_type: 'Bearer',
    issued_at: String(settings.now()),
    ...(withRefresh ? { refresh_token: settings.tokens.issue('refresh') } : {}),
  });
}

function refuse(form: URLSearchParams, settings: OauthSettings): Refusal | undefined {
  const grant = form.get('grant_type');
  if (grant === 'urn:ietf:params:oauth:grant-type:jwt-bearer')
    return refuseAssertion(form.get('assertion') ?? '', settings);
  if (form.get('client_id') !== settings.clientId) return ['invalid_client_id', 'client identifier invalid'];
  // A public client may refresh without its secret.
  const secret = form.get('client_secret');
  if (secret !== settings.clientSecret && !(grant === 'refresh_token' && secret === null)) {
    return ['invalid_client', 'invalid client credentials'];
  }
  if (grant === 'client_credentials') return undefined;
  if (grant === 'password') {
    return form.get('username') !== null && form.get('password') !== null
      ? undefined
      : ['invalid_grant', 'authentication failure'];
  }
  if (grant === 'refresh_token') {
    return settings.tokens.isValid(form.get('refresh_token') ?? '', 'refresh')
      ? undefined
      : ['invalid_grant', 'expired access/refresh token'];
  }
  return ['unsupported_grant_type', 'grant type not supported'];
}

function refuseAssertion(assertion: string, settings: OauthSettings): Refusal | undefined {
  const [header, payload, signature] = assertion.split('.');
  let head: Record<string, unknown>;
  let claims: Record<string, unknown>;
  try {
    head = jsonObject(Buffer.from(header ?? '', 'base64url').toString('utf8'));
    claims = jsonObject(Buffer.from(payload ?? '', 'base64url').toString('utf8'));
  } catch {
    return ['invalid_grant', 'invalid assertion'];
  }
  if (head['alg'] !== 'RS256') return ['invalid_grant', 'invalid assertion'];
  if (claims['iss'] !== settings.clientId) return ['invalid_client_id', 'client identifier invalid'];
  if (typeof claims['sub'] !== 'string' || typeof claims['aud'] !== 'string')
    return ['invalid_grant', 'invalid assertion'];
  const expires = claims['exp'];
  if (typeof expires !== 'number' || expires * 1000 <= settings.now())
    return ['invalid_grant', 'expired authorization code'];
  if (settings.jwtPublicKey !== undefined) {
    const signed = Buffer.from(`${header}.${payload}`);
    if (!verify('RSA-SHA256', signed, settings.jwtPublicKey, Buffer.from(signature ?? '', 'base64url'))) {
      return ['invalid_grant', 'invalid assertion'];
    }
  }
  return undefined;
}
