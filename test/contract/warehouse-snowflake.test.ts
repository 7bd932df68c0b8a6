import { afterAll, beforeAll, describe, test } from '@jest/globals';
import type { QueryAnswer, Warehouse } from '../../warehouses/warehouse.ts';
import { fakesnowMissing, openSnowflake, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import type { WarehouseFixture } from './warehouse-harness.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

const missing = await fakesnowMissing();

/**
 * Snowflake has one integer type, so its answers have each of them as text. Where the suite asks for a number by a cast, the
 * emulator names the column after it.
 */
const CAST = / AS BIGINT\)$/;
const asAsked = ({ columns, rows, truncated }: QueryAnswer): QueryAnswer => ({
  ...{ columns, truncated },
  rows: rows.map((row) =>
    row.map((value, at) => {
      const { name = '' } = columns[at] ?? {};
      return CAST.test(name) || name === 'IDLE' ? Number(value) : value;
    }),
  ),
});

if (missing !== undefined) {
  process.stderr.write(`SKIPPED: the warehouse Snowflake, ${missing}\n`);
  describe('warehouse snowflake', () => {
    test.skip(`Snowflake, ${missing}`, () => undefined);
  });
} else {
  let server: TestSnowflake;
  beforeAll(async () => {
    server = await startFakesnow();
  }, 60_000);
  afterAll(() => server.stop());

  const open = async (folder: string): Promise<Warehouse> => {
    const warehouse = await openSnowflake(server.url, folder);
    return { ...warehouse, query: async (sql, rowsMax) => asAsked(await warehouse.query(sql, rowsMax)) };
  };
  const fixture: WarehouseFixture = { open, normalJson: true };
  warehouseSuite('snowflake', fixture);
  // Each of its loads is some thirty round trips.
  warehouseLaws('snowflake', fixture, { runs: 2 });
}
