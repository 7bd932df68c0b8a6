import { describe } from '@jest/globals';
import { gcsBucket } from '../../buckets/gcs.ts';
import { gcsMissing, startGcs } from '../support/bucket-server.ts';
import { stageBucketSuite } from './stage-bucket-suite.ts';

const missing = await gcsMissing();
if (missing !== undefined) console.warn(`SKIPPED: the stage in Cloud Storage, ${missing}`);

const suite = typeof missing === 'string' ? describe.skip : describe;
suite('with a Cloud Storage', () => {
  stageBucketSuite({
    name: 'gcs',
    start: startGcs,
    connect: (endpoint, bucket, options) =>
      gcsBucket({ kind: 'gcs', bucket, endpoint, anonymous: true }, options),
    comparesSums: true,
    writes: ({ method, path }) => method === 'POST' && path.startsWith('/upload/'),
    reads: ({ method, path }) =>
      method === 'GET' && path.includes('alt=media') && path.includes('windows%2F'),
  });
});
