/** The OAuth endpoints of each version: v1 tells about tokens by path, v3 and the dated versions by introspection. */
import type { Exchange } from '../exchange.ts';
import type { Hub } from './hub.ts';
import { HubError, notFound } from './hub-error.ts';
import type { Route } from './routes.ts';

export interface OauthSettings {
  readonly clientId: string;
  readonly clientSecret: string;
}

const SCOPES = [
  'oauth',
  'crm.objects.contacts.read',
  'crm.objects.companies.read',
  'crm.schemas.custom.read',
];
const APP_ID = 1_231_420;
const USER_ID = 9_586_504;

/** Sends the browser back with a code at once: nobody is asked. */
export async function answerAuthorize(exchange: Exchange, hub: Hub, settings: OauthSettings): Promise<void> {
  const redirect = exchange.params.get('redirect_uri') ?? '';
  if (exchange.params.get('client_id') !== settings.clientId || !URL.canParse(redirect))
    throw new HubError(400, 'BAD_CLIENT_ID', 'missing or unknown client id');
  const target = new URL(redirect);
  target.searchParams.set('code', hub.tokens.issueCode(redirect));
  const state = exchange.params.get('state');
  if (state !== null) target.searchParams.set('state', state);
  exchange.setHeader('location', target.href);
  await exchange.sendNothing(302);
}

export async function answerOauth(
  exchange: Exchange,
  hub: Hub,
  settings: OauthSettings,
  route: Route,
): Promise<void> {
  const [first, second] = route.parts;
  if (exchange.method === 'POST' && first === 'token' && second === undefined) {
    const form = new URLSearchParams(await exchange.text());
    await answerToken(exchange, hub, settings, form, route.version);
  } else if (exchange.method === 'POST' && first === 'token' && second === 'introspect') {
    const form = new URLSearchParams(await exchange.text());
    refuseStranger(settings, form);
    await exchange.sendJson(200, introspection(hub, settings, form.get('token') ?? ''));
  } else if (first === 'access-tokens' && second !== undefined) {
    await exchange.sendJson(200, accessFacts(hub, settings, decodeURIComponent(second)));
  } else if (first === 'refresh-tokens' && second !== undefined) {
    const token = decodeURIComponent(second);
    if (exchange.method === 'DELETE') {
      hub.tokens.revokeAll();
      await exchange.sendNothing(204);
    } else await exchange.sendJson(200, refreshFacts(hub, settings, token));
  } else if (first === 'private-apps') await answerPrivateInfo(exchange, hub);
  else throw notFound();
}

function refuseStranger(settings: OauthSettings, form: URLSearchParams): void {
  const known =
    form.get('client_id') === settings.clientId && form.get('client_secret') === settings.clientSecret;
  if (!known) throw refused('BAD_CLIENT_ID', 'missing or unknown client id', 'invalid_client', 401);
}

/** HubSpot's own words beside those of RFC 6749: newer versions answer with both. */
function refused(status: string, message: string, error: string, code = 400): HubError {
  return new HubError(code, status, message, { status, error, error_description: message });
}

async function answerToken(
  exchange: Exchange,
  hub: Hub,
  settings: OauthSettings,
  form: URLSearchParams,
  version: string,
): Promise<void> {
  refuseStranger(settings, form);
  const grant = form.get('grant_type');
  const { tokens } = hub;
  let refresh = form.get('refresh_token') ?? '';
  if (grant === 'authorization_code') {
    if (!tokens.takeCode(form.get('code') ?? '', form.get('redirect_uri') ?? ''))
      throw refused('BAD_AUTH_CODE', 'missing or unknown auth code', 'invalid_grant');
    refresh = tokens.issue('refresh');
  } else if (grant === 'refresh_token') {
    const facts = tokens.inspect(refresh);
    if (facts === undefined || facts === 'expired' || facts.kind !== 'refresh')
      throw refused('BAD_REFRESH_TOKEN', 'missing or invalid refresh token', 'invalid_grant');
  } else throw refused('BAD_GRANT_TYPE', 'missing or unknown grant type', 'unsupported_grant_type');
  await exchange.sendJson(200, {
    token_type: 'bearer',
    refresh_token: refresh,
    access_token: tokens.issue('access'),
    expires_in: Math.round(tokens.settings.lifeMs / 1000),
    ...(version === 'v1'
      ? {}
      : { hub_id: hub.portalId, scopes: SCOPES, user_id: USER_ID, token_use: 'access_token' }),
  });
}

const account = (hub: Hub, settings: OauthSettings): Record<string, unknown> => ({
  hub_id: hub.portalId,
  app_id: APP_ID,
  user_id: USER_ID,
  user: 'owner0@sandbox.example',
  hub_domain: 'sandbox.example',
  client_id: settings.clientId,
  scopes: SCOPES,
});

function accessFacts(hub: Hub, settings: OauthSettings, token: string): Record<string, unknown> {
  const facts = hub.tokens.inspect(token);
  if (facts === undefined || facts === 'expired' || facts.kind !== 'access')
    throw new HubError(404, 'OBJECT_NOT_FOUND', 'access token not found');
  const { client_id: _, ...shown } = account(hub, settings);
  return { token, ...shown, expires_in: Math.floor((facts.lifeLeftMs ?? 0) / 1000), token_type: 'access' };
}

function refreshFacts(hub: Hub, settings: OauthSettings, token: string): Record<string, unknown> {
  const facts = hub.tokens.inspect(token);
  if (facts === undefined || facts === 'expired' || facts.kind !== 'refresh')
    throw new HubError(404, 'OBJECT_NOT_FOUND', 'refresh token not found');
  const { app_id: _, ...shown } = account(hub, settings);
  return { token, ...shown, token_type: 'refresh' };
}

function introspection(hub: Hub, settings: OauthSettings, token: string): Record<string, unknown> {
  const facts = hub.tokens.inspect(token);
  if (facts === undefined || facts === 'expired') return { active: false };
  return {
    active: true,
    token,
    ...account(hub, settings),
    token_type: 'bearer',
    token_use: facts.kind === 'refresh' ? 'refresh_token' : 'access_token',
    ...(facts.lifeLeftMs === undefined ? {} : { expires_in: Math.floor(facts.lifeLeftMs / 1000) }),
  };
}

async function answerPrivateInfo(exchange: Exchange, hub: Hub): Promise<void> {
  const { tokenKey } = await exchange.json();
  const facts = typeof tokenKey === 'string' ? hub.tokens.inspect(tokenKey) : undefined;
  if (facts === undefined || facts === 'expired' || facts.kind !== 'private')
    throw new HubError(404, 'OBJECT_NOT_FOUND', 'token not found');
  await exchange.sendJson(200, { userId: USER_ID, hubId: hub.portalId, appId: APP_ID, scopes: SCOPES });
}
