import { describe } from '@jest/globals';
import { s3Bucket } from '../../buckets/s3.ts';
import { s3Missing, startS3 } from '../support/bucket-server.ts';
import { stageBucketSuite } from './stage-bucket-suite.ts';

const missing = await s3Missing();
if (missing !== undefined) console.warn(`SKIPPED: the stage in S3, ${missing}`);

const suite = typeof missing === 'string' ? describe.skip : describe;
suite('with an S3', () => {
  stageBucketSuite({
    name: 's3',
    start: startS3,
    connect: (endpoint, bucket, options) =>
      s3Bucket(
        {
          ...{ kind: 's3', bucket, endpoint, region: 'us-east-1', forcePathStyle: true },
          login: { accessKeyId: 'test', secretAccessKey: 'test' },
        },
        options,
      ),
    comparesSums: false,
    writes: ({ method, path }) => method === 'PUT' && path.includes('/windows/'),
    reads: ({ method, path }) => method === 'GET' && path.includes('/windows/'),
  });
});
