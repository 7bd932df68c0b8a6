/** The suite of warehouses on a Postgres of yours. Its databases begin with hwlive_ and are dropped at the end. */
import { randomBytes } from 'node:crypto';
import { afterAll } from '@jest/globals';
import { warehouseLaws } from '../contract/warehouse-laws-suite.ts';
import { warehouseSuite } from '../contract/warehouse-suite.ts';
import { administer, emptyWarehouses } from '../support/postgres-warehouse.ts';
import { needed } from './variables.ts';

const server = { url: needed('POSTGRES_URL') };
const prefix = `hwlive_${randomBytes(4).toString('hex')}_`;

afterAll(async () => {
  const made = await administer(
    server.url,
    `SELECT datname AS name FROM pg_database WHERE starts_with(datname, '${prefix}')`,
  );
  for (const { name } of made) await administer(server.url, `DROP DATABASE "${String(name)}"`);
});

const fixture = { open: emptyWarehouses(() => server, {}, prefix) };
warehouseSuite('postgres', fixture);
warehouseLaws('postgres', fixture, { runs: 5 });
