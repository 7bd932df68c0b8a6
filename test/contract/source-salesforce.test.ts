import { startSalesforceSandbox, type SandboxOptions } from '../../sandbox/salesforce/server.ts';
import { salesforce, type SalesforceConfigInput } from '../../sources/salesforce/index.ts';
import { testContext } from '../unit/sources/fake-server.ts';
import { sourceSuite, type SourceHarness } from './source-suite.ts';

async function harness(
  thresholds: NonNullable<SalesforceConfigInput['thresholds']>,
  options: SandboxOptions = {},
): Promise<SourceHarness> {
  const sandbox = await startSalesforceSandbox({
    objects: { Contact: 1500, Account: 20, Lead: 0, Opportunity: 0, Case: 0, Task: 0, Subscription__c: 0 },
    bulkJobMs: 5,
    seed: 11,
    ...options,
  });
  const config = salesforce.config.parse({
    kind: 'salesforce',
    loginUrl: sandbox.loginUrl,
    auth: { grant: 'client_credentials', clientId: sandbox.clientId, clientSecret: sandbox.clientSecret },
    objects: 'all',
    thresholds,
  });
  const { data, clock } = sandbox;
  const source = salesforce.connect(config, testContext({ now: () => clock.now() }));
  let name = 0;
  return {
    source,
    capabilities: salesforce.capabilities,
    object: 'Contact',
    now: () => new Date(clock.now()).toISOString(),
    advance: (ms) => clock.advance(ms),
    create: () => data.create('Contact', { LastName: `New ${++name}` }),
    update: (id) => data.update('Contact', id, { Title: `Title ${++name}` }),
    delete: (id) => data.delete('Contact', id),
    undelete: (id) => data.undelete('Contact', id),
    purge: (id) => data.purge('Contact', id),
    truth: async () => {
      const rows = [];
      for await (const row of data.truth('Contact')) {
        rows.push({ id: row.Id, stamp: new Date(row.stampMs).toISOString(), deleted: row.IsDeleted });
      }
      return rows;
    },
    close: async () => {
      await source.close();
      await sandbox.close();
    },
  };
}

sourceSuite('salesforce by REST', () => harness({ bulkRowsMin: 1_000_000, restPageRows: 300 }));
sourceSuite('salesforce by Bulk in pages', () => harness({ bulkRowsMin: 1, bulkPageRowsMax: 150 }));
sourceSuite('salesforce by Bulk in slices', () =>
  harness({ bulkRowsMin: 1, bulkPageRowsMax: 200, sliceRowsTarget: 400 }, { minuteResolution: true }),
);
sourceSuite('salesforce with ties at every page border', () =>
  harness({ bulkRowsMin: 1_000_000, restPageRows: 200 }, { stampTies: 1000 }),
);
