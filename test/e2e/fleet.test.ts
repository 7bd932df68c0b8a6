/** Workers of several machines: one that has another stage refuses; a folder moves into a bucket, and what was in it lands. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { s3Bucket } from '../../buckets/s3.ts';
import { fileUpload } from '../../buckets/upload.ts';
import { s3Missing, startS3, type BucketServer } from '../support/bucket-server.ts';
import { headwater } from '../support/headwater.ts';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { startWorker } from '../support/worker-process.ts';

const CONTACTS = 300;
const TEST_MS_MAX = 120_000;
const KEYS = { HEADWATER_TEST_S3_KEY: 'stage-key', HEADWATER_TEST_S3_SECRET: 'stage-secret' };
const missing = await s3Missing();
if (missing !== undefined) console.warn(`SKIPPED: a fleet with its stage in S3, ${missing}`);

const suite = typeof missing === 'string' ? describe.skip : describe;
suite('a fleet', () => {
  let temporal: TestTemporal;
  let postgres: TestPostgres;
  let server: BucketServer;
  let pipeline: Pipeline;

  beforeAll(async () => {
    [temporal, postgres, server] = await Promise.all([withTemporal(), startPostgres(), startS3()]);
    pipeline = await openPipeline(temporal, {
      sandbox: { objects: { Contact: CONTACTS } },
      connection: { objects: ['Contact'] },
      more: {
        ledger: { kind: 'postgres', url: { $secret: { env: 'HEADWATER_TEST_LEDGER' } } },
        stage: { freeMin: '10MB' },
      },
      env: { ...KEYS, HEADWATER_TEST_LEDGER: postgres.url },
      syncMsMax: TEST_MS_MAX,
    });
  }, TEST_MS_MAX);

  afterAll(async () => {
    await pipeline.close();
    await temporal.stop();
    await server.stop();
    await postgres.stop();
  });

  test(
    'a worker of another machine with a folder of its own refuses and names the remedy; check says so before',
    async () => {
      await pipeline.start();
      const other = mkdtempSync(join(tmpdir(), 'headwater-other-'));
      const second = startWorker(pipeline.loaded.path, { ...pipeline.env, HEADWATER_HOME: other });
      await expect(second).rejects.toThrow(/STAGE_FOREIGN the ledger knows the stage .* → .*stage/);
      rmSync(other, { recursive: true });
      const { stdout } = await headwater(pipeline, 'npx headwater check');
      expect(stdout).toContain('a folder: workers of other machines are refused with STAGE_FOREIGN');
    },
    TEST_MS_MAX,
  );

  test(
    'I2: a folder that is copied into a bucket goes on there: its id is known, and what was staged lands unread',
    async () => {
      const killed = await pipeline.start({ HEADWATER_FAILPOINT: 'shape:done' });
      pipeline.pass();
      const run = await pipeline.begin();
      expect(await killed.ended).toBe('SIGKILL');
      await moveIntoBucket(join(pipeline.home, 'stage'), 'prod/');
      const place = {
        ...{ kind: 's3', bucket: server.bucket, prefix: 'prod', endpoint: server.url, forcePathStyle: true },
        accessKeyId: { $secret: { env: 'HEADWATER_TEST_S3_KEY' } },
        secretAccessKey: { $secret: { env: 'HEADWATER_TEST_S3_SECRET' } },
        freeMin: '10MB',
      };
      const config: object = JSON.parse(readFileSync(pipeline.loaded.path, 'utf8'));
      writeFileSync(pipeline.loaded.path, JSON.stringify({ ...config, stage: place }));
      const { stats } = pipeline.sandbox;
      const pages = () => stats.of('rest.queryMore') + stats.of('bulk.results');
      const read = pages();
      await pipeline.start();
      const end = await pipeline.ended(run);
      expect([end.outcome, end.message]).toEqual(['ok', '']);
      expect(lineOf(end)).toMatchObject({ state: 'landed', verdict: 'proven', rows: CONTACTS });
      expect(await pipeline.oracle('Contact')).toEqual([]);
      expect(pages()).toBe(read);
    },
    TEST_MS_MAX,
  );

  /** What docs/stage.md asks of the operator. */
  async function moveIntoBucket(folder: string, prefix: string): Promise<void> {
    const bucket = s3Bucket({
      ...{ kind: 's3', bucket: server.bucket, endpoint: server.url, region: 'us-east-1' },
      ...{ forcePathStyle: true, login: { accessKeyId: 'a', secretAccessKey: 'b' } },
    });
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const name = relative(folder, path).split(sep).join('/');
      if (entry.isFile() && !name.startsWith('tmp/'))
        await bucket.put(`${prefix}${name}`, await fileUpload(path));
    }
    rmSync(folder, { recursive: true });
  }
});
