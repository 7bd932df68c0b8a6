/** Runs the Salesforce sandbox as a process of its own and prints where it listens, as one line of JSON. */
import { parseArgs } from 'node:util';
import { startSalesforceSandbox, type SandboxOptions } from './salesforce/server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    records: { type: 'string' },
    objects: { type: 'string' },
    seed: { type: 'string' },
    living: { type: 'string' },
    state: { type: 'string' },
    'client-id': { type: 'string' },
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

const secret = process.env['SANDBOX_CLIENT_SECRET'];
const options: SandboxOptions = {
  port: numberOf('port', values.port),
  ...(values.records === undefined ? {} : { records: numberOf('records', values.records) }),
  ...(values.objects === undefined ? {} : { objects: objectsOf(values.objects) }),
  ...(values.seed === undefined ? {} : { seed: numberOf('seed', values.seed) }),
  ...(values.living === undefined ? {} : { living: { changesPerMinute: numberOf('living', values.living) } }),
  ...(values.state === undefined ? {} : { statePath: values.state }),
  ...(values['client-id'] === undefined ? {} : { clientId: values['client-id'] }),
  ...(secret === undefined || secret === '' ? {} : { clientSecret: secret }),
};

const sandbox = await startSalesforceSandbox(options);
const generated = options.clientSecret === undefined ? { clientSecret: sandbox.clientSecret } : {};
console.log(
  JSON.stringify({
    event: 'listening',
    url: sandbox.url,
    clientId: sandbox.clientId,
    ...generated,
    pid: process.pid,
  }),
);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void sandbox.close().then(() => process.exit(0));
  });
}
