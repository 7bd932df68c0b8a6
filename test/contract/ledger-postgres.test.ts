import { afterAll, beforeAll } from '@jest/globals';
import { openPostgresLedger } from '../../stores/ledger/postgres.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { ledgerFactsSuite } from './ledger-facts-suite.ts';
import { ledgerPruneSuite } from './ledger-prune-suite.ts';
import { ledgerSuite, type LedgerFactory } from './ledger-suite.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  // Nothing here is about power losses.
  postgres = await startPostgres(['-c', 'fsync=off']);
}, 60_000);
afterAll(async () => {
  await postgres.stop();
});

const factory: LedgerFactory = {
  name: 'postgres',
  create: () => {
    const schema = postgres.newSchema();
    return Promise.resolve({
      open: async () => await openPostgresLedger({ url: postgres.url, schema }),
      destroy: () => Promise.resolve(),
    });
  },
};

ledgerSuite(factory);
ledgerFactsSuite(factory);
ledgerPruneSuite(factory);
