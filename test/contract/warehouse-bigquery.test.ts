import { afterAll, beforeAll, describe } from '@jest/globals';
import { bigquerySql, bqemulatorMissing, openBigquery, startBqemulator } from '../support/bqemulator.ts';
import type { TestBigquery } from '../support/bqemulator.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

const missing = await bqemulatorMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: the warehouse BigQuery, ${missing}\n`);

(missing !== undefined ? describe.skip : describe)('BigQuery on bqemulator', () => {
  let server: TestBigquery;
  beforeAll(async () => {
    server = await startBqemulator();
  }, 90_000);
  afterAll(() => server.stop());
  const fixture = {
    open: (folder: string) => openBigquery(server.endpoint, folder),
    sql: bigquerySql,
    normalJson: true as const,
  };
  warehouseSuite('bigquery', fixture);
  // Each of its loads is some ten requests.
  warehouseLaws('bigquery', fixture, { runs: 2 });
});
