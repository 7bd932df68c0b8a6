/**
 * Runs a sandbox as a process of its own and prints where it listens, as one line of JSON: `main.ts [salesforce|hubspot] --records …`,
 * Salesforce when no system is named.
 */
import { parseArgs } from 'node:util';
import { startHubSpotSandbox, type HubSpotSandboxOptions } from './hubspot/server.ts';
import { startSalesforceSandbox, type SandboxOptions } from './salesforce/server.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    records: { type: 'string' },
    objects: { type: 'string' },
    seed: { type: 'string' },
    living: { type: 'string' },
    state: { type: 'string' },
    'client-id': { type: 'string' },
    'search-lag': { type: 'string' },
    'salesforce-records': { type: 'string' },
    // Where every change is pushed to. HubSpot signs with SANDBOX_WEBHOOK_SECRET, Salesforce has it at the end of the address.
    webhooks: { type: 'string' },
    // Salesforce: change events over the Pub/Sub API, on a port of its own.
    pubsub: { type: 'boolean', default: false },
  },
});

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number < 0) throw new Error(`--${name} must be a number, not "${text}"`);
  return number;
}

/** "Contact=1000,Account=10" */
function objectsOf(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(',').map((part) => {
      const [name = '', count = ''] = part.split('=');
      return [name, numberOf('objects', count)];
    }),
  );
}

/** Flags and secrets that both systems take. */
function commonOptions(): SandboxOptions & HubSpotSandboxOptions {
  const secret = process.env['SANDBOX_CLIENT_SECRET'];
  return {
    port: numberOf('port', values.port),
    ...(values.records === undefined ? {} : { records: numberOf('records', values.records) }),
    ...(values.objects === undefined ? {} : { objects: objectsOf(values.objects) }),
    ...(values.seed === undefined ? {} : { seed: numberOf('seed', values.seed) }),
    ...(values.living === undefined
      ? {}
      : { living: { changesPerMinute: numberOf('living', values.living) } }),
    ...(values.state === undefined ? {} : { statePath: values.state }),
    ...(values['client-id'] === undefined ? {} : { clientId: values['client-id'] }),
    ...(secret === undefined || secret === '' ? {} : { clientSecret: secret }),
  };
}

interface Started {
  readonly url: string;
  readonly clientId: string;
  /** What was generated and not given, so that the caller must be told. */
  readonly generated: Readonly<Record<string, string>>;
  readonly more?: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

async function startSalesforce(): Promise<Started> {
  const secret = process.env['SANDBOX_WEBHOOK_SECRET'] ?? '';
  const options: SandboxOptions = {
    ...commonOptions(),
    ...(values.webhooks === undefined
      ? {}
      : { outbound: { url: `${values.webhooks}${secret === '' ? '' : `/${secret}`}` } }),
    ...(values.pubsub ? { pubsub: {} } : {}),
  };
  const started = await startSalesforceSandbox(options);
  const { url, clientId, clientSecret } = started;
  const generated = options.clientSecret === undefined ? { clientSecret } : {};
  const more = started.pubsub === undefined ? {} : { pubsub: started.pubsub.url };
  return { url, clientId, generated, more, close: () => started.close() };
}

async function startHubSpot(): Promise<Started> {
  const token = process.env['SANDBOX_PRIVATE_TOKEN'];
  const salesforceRecords = values['salesforce-records'];
  const secret = process.env['SANDBOX_WEBHOOK_SECRET'] ?? '';
  const options: HubSpotSandboxOptions = {
    ...commonOptions(),
    ...(token === undefined || token === '' ? {} : { privateToken: token }),
    ...(values['search-lag'] === undefined
      ? {}
      : { searchLagMs: numberOf('search-lag', values['search-lag']) }),
    ...(values.webhooks === undefined
      ? {}
      : { webhooks: { url: values.webhooks, ...(secret === '' ? {} : { secret }) } }),
    ...(salesforceRecords === undefined
      ? {}
      : { salesforce: { records: numberOf('salesforce-records', salesforceRecords) } }),
  };
  const started = await startHubSpotSandbox(options);
  const { url, clientId, clientSecret, privateToken } = started;
  const generated = {
    ...(options.clientSecret === undefined ? { clientSecret } : {}),
    ...(options.privateToken === undefined ? { privateToken } : {}),
  };
  return { url, clientId, generated, close: () => started.close() };
}

const system = positionals[0] ?? 'salesforce';
if (positionals.length > 1 || (system !== 'salesforce' && system !== 'hubspot'))
  throw new Error(`the sandbox is salesforce or hubspot, not "${positionals.join(' ')}"`);
const sandbox = await (system === 'hubspot' ? startHubSpot() : startSalesforce());
console.log(
  JSON.stringify({
    event: 'listening',
    url: sandbox.url,
    clientId: sandbox.clientId,
    ...sandbox.generated,
    ...sandbox.more,
    pid: process.pid,
  }),
);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void sandbox.close().then(() => process.exit(0));
  });
}
