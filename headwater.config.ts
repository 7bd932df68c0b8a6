import { defineConfig, defineConflicts, file } from './config/define-config.ts';

/**
 * The demo: `npm start` runs it against two sandboxes and writes the files that it names into its home, so that
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
      // Outbound messages, to http://127.0.0.1:8471/webhooks/salesforce/<secret>.
      webhooks: { secrets: [file('sandbox/webhook-secret')], organizationId: '00DHw0000000001EAA' },
      objects: ['Account', 'Contact', 'Lead', 'Opportunity', 'Case', 'Task', 'User'],
      schedule: { every: '1h', jitter: '0s' },
      // The sandbox shows every change at once, so nothing needs to be waited for or read twice.
      lag: '0s',
      lookback: '0s',
    },
    hubspot: {
      kind: 'hubspot',
      baseUrl: file('sandbox/hubspot/url'),
      auth: { kind: 'token', token: file('sandbox/hubspot/token') },
      webhooks: { secrets: [file('sandbox/hubspot/webhook-secret')] },
      objects: ['contacts', 'companies', 'deals'],
      schedule: { every: '1h', jitter: '0s' },
      lag: '0s',
      lookback: '0s',
    },
  },
  // Webhooks in, profiles out. The key lies in the home too: `serve/key`.
  serve: { keys: { demo: { hash: file('serve/key-hash'), scopes: ['read', 'write'] } } },
  warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
  // Both systems know the same customers: what holds where they disagree is decided here.
  profiles: { writeBack: { contact: { jobTitle: ['salesforce'], lifecycleStage: ['hubspot'] } } },
  conflicts: {
    contact: defineConflicts({
      profile: 'contact',
      fields: {
        jobTitle: { prefer: [{ by: 'source', order: ['salesforce'] }, { by: 'latest' }] },
        lifecycleStage: { prefer: [{ by: 'source', order: ['hubspot'] }, { by: 'latest' }] },
        interests: { combine: 'union', limit: 200 },
        createdAt: { combine: 'min' },
      },
      groups: { address: ['street', 'city', 'state', 'postalCode', 'country'] },
    }),
  },
});
