import { afterAll, beforeAll } from '@jest/globals';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { newDatabase, openPostgres } from '../support/postgres-warehouse.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres(['-c', 'fsync=off', '-c', 'full_page_writes=off']);
}, 60_000);
afterAll(() => server.stop());

const open = async (folder: string) => openPostgres(await newDatabase(server), folder);

warehouseSuite('postgres', { open });
warehouseLaws('postgres', { open });
