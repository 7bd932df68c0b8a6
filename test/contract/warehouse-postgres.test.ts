import { afterAll, beforeAll } from '@jest/globals';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { emptyWarehouses } from '../support/postgres-warehouse.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres(['-c', 'fsync=off', '-c', 'full_page_writes=off']);
}, 60_000);
afterAll(() => server.stop());

const open = emptyWarehouses(() => server);

warehouseSuite('postgres', { open });
// Each of its loads is some twenty round trips.
warehouseLaws('postgres', { open }, { runs: 5 });
