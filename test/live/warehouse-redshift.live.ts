/**
 * The suite of warehouses on a real Redshift. Its databases begin with hwlive_ and are dropped at the end; files in the bucket, below
 * hwlive/, go with each load. It was never run: nobody had an account.
 */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { openClient } from '../../warehouses/redshift/client.ts';
import { redshift } from '../../warehouses/redshift/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { warehouseLaws } from '../contract/warehouse-laws-suite.ts';
import { warehouseSuite } from '../contract/warehouse-suite.ts';
import { needed, variable } from './variables.ts';

const host = variable('REDSHIFT_HOST');
const login =
  host === undefined
    ? {
        dataApi: {
          workgroup: variable('REDSHIFT_WORKGROUP'),
          clusterIdentifier: variable('REDSHIFT_CLUSTER'),
          dbUser: variable('REDSHIFT_DB_USER'),
          secretArn: variable('REDSHIFT_SECRET_ARN'),
        },
      }
    : { host, user: needed('REDSHIFT_USER'), password: needed('REDSHIFT_PASSWORD') };
const configOf = (database: string) =>
  redshift.config.parse({
    ...{ kind: 'redshift', ...login, database, iamRole: variable('REDSHIFT_IAM_ROLE') ?? 'default' },
    ...{ bucket: needed('REDSHIFT_BUCKET'), region: needed('REDSHIFT_REGION'), prefix: 'hwlive/' },
    endpoint: variable('REDSHIFT_S3_ENDPOINT'),
  });
const contextOf = (folder: string) => ({
  ...{ now: Date.now, log: () => undefined, tempDirectory: join(folder, 'spill') },
  ...{ memoryMbMax: 400, threads: 2 },
});
const run = `hwlive_${randomBytes(4).toString('hex')}`;
const made: string[] = [];
const free: string[] = [];

async function administer(database: string, ...sql: string[]): Promise<void> {
  const client = await openClient(configOf(database), contextOf(tmpdir()));
  try {
    await client.alone('preparing a live test', sql);
  } finally {
    await client.close();
  }
}

/** One that is closed is emptied and used again. */
async function open(folder: string): Promise<Warehouse> {
  const used = free.pop();
  const database = used ?? `${run}_${made.length}`;
  if (used === undefined) {
    made.push(database);
    await administer(needed('REDSHIFT_DATABASE'), `CREATE DATABASE ${database} ISOLATION LEVEL SNAPSHOT`);
  } else {
    const schemas = ['crm', 'law', 'golden', '_headwater'];
    await administer(database, ...schemas.map((schema) => `DROP SCHEMA IF EXISTS ${schema} CASCADE`));
  }
  const warehouse = await redshift.connect(configOf(database), contextOf(folder));
  return {
    ...warehouse,
    close: async () => {
      await warehouse.close();
      free.push(database);
    },
  };
}

afterAll(async () => {
  for (const database of made) await administer(needed('REDSHIFT_DATABASE'), `DROP DATABASE ${database}`);
});

/** A reserved word, and a literal that it has not got. */
const sql = (statement: string): string =>
  statement
    .replaceAll(/\braw\b/g, '"raw"')
    .replaceAll(/\bTIMESTAMPTZ '([^']*)T([^']*)Z'/g, "CAST('$1 $2+00' AS timestamptz)");

const fixture = { open, sql, normalJson: true as const };
warehouseSuite('redshift', fixture);
warehouseLaws('redshift', fixture, { runs: 1 });
