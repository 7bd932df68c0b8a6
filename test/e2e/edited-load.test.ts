/** Somebody edits, creates, deletes and restores rows all the while: each load is proven, and in the end all is equal. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { compareMany } from '../support/many-rows.ts';
import { CRM, lineOf, openPipeline, type Pipeline, type SyncEnd } from '../support/pipeline.ts';
import { startSandboxProcess, type SandboxProcess } from '../support/sandbox-process.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { patient } from '../support/patience.ts';

const OBJECTS = ['Contact', 'Account', 'Lead', 'Opportunity', 'Case', 'Task', 'Subscription__c'];
const LOAD_MS_MAX = patient(120_000);
/** Rows of the whole org and how they are cut: a load of a million takes 13 jobs and 24 pages. */
const SMALL = { records: 20_000, changesPerMinute: 30_000, sliceRowsTarget: 2_000, bulkPageRowsMax: 1_000 };
const LARGE = { records: 1e6, changesPerMinute: 60_000, sliceRowsTarget: 100_000, bulkPageRowsMax: 50_000 };
const SIZES = process.env['HEADWATER_TEST_ALL'] === '1' ? [SMALL, LARGE] : [SMALL];
/** Stamps have no fraction of a second: a window by hand ends before the second that has not passed yet. */
const SECOND_MS = 1_100;

let temporal: TestTemporal;
let sandbox: SandboxProcess;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, 120_000);
afterAll(() => temporal.stop());
afterEach(async () => {
  await pipeline.close();
  await sandbox.close();
});

async function expectProven(end: SyncEnd): Promise<void> {
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  for (const { object, verdict } of end.run?.objects ?? [])
    expect([object, verdict]).toEqual([object, expect.stringMatching(/^(?:proven|moved)$/)]);
}

async function expectEqual(records: number): Promise<void> {
  let rows = 0;
  for (const object of OBJECTS) {
    const compared = await compareMany(sandbox, object, pipeline.loaded, `${CRM}.${object.toLowerCase()}`);
    expect(compared.differences).toEqual([]);
    expect(compared.sums.warehouse).toBe(compared.sums.org);
    rows += compared.rows;
  }
  expect(rows).toBeGreaterThan(records * 0.99);
}

test.each(SIZES)(
  'a load of $records rows under $changesPerMinute changes per minute is proven, and equal once they end',
  async ({ records, changesPerMinute, sliceRowsTarget, bulkPageRowsMax }) => {
    sandbox = await startSandboxProcess('--records', String(records), '--living', String(changesPerMinute));
    const { loginUrl, clientSecret } = sandbox;
    pipeline = await openPipeline(temporal, {
      // The org is another process: a million rows and their writer do not wait for the test.
      sandbox: { objects: {}, clientSecret },
      connection: {
        loginUrl,
        objects: OBJECTS,
        thresholds: { bulkRowsMin: 500, bulkPageRowsMax, sliceRowsTarget },
      },
      syncMsMax: LOAD_MS_MAX,
    });
    await pipeline.start();
    const first = await pipeline.sync();
    await expectProven(first);
    expect(first.run?.objects.map(({ object }) => object).toSorted()).toEqual(OBJECTS.toSorted());
    expect(lineOf(first).verdict).toBe('moved');
    const [window] = await pipeline.ledger((ledger) =>
      ledger.windows({ connection: CRM, object: 'Contact', limit: 1 }),
    );
    // Edited after they were read, while the load went on; and before they were read, which the count tells.
    const { moved = 0, before } = window?.receipt?.source ?? {};
    expect(moved).toBeGreaterThan(records / 500);
    expect(window?.receipt?.transport.received).toBeLessThan(before ?? 0);

    await expectProven(await pipeline.sync());
    await sandbox.post('living', { changesPerMinute: 0 });
    await sleep(SECOND_MS);
    await expectProven(await pipeline.sync());
    await expectEqual(records);
  },
  LOAD_MS_MAX * 2,
);
