/**
 * An external stage of Snowflake: the worker writes into the bucket, COPY reads it. The emulator's launcher reads the bucket in the
 * server's place, at the address that the stage has; integrations and their rights are Snowflake's alone, and not shown here.
 */
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openBucket } from '../../buckets/open.ts';
import type { BucketPlace } from '../../buckets/place.ts';
import { openClient } from '../../warehouses/snowflake/client.ts';
import { snowflake } from '../../warehouses/snowflake/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { gcsMissing, s3Missing, startGcs, startS3, type BucketServer } from '../support/bucket-server.ts';
import { fakesnowMissing, openSnowflake, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import { startWire, type SnowflakeWire } from '../support/snowflake-wire.ts';
import { openBench, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, none, row, signal, tally } from './warehouse-harness.ts';

const missing = (await fakesnowMissing()) ?? (await s3Missing()) ?? (await gcsMissing());
if (missing !== undefined) process.stderr.write(`SKIPPED: external stages of Snowflake, ${missing}\n`);

(missing !== undefined ? describe.skip : describe).each(['s3', 'gcs'] as const)('a stage in %s', (kind) => {
  let store: BucketServer;
  let server: TestSnowflake;
  let wire: SnowflakeWire;
  let bench: Bench;
  const database = `BUCKETS_${kind.toUpperCase()}`;
  const name = `${database}.LANDING.LOADS`;
  beforeAll(async () => {
    [store, bench] = await Promise.all([kind === 's3' ? startS3() : startGcs(), openBench()]);
    server = await startFakesnow({ [kind]: store.url });
    wire = await startWire(server.url);
    const config = snowflake.config.parse({
      ...{ kind: 'snowflake', account: 'fakesnow', user: 'u', password: 'any', accessUrl: server.url },
      database,
    });
    const context = { now: Date.now, log: () => undefined, memoryMbMax: 100, threads: 1 };
    const client = await openClient(config, { ...context, tempDirectory: tmpdir() });
    await client.use('making the stage', async (session) => {
      await session.run('CREATE SCHEMA LANDING');
      const url = `${kind}://${store.bucket}/in/`;
      await session.run(`CREATE STAGE ${name} URL = '${url}' STORAGE_INTEGRATION = HEADWATER`);
    });
    await client.close();
  }, 60_000);
  afterAll(async () => {
    await wire.stop();
    await server.stop();
    await store.stop();
    await bench.close();
  });

  const keys = kind === 's3' ? { accessKeyId: 'any', secretAccessKey: 'any' } : {};
  const open = (more: Record<string, unknown> = {}): Promise<Warehouse> =>
    openSnowflake(wire.url, bench.folder, {
      database,
      externalStage: { name, url: `${kind}://${store.bucket}/in/`, endpoint: store.url, ...keys, ...more },
    });
  async function objects(): Promise<string[]> {
    const { url: endpoint, bucket } = store;
    const login = { accessKeyId: 'any', secretAccessKey: 'any' };
    const place: BucketPlace =
      kind === 's3'
        ? { kind, bucket, endpoint, region: 'us-east-1', forcePathStyle: true, login }
        : { kind, bucket, endpoint, anonymous: true };
    const opened = await openBucket(place);
    const found: string[] = [];
    for await (const { key } of opened.list('')) found.push(key);
    opened.close();
    return found;
  }

  test('rows go through the bucket: none is sent to the server itself, and none stays there', async () => {
    const warehouse = await open();
    await warehouse.migrate('crm', NAME, EVOLVE);
    wire.statements.length = 0;
    let during: string[] = [];
    wire.gate = async (sql, side) => {
      if (side === 'request' && sql.startsWith('COPY INTO')) during = await objects();
    };
    const csv = [row('1', 1, 'a'), row('2', 1, 'ü')];
    const request = await bench.batch(NAME, { csv }, { window: windowOf('w1'), id: 'b1' });
    expect(tally(await warehouse.load(request, signal))).toEqual({ ...none, inserted: 2 });
    wire.gate = () => Promise.resolve();
    expect(during).toEqual([expect.stringMatching(/^in\/headwater\/[0-9a-f-]{36}\/rows\.parquet$/)]);
    expect(await warehouse.verify(request)).toEqual({ present: 2, missing: 0 });
    const { rows } = await warehouse.query('SELECT id, name FROM crm.contact ORDER BY id', 9);
    expect(rows).toEqual([
      ['1', 'a'],
      ['2', 'ü'],
    ]);
    const sent = wire.statements.map(({ sql }) => sql);
    expect(sent.filter((sql) => /^PUT|CREATE TEMPORARY STAGE/.test(sql))).toEqual([]);
    expect(sent.find((sql) => sql.startsWith('COPY'))).toMatch(
      new RegExp(`FROM @${name}/headwater/[0-9a-f-]{36}/ .*PURGE = FALSE$`),
    );
    expect(await objects()).toEqual([]);
    expect((await warehouse.check()).map(({ check, ok }) => [check, ok])).toEqual([
      ['snowflake', true],
      ['schemas', true],
      ['tables', true],
      ['stage', true],
      ['staging', true],
    ]);
    await warehouse.close();
  }, 30_000);

  test('I2: a copy that fails leaves nothing in the bucket, and the batch lands later', async () => {
    const warehouse = await open();
    const csv = [row('7', 1, 'later')];
    const request = await bench.batch(NAME, { csv }, { window: windowOf('w7'), id: 'b7' });
    wire.reply = (sql) =>
      sql.startsWith('COPY INTO')
        ? { error: { code: '000603', state: 'XX000', message: 'internal' } }
        : 'forward';
    expect(await code(warehouse.load(request, signal))).toBe('WAREHOUSE_UNAVAILABLE');
    wire.reply = () => 'forward';
    expect(await objects()).toEqual([]);
    expect(tally(await warehouse.load(request, signal))).toEqual({ ...none, inserted: 1 });
    await warehouse.close();
  }, 30_000);

  test('check tells a stage that is somewhere else or not there, and a bucket that takes nothing', async () => {
    const told = async (more: Record<string, unknown>) => {
      const warehouse = await open(more);
      const failed = (await warehouse.check()).filter(({ ok }) => !ok);
      await warehouse.close();
      return failed;
    };
    const other = `${kind}://${store.bucket}/elsewhere/`;
    expect(await told({ url: other })).toEqual([
      {
        ...{ check: 'stage', ok: false, remedy: `ALTER STAGE ${name} SET URL = '${other}';` },
        detail: `${name} reads ${kind}://${store.bucket}/in/, and not ${other}`,
      },
    ]);
    const [absent] = await told({ name: `${database}.LANDING.NOBODY` });
    expect(absent?.detail).toContain('does not exist or not authorized');
    expect(absent?.remedy).toMatch(
      new RegExp(
        `^CREATE STORAGE INTEGRATION .*STORAGE_PROVIDER = '${kind.toUpperCase()}'.*\nCREATE STAGE .*\nGRANT USAGE ON STAGE `,
      ),
    );
    const endpoint = 'http://127.0.0.1:9';
    const [away] = await told({ endpoint });
    expect(away).toMatchObject({ check: 'staging', detail: expect.stringContaining(store.bucket) });
  }, 60_000);
});
