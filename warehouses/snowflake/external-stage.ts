import { HeadwaterError } from '../../rules/errors.ts';
import { openLoadBucket } from '../load-bucket.ts';
import type { LoadBucket } from '../load-bucket.ts';
import { textOf } from '../audit-rows.ts';
import type { Session } from './client.ts';
import type { ExternalStage } from './config.ts';

/** Below the root of any stage: files on their way, each in a folder of its own. */
export const STAGE_FOLDER = 'headwater/';

const REMEDY =
  'The worker itself writes into the bucket of warehouse.externalStage: its login must create, list and delete objects there; see docs/warehouses/snowflake.md.';

const partsOf = (url: string): { service: string; bucket: string; path: string } => {
  const [service = '', , bucket = '', ...path] = url.split('/');
  return { service, bucket, path: path.join('/') };
};

/** The bucket behind an external stage, for the worker: the server reads it by an integration of its own. */
export function openStageBucket(stage: ExternalStage): Promise<LoadBucket> {
  const { region, accessKeyId, secretAccessKey, sessionToken, endpoint } = stage;
  const { service, bucket, path } = partsOf(stage.url);
  const prefix = `${path}${STAGE_FOLDER}`;
  if (service === 'gcs:') {
    const anonymous = endpoint?.startsWith('http:') === true;
    return openLoadBucket({ kind: 'gcs', bucket, endpoint, anonymous, key: keyOf(stage) }, prefix, REMEDY);
  }
  const token = sessionToken === undefined ? {} : { sessionToken };
  const login =
    accessKeyId === undefined || secretAccessKey === undefined
      ? undefined
      : { accessKeyId, secretAccessKey, ...token };
  const forcePathStyle = endpoint !== undefined;
  return openLoadBucket({ kind: 's3', bucket, region, endpoint, forcePathStyle, login }, prefix, REMEDY);
}

function keyOf({ key }: ExternalStage): Record<string, unknown> | undefined {
  if (key === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(key);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return { ...parsed };
  } catch {
    // I5: a parser's message quotes what it read.
  }
  const message = 'warehouse.externalStage.key: the value of this secret is no JSON of a service account';
  throw new HeadwaterError('CONFIG_INVALID', message);
}

/** "DESCRIBE STAGE": its addresses, as a JSON list. Undefined where it is no external one. */
export async function urlOfStage(session: Session, name: string): Promise<string | undefined> {
  const rows = await session.rows(`DESC STAGE ${name}`);
  const url = rows.find((row) => row['property'] === 'URL')?.['property_value'];
  return /^\["(.+)"\]$/.exec(textOf(url))?.[1];
}

const withSlash = (url: string): string => (url.endsWith('/') ? url : `${url}/`);

export const isSamePlace = (found: string | undefined, { url }: ExternalStage): boolean =>
  found !== undefined && withSlash(found) === url;

/** Statements of an administrator that make the stage. */
export function makeStageSql({ name, url }: ExternalStage, role: string): string {
  const service =
    partsOf(url).service === 'gcs:'
      ? "STORAGE_PROVIDER = 'GCS'"
      : "STORAGE_PROVIDER = 'S3' STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::<account>:role/<role>'";
  return [
    `CREATE STORAGE INTEGRATION HEADWATER TYPE = EXTERNAL_STAGE ENABLED = TRUE ${service} STORAGE_ALLOWED_LOCATIONS = ('${url}');`,
    `CREATE STAGE ${name} URL = '${url}' STORAGE_INTEGRATION = HEADWATER;`,
    `GRANT USAGE ON STAGE ${name} TO ROLE ${role};`,
  ].join('\n');
}
