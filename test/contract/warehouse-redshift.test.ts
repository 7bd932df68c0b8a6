import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { emptyRedshifts, redshiftMissing, startRedshift, type TestRedshift } from '../support/redshift.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

const missing = await redshiftMissing();

if (missing !== undefined) {
  process.stderr.write(`SKIPPED: the warehouse Redshift, ${missing}\n`);
  describe('warehouse redshift', () => {
    test.skip(`Redshift, ${missing}`, () => undefined);
  });
} else {
  let server: TestRedshift;
  beforeAll(async () => {
    server = await startRedshift();
  }, 60_000);
  afterAll(() => server.stop());

  const open = emptyRedshifts(() => server);
  warehouseSuite('redshift', { open });
  // Each of its loads is some thirty round trips and two objects.
  warehouseLaws('redshift', { open }, { runs: 2 });
}
