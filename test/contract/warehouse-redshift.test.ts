import { afterAll, beforeAll, describe } from '@jest/globals';
import { emptyRedshifts, redshiftMissing, startRedshift, type TestRedshift } from '../support/redshift.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

const missing = await redshiftMissing();

if (missing !== undefined) process.stderr.write(`SKIPPED: the warehouse Redshift, ${missing}\n`);
const suite = missing !== undefined ? describe.skip : describe;

suite('on Postgres behind a driver', () => {
  let server: TestRedshift;
  beforeAll(async () => {
    server = await startRedshift();
  }, 60_000);
  afterAll(() => server.stop());

  const open = emptyRedshifts(() => server);
  warehouseSuite('redshift', { open });
  // Each of its loads is some thirty round trips and two objects.
  warehouseLaws('redshift', { open }, { runs: 2 });
});
