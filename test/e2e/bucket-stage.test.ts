/** The stage in a bucket: a worker dies between staging and loading, the next one has no file of it on its disk and goes on. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { s3Bucket } from '../../buckets/s3.ts';
import { s3Missing, startS3, type BucketServer } from '../support/bucket-server.ts';
import { headwater } from '../support/headwater.ts';
import { lineOf, logsOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const CONTACTS = 500;
const TEST_MS_MAX = 120_000;
const KEYS = { HEADWATER_TEST_S3_KEY: 'stage-key', HEADWATER_TEST_S3_SECRET: 'stage-secret-Zx81' };
const missing = await s3Missing();
if (missing !== undefined) console.warn(`SKIPPED: a run with its stage in S3, ${missing}`);

const suite = typeof missing === 'string' ? describe.skip : describe;
suite('the stage in S3', () => {
  let temporal: TestTemporal;
  let server: BucketServer;
  let pipeline: Pipeline;

  beforeAll(async () => {
    [temporal, server] = await Promise.all([withTemporal(), startS3()]);
    pipeline = await openPipeline(temporal, {
      sandbox: { objects: { Contact: CONTACTS } },
      more: {
        stage: {
          ...{
            kind: 's3',
            bucket: server.bucket,
            prefix: 'acme',
            endpoint: server.url,
            forcePathStyle: true,
          },
          accessKeyId: { $secret: { env: 'HEADWATER_TEST_S3_KEY' } },
          secretAccessKey: { $secret: { env: 'HEADWATER_TEST_S3_SECRET' } },
          freeMin: '10MB',
        },
      },
      env: KEYS,
      syncMsMax: TEST_MS_MAX,
    });
  }, TEST_MS_MAX);

  afterAll(async () => {
    await pipeline.close();
    await temporal.stop();
    await server.stop();
  });

  test(
    'I2: a worker on another disk lands what the dead one had staged, without reading it again',
    async () => {
      const killed = await pipeline.start({ HEADWATER_FAILPOINT: 'shape:done' });
      pipeline.pass();
      const run = await pipeline.begin();
      expect(await killed.ended).toBe('SIGKILL');
      rmSync(join(pipeline.home, 'stage'), { recursive: true });
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

  test(
    '`check` and `doctor` know the bucket, and I5: its keys are nowhere',
    async () => {
      const objects: string[] = [];
      const login = { accessKeyId: 'a', secretAccessKey: 'b' };
      const bucket = s3Bucket({
        ...{ kind: 's3', bucket: server.bucket, endpoint: server.url, region: 'us-east-1' },
        ...{ forcePathStyle: true, login },
      });
      for await (const { key } of bucket.list('')) objects.push(key);
      expect(objects.length).toBeGreaterThan(2);
      expect(objects.filter((key) => !/^acme\/(?:windows\/w_|stage-id$)/.test(key))).toEqual([]);
      const checked = await headwater(pipeline, 'npx headwater check');
      expect(checked.stdout).toContain('s3://stage/acme/ can be written, read, listed and cleaned');
      const doctor = await headwater(pipeline, 'npx headwater doctor');
      expect(doctor.stdout).toMatch(/stage +is the one that the ledger knows/);
      for (const text of [logsOf(pipeline.home), checked.stdout, doctor.stdout])
        expect(text).not.toContain('Zx81');
    },
    TEST_MS_MAX,
  );
});
