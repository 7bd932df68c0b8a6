import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { API, clientOf } from '../support/sandbox-client.ts';

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
let sandbox: SalesforceSandbox;

beforeAll(async () => {
  sandbox = await startSalesforceSandbox({ records: 100, jwtPublicKey: keys.publicKey });
});
afterAll(() => sandbox.close());

interface Grant {
  readonly access_token?: string;
  readonly refresh_token?: string;
  readonly error?: string;
}

async function grant(form: Record<string, string>): Promise<Grant> {
  const answer = await fetch(`${sandbox.loginUrl}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  });
  const parsed: Grant = JSON.parse(await answer.text());
  return parsed;
}

const assertion = (issuer: string, key = keys.privateKey): Promise<string> =>
  new SignJWT()
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(issuer)
    .setSubject('user0@sandbox.example')
    .setAudience(sandbox.loginUrl)
    .setExpirationTime('3m')
    .sign(key);

const JWT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

test('each grant gives a token that works', async () => {
  const app = { client_id: sandbox.clientId, client_secret: sandbox.clientSecret };
  const byPassword = await grant({ grant_type: 'password', username: 'u', password: 'p', ...app });
  const grants = [
    await grant({ grant_type: 'client_credentials', ...app }),
    byPassword,
    await grant({ grant_type: 'refresh_token', refresh_token: byPassword.refresh_token ?? '', ...app }),
    await grant({ grant_type: JWT, assertion: await assertion(sandbox.clientId) }),
  ];
  for (const { access_token } of grants) {
    expect((await clientOf(sandbox.url, access_token ?? '').get(`${API}/limits`)).status).toBe(200);
  }
});

test('wrong credentials are refused by name', async () => {
  const wrongKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const id = sandbox.clientId;
  expect(await grant({ grant_type: 'client_credentials', client_id: id, client_secret: 'no' })).toMatchObject(
    { error: 'invalid_client' },
  );
  expect(
    await grant({ grant_type: 'client_credentials', client_id: 'no', client_secret: 'no' }),
  ).toMatchObject({ error: 'invalid_client_id' });
  expect(await grant({ grant_type: 'refresh_token', client_id: id, refresh_token: 'no' })).toMatchObject({
    error: 'invalid_grant',
  });
  expect(await grant({ grant_type: JWT, assertion: await assertion(id, wrongKey) })).toMatchObject({
    error: 'invalid_grant',
  });
  expect(await grant({ grant_type: JWT, assertion: 'a.b.c' })).toMatchObject({ error: 'invalid_grant' });
  expect((await clientOf(sandbox.url, 'forged').get(`${API}/limits`)).status).toBe(401);
});
