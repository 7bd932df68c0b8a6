import { join } from 'node:path';
import { duckdb } from '../../warehouses/duckdb/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

export function openDuckdb(folder: string): Promise<Warehouse> {
  const config = duckdb.config.parse({
    kind: 'duckdb',
    path: join(folder, 'warehouse.duckdb'),
    lockWaitMsMax: 0,
  });
  const context = {
    now: Date.now,
    log: () => undefined,
    tempDirectory: join(folder, 'spill'),
    memoryMbMax: 400,
    threads: 2,
  };
  return duckdb.connect(config, context);
}

warehouseSuite('duckdb', { open: openDuckdb });
warehouseLaws('duckdb', { open: openDuckdb });
