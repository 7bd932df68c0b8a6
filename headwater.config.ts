import { defineConfig, env } from './config/define-config.ts';

/**
 * The demo: `npm start` runs it against the Salesforce-compatible sandbox and sets the three variables.
 * A real org gets a file of its own by `npx headwater init`.
 */
export default defineConfig({
  connections: {
    salesforce: {
      kind: 'salesforce',
      loginUrl: env('SF_LOGIN_URL'),
      auth: {
        grant: 'client_credentials',
        clientId: env('SF_CLIENT_ID'),
        clientSecret: env('SF_CLIENT_SECRET'),
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
