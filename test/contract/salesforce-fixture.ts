import { afterEach, beforeEach } from '@jest/globals';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import { salesforce, type SalesforceConfigInput } from '../../sources/salesforce/index.ts';
import type { ExtractContext, ExtractRequest, Source } from '../../sources/source.ts';
import { testContext } from '../unit/sources/fake-server.ts';

export const ROWS = 1000;
export const MINUTE_MS = 60_000;
export const BULK = { bulkRowsMin: 1, bulkPageRowsMax: 100 };
export const REST = { bulkRowsMin: 1_000_000, restPageRows: 200 };

/** A fresh org per test. */
export let sandbox: SalesforceSandbox;
const open: Source[] = [];

beforeEach(async () => {
  sandbox = await startSalesforceSandbox({
    objects: { Contact: ROWS, Account: 20, Lead: 0, Opportunity: 0, Case: 0, Task: 0, Subscription__c: 0 },
    bulkJobMs: 0,
    seed: 5,
  });
});

afterEach(async () => {
  for (const source of open.splice(0)) await source.close();
  await sandbox.close();
});

export function connect(over: Partial<SalesforceConfigInput> = {}): Source & { quotas: () => number } {
  const context = testContext({ now: () => sandbox.clock.now() });
  const config = salesforce.config.parse({
    kind: 'salesforce',
    loginUrl: sandbox.loginUrl,
    auth: { grant: 'client_credentials', clientId: sandbox.clientId, clientSecret: sandbox.clientSecret },
    objects: ['Contact'],
    ...over,
  });
  const source = salesforce.connect(config, context);
  open.push(source);
  return Object.assign(source, { quotas: () => context.quotas.length });
}

export const worldOf = (
  source: Source,
): { source: Source; capabilities: typeof salesforce.capabilities } => ({
  source,
  capabilities: salesforce.capabilities,
});
export const now = (): string => new Date(sandbox.clock.now()).toISOString();
export const idle = (): ExtractContext => ({
  after: undefined,
  signal: new AbortController().signal,
  onWait: () => undefined,
});

export async function first(source: Source, object = 'Contact'): Promise<ExtractRequest> {
  return { schema: await source.describe(object), from: ORIGIN, readFrom: ORIGIN, until: now() };
}

export const failure = async (answer: Promise<unknown>): Promise<HeadwaterError> => {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HeadwaterError)) throw new Error(`expected a HeadwaterError, got ${String(error)}`);
  return error;
};
