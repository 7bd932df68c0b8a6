import type { HubSpotSandboxOptions } from '../../sandbox/hubspot/server.ts';
import { hubspot, type HubspotConfigInput } from '../../sources/hubspot/index.ts';
import { connectTo, oauthOf, startAccount } from './hubspot-fixture.ts';
import { sourceSuite, type SourceHarness } from './source-suite.ts';

async function harness(
  object: string,
  over: Partial<HubspotConfigInput> = {},
  options: HubSpotSandboxOptions = {},
  oauth = false,
): Promise<SourceHarness> {
  const sandbox = await startAccount({ objects: { [object]: 700 }, seed: 11, ...options });
  const { source } = connectTo(sandbox, {
    objects: [object],
    ...(oauth ? { auth: oauthOf(sandbox) } : {}),
    ...over,
  });
  const { data, clock } = sandbox;
  const text = data.get(object, 0).values['dealname'] === undefined ? 'lastname' : 'dealname';
  let name = 0;
  return {
    source,
    capabilities: hubspot.capabilities,
    object,
    now: () => new Date(clock.now()).toISOString(),
    advance: (ms) => clock.advance(ms),
    create: () => data.create(object, { [text]: `New ${++name}` }),
    update: (id) => data.update(object, id, { [text]: `Name ${++name}` }),
    delete: (id) => data.archive(object, id),
    undelete: (id) => data.restore(object, id),
    // HubSpot erases an archived record after 90 days and not before: until then it stays in the list.
    purge: () => undefined,
    truth: async () => {
      const rows = [];
      for await (const row of data.truth(object)) {
        rows.push({ id: row.id, stamp: new Date(row.stampMs).toISOString(), deleted: row.archived });
      }
      return rows;
    },
    close: async () => {
      await source.close();
      await sandbox.close();
    },
  };
}

sourceSuite('hubspot contacts', () => harness('contacts'));
sourceSuite('hubspot deals, every hundred at one stamp', () =>
  harness('deals', { thresholds: { searchRows: 30, pageRows: 150 } }, { stampTies: 100 }),
);
sourceSuite('hubspot by OAuth, in small pages', () =>
  harness('contacts', { thresholds: { pageRows: 90 } }, { stampTies: 7 }, true),
);
