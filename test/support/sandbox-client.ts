/** A bare HTTP client of the sandbox for contract tests: no retries, no parsing beyond what a test asks for. */
import type { SalesforceSandbox } from '../../sandbox/salesforce/server.ts';

export interface BareClient {
  readonly token: string;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  query(soql: string, resource?: 'query' | 'queryAll'): Promise<QueryAnswer>;
}

export interface QueryAnswer {
  readonly totalSize: number;
  readonly done: boolean;
  readonly nextRecordsUrl?: string;
  readonly records: readonly Record<string, unknown>[];
}

export const API = '/services/data/v66.0';

export async function loginTo(sandbox: SalesforceSandbox): Promise<BareClient> {
  const form = {
    grant_type: 'client_credentials',
    client_id: sandbox.clientId,
    client_secret: sandbox.clientSecret,
  };
  const answer = await fetch(`${sandbox.url}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  });
  const granted: { access_token: string } = JSON.parse(await answer.text());
  return clientOf(sandbox.url, granted.access_token);
}

export function clientOf(url: string, token: string): BareClient {
  const authorization = `Bearer ${token}`;
  const get: BareClient['get'] = (path, headers = {}) =>
    fetch(url + path, { headers: { authorization, ...headers } });
  return {
    token,
    get,
    send: (method, path, body, headers = {}) =>
      fetch(url + path, {
        method,
        headers: { authorization, 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    query: async (soql, resource = 'query') => {
      const answer = await get(`${API}/${resource}?q=${encodeURIComponent(soql)}`);
      const parsed: QueryAnswer = JSON.parse(await answer.text());
      return parsed;
    },
  };
}
