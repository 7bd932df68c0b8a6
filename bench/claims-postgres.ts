/** The claims store in Postgres, by the same load as the embedded one; server and client share the machine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { openPostgresClaims } from '../stores/claims/postgres.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { measureClaims, type ClaimsUnderTest } from './claims.ts';
import type { Figure } from './figures.ts';
import type { BenchOptions } from './options.ts';

const RATE_MIN = 15_000;
const SCHEMA = 'headwater';
/** As a small server of its own would have it. */
const FLAGS = ['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB'];

const POSTGRES: ClaimsUnderTest = {
  name: 'claims in Postgres',
  rateMin: RATE_MIN,
  async open(options) {
    const server = await startPostgres(FLAGS);
    const folder = await mkdtemp(join(tmpdir(), 'headwater-claims-'));
    const at = { url: server.url, schema: SCHEMA, headPath: join(folder, 'claims-postgres.head') };
    return {
      claims: await openPostgresClaims({ ...at, ...options }),
      async bytes() {
        const client = new Client(server.url);
        await client.connect();
        const { rows } = await client.query<{ bytes: string }>(
          `SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
           WHERE relnamespace = '${SCHEMA}'::regnamespace AND relkind = 'r'`,
        );
        await client.end();
        return Number(rows[0]?.bytes);
      },
      async remove() {
        await server.stop();
        await rm(folder, { recursive: true });
      },
    };
  },
};

export async function claimsInPostgres(options: BenchOptions): Promise<Figure[]> {
  return await measureClaims(POSTGRES, options);
}
