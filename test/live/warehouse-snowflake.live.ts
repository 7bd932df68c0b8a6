/**
 * The suite of warehouses on the real Snowflake: SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_PRIVATE_KEY_FILE (with
 * SNOWFLAKE_PRIVATE_KEY_PASSPHRASE where it has one), SNOWFLAKE_WAREHOUSE, and SNOWFLAKE_ROLE, which may make databases. Those begin with
 * HWLIVE_ and are dropped at the end. It was never run: nobody had an account.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { openClient } from '../../warehouses/snowflake/client.ts';
import { snowflake } from '../../warehouses/snowflake/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { warehouseLaws } from '../contract/warehouse-laws-suite.ts';
import { warehouseSuite } from '../contract/warehouse-suite.ts';
import { answeringNumbers, snowflakeSql } from '../support/snowflake-words.ts';

const named = (name: string): string => {
  const value = process.env[name];
  if (value === undefined)
    throw new Error(`set ${name}; test/live/warehouse-snowflake.live.ts names all of them`);
  return value;
};
const passphrase = process.env['SNOWFLAKE_PRIVATE_KEY_PASSPHRASE'];
const role = process.env['SNOWFLAKE_ROLE'];
const account = {
  ...{ kind: 'snowflake', account: named('SNOWFLAKE_ACCOUNT'), user: named('SNOWFLAKE_USER') },
  ...{
    warehouse: named('SNOWFLAKE_WAREHOUSE'),
    privateKey: readFileSync(named('SNOWFLAKE_PRIVATE_KEY_FILE'), 'utf8'),
  },
  ...(passphrase === undefined ? {} : { privateKeyPassphrase: passphrase }),
  ...(role === undefined ? {} : { role }),
};
const context = (folder: string) => ({
  ...{ now: Date.now, log: () => undefined, tempDirectory: join(folder, 'spill') },
  ...{ memoryMbMax: 400, threads: 2 },
});
const run = `HWLIVE_${randomBytes(4).toString('hex').toUpperCase()}`;
const made: string[] = [];

async function administer(sql: string): Promise<void> {
  const client = await openClient(
    snowflake.config.parse({ ...account, database: 'SNOWFLAKE' }),
    context(tmpdir()),
  );
  try {
    await client.use('preparing a live test', (session) => session.run(sql));
  } finally {
    await client.close();
  }
}

async function open(folder: string): Promise<Warehouse> {
  const database = `${run}_${made.length}`;
  made.push(database);
  await administer(`CREATE TRANSIENT DATABASE ${database}`);
  return answeringNumbers(
    await snowflake.connect(snowflake.config.parse({ ...account, database }), context(folder)),
  );
}

afterAll(async () => {
  for (const database of made) await administer(`DROP DATABASE IF EXISTS ${database}`);
});

const fixture = { open, sql: snowflakeSql, normalJson: true as const };
warehouseSuite('snowflake', fixture);
warehouseLaws('snowflake', fixture, { runs: 1 });
