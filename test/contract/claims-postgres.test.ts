import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { openPostgresClaims } from '../../stores/claims/postgres.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { masterKey, options, type ClaimsFactory } from './claims-fixture.ts';
import { claimsSuites } from './claims-suite.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  // Nothing here is about power losses.
  postgres = await startPostgres(['-c', 'fsync=off']);
}, 60_000);
afterAll(async () => {
  await postgres.stop();
});

const factory: ClaimsFactory = {
  name: 'postgres',
  create: async () => {
    const root = await mkdtemp(join(tmpdir(), 'claims-'));
    const at = {
      url: postgres.url,
      schema: postgres.newSchema(),
      headPath: join(root, 'claims-postgres.head'),
    };
    return {
      open: async (more = {}) => await openPostgresClaims({ ...at, masterKey, ...options(more) }),
      destroy: async () => await rm(root, { recursive: true }),
    };
  },
};

claimsSuites(factory);
