import { afterEach, beforeEach } from '@jest/globals';
import {
  startHubSpotSandbox,
  type HubSpotSandbox,
  type HubSpotSandboxOptions,
} from '../../sandbox/hubspot/server.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import { hubspot, type HubspotConfigInput } from '../../sources/hubspot/index.ts';
import type { ExtractContext, ExtractRequest, Source } from '../../sources/source.ts';
import { testContext } from '../unit/sources/fake-server.ts';

export const ROWS = 500;
export const MINUTE_MS = 60_000;
/** Neither side slows a test down unless it is about that. */
export const UNLIMITED = { tenSecondCallsMax: 1_000_000, searchesPerSecondMax: 1_000_000 };
export const FAST = { callsPer10s: 100_000, searchesPerSecond: 10_000 };
export const NONE = {
  ...{ contacts: 0, companies: 0, deals: 0, tickets: 0, products: 0, line_items: 0 },
  ...{ calls: 0, emails: 0, meetings: 0, notes: 0, tasks: 0 },
};

export function startAccount(options: HubSpotSandboxOptions = {}): Promise<HubSpotSandbox> {
  return startHubSpotSandbox({
    ...UNLIMITED,
    seed: 5,
    ...options,
    objects: { ...NONE, contacts: ROWS, companies: 40, ...options.objects },
  });
}

/** A fresh account per test. */
export let sandbox: HubSpotSandbox;
const open: { close: () => Promise<void> }[] = [];

/** Call it in a test file that wants one. */
export function freshAccount(options: HubSpotSandboxOptions = {}): void {
  beforeEach(async () => {
    sandbox = await startAccount(options);
  });
  afterEach(async () => {
    for (const source of open.splice(0)) await source.close();
    await sandbox.close();
  });
}

export function connect(
  over: Partial<HubspotConfigInput> = {},
): Source & { lines: string[]; quotas: () => number } {
  const { source, lines, quotas } = connectTo(sandbox, over);
  open.push(source);
  return Object.assign(source, { lines, quotas: () => quotas.length });
}

export function connectTo(
  account: HubSpotSandbox,
  over: Partial<HubspotConfigInput> = {},
  clock: { now: () => number } = account.clock,
) {
  const context = testContext({ now: () => clock.now() });
  const config = hubspot.config.parse({
    kind: 'hubspot',
    baseUrl: account.url,
    auth: { kind: 'token', token: account.privateToken },
    objects: ['contacts'],
    ...over,
    thresholds: { ...FAST, pageRows: 200, ...over.thresholds },
  });
  return { source: hubspot.connect(config, context), lines: context.lines, quotas: context.quotas };
}

/** The credentials of an OAuth app of the account. */
export function oauthOf(account: HubSpotSandbox): HubspotConfigInput['auth'] {
  const { clientId, clientSecret, tokens } = account;
  return { kind: 'refresh_token', clientId, clientSecret, refreshToken: tokens.issue('refresh') };
}

export const worldOf = (source: Source): { source: Source; capabilities: typeof hubspot.capabilities } => ({
  source,
  capabilities: hubspot.capabilities,
});
export const now = (): string => new Date(sandbox.clock.now()).toISOString();
export const idle = (): ExtractContext => ({
  after: undefined,
  signal: new AbortController().signal,
  onWait: () => undefined,
});

export async function first(source: Source, object = 'contacts'): Promise<ExtractRequest> {
  return { schema: await source.describe(object), from: ORIGIN, readFrom: ORIGIN, until: now() };
}

/** A window from `from` to now, closed: nothing changes in it any more. */
export async function windowFrom(source: Source, from: number, object = 'contacts'): Promise<ExtractRequest> {
  const start = new Date(from).toISOString();
  const request = { schema: await source.describe(object), from: start, readFrom: start, until: now() };
  sandbox.clock.advance(10 * MINUTE_MS);
  return request;
}

export const failure = async (answer: Promise<unknown>): Promise<HeadwaterError> => {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HeadwaterError)) throw new Error(`expected a HeadwaterError, got ${String(error)}`);
  return error;
};
