import { openLoadBucket as open } from '../load-bucket.ts';
import type { LoadBucket } from '../load-bucket.ts';
import { awsLogin } from './config.ts';
import type { RedshiftConfig } from './config.ts';

/** The one that COPY reads. */
export function openLoadBucket(config: RedshiftConfig): Promise<LoadBucket> {
  const { bucket, region, endpoint, prefix } = config;
  const forcePathStyle = endpoint !== undefined;
  const login = awsLogin(config).credentials;
  return open(
    { kind: 's3', bucket, region, endpoint, forcePathStyle, login },
    prefix,
    '`npx headwater check` prints the policy that the worker needs; see docs/warehouses/redshift.md.',
  );
}
