import { afterAll, beforeAll, test } from '@jest/globals';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { fakesnowMissing, openSnowflake, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import { answeringNumbers, snowflakeSql } from '../support/snowflake-words.ts';
import type { WarehouseFixture } from './warehouse-harness.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

const missing = await fakesnowMissing();
const when = missing !== undefined ? test.skip : test;

if (missing !== undefined) {
  process.stderr.write(`SKIPPED: the warehouse Snowflake, ${missing}\n`);
  when('Snowflake on fakesnow', () => undefined);
} else {
  let server: TestSnowflake;
  beforeAll(async () => {
    server = await startFakesnow();
  }, 60_000);
  afterAll(() => server.stop());

  const open = async (folder: string): Promise<Warehouse> =>
    answeringNumbers(await openSnowflake(server.url, folder));
  const fixture: WarehouseFixture = { open, sql: snowflakeSql, normalJson: true };
  warehouseSuite('snowflake', fixture);
  // Each of its loads is some thirty round trips.
  warehouseLaws('snowflake', fixture, { runs: 2 });
}
