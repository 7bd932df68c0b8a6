import { defineConfig, file } from './config/define-config.ts';

/**
 * The demo: `npm start` runs it against the Salesforce-compatible sandbox and writes the three files into its home, so that
 * every command works in another terminal too. A real org gets a configuration of its own by `npx headwater init`.
 */
export default defineConfig({
  connections: {
    salesforce: {
      kind: 'salesforce',
      loginUrl: file('sandbox/url'),
      auth: {
        grant: 'client_credentials',
        clientId: file('sandbox/client-id'),
        clientSecret: file('sandbox/client-secret'),
      },
      objects: ['Account', 'Contact', 'Lead', 'Opportunity', 'Case', 'Task', 'User'],
      schedule: { every: '1h', jitter: '0s' },
      // The sandbox shows every change at once, so nothing needs to be waited for or read twice.
      lag: '0s',
      lookback: '0s',
    },
  },
  warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
});
