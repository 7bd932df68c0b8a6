import { expect, test } from '@jest/globals';
import { startSalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { runSimpleSalesforce, simpleSalesforceMissing } from '../support/simple-salesforce.ts';

test('simple-salesforce, unmodified, logs in, describes, pages, edits and reads a bulk job', async () => {
  const missing = await simpleSalesforceMissing();
  if (missing !== undefined) {
    // A run of everything treats a skip as a failure.
    if (process.env['HEADWATER_TEST_ALL'] === '1') throw new Error(missing);
    console.log(`SKIPPED: simple-salesforce, ${missing}`);
    return;
  }
  const sandbox = await startSalesforceSandbox({ objects: { Contact: 2500 }, records: 100, seed: 3 });
  try {
    sandbox.data.delete('Contact', 8);
    const { url, clientId, clientSecret } = sandbox;
    const seen = await runSimpleSalesforce({ url, clientId, clientSecret });
    const global = sandbox.data.objects().length;
    expect(seen).toMatchObject({
      limitsByPassword: 100_000,
      objects: global,
      contacts: 2499,
      contactsWithDeleted: 2500,
      title: 'Snake',
      byExternalId: true,
      upsertStatus: 200,
      deleteStatus: 204,
      bulkPages: 4,
      bulkRows: 2499,
      malformed: 'MALFORMED_QUERY',
      missing: 'NOT_FOUND',
    });
    expect(Number(seen['fields'])).toBeGreaterThan(25);
  } finally {
    await sandbox.close();
  }
}, 300_000);
