import { z } from 'zod';
import { HeadwaterError } from '../rules/errors.ts';
import { durationSchema, sizeSchema } from './quantities.ts';
import type { Config } from './schema.ts';
import { isRecord, isSecretReference, resolveSecrets, type SecretReference } from './secrets.ts';

const DAY_MS = 86_400_000;

// I5: what is no reference may be the key itself, and a mistake must not repeat it.
const secret = z.custom<SecretReference>(
  isSecretReference,
  "is no secret. Write env('NAME') or file('path').",
);

const shared = {
  /** The folder itself, or where files of a bucket are on their way. */
  path: z.string().min(1).default('stage'),
  /** Landed windows are kept this long, or until `bytesMax` is reached. */
  keep: durationSchema().default(7 * DAY_MS),
  bytesMax: sizeSchema().default(10e9),
  /** With less than this free on the disk, extraction waits. */
  freeMin: sizeSchema().default(1e9),
};

const bucketName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/, 'is no name of a bucket. Write it without s3:// or gs://.');

const bucket = {
  ...shared,
  bucket: bucketName,
  /** Several installations may share a bucket, each with a prefix of its own. */
  prefix: z
    .string()
    .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/?)*$/, 'is no prefix of keys. Write names with / between them.')
    .default('')
    .transform((text) => (text === '' || text.endsWith('/') ? text : `${text}/`)),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
};

/** Files between the steps: a folder for one machine, a bucket for several. */
export const stageSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('disk').default('disk'), ...shared }),
    z.strictObject({
      kind: z.literal('s3'),
      ...bucket,
      region: z.string().min(1).default('us-east-1'),
      /** `endpoint/bucket/key` instead of `bucket.endpoint/key`: MinIO and others want it. */
      forcePathStyle: z.boolean().default(false),
      accessKeyId: secret.optional(),
      secretAccessKey: secret.optional(),
      sessionToken: secret.optional(),
    }),
    z.strictObject({
      kind: z.literal('gcs'),
      ...bucket,
      /** The key file of a service account, as JSON. */
      key: secret.optional(),
      /** No login at all: an emulator. */
      anonymous: z.boolean().default(false),
    }),
  ])
  .transform(({ keep, freeMin, ...rest }) => ({ ...rest, keepMs: keep, freeBytesMin: freeMin }));

/** Two keys go together. */
export function stageMistakes({ stage }: Pick<Config, 'stage'>): { path: string[]; message: string }[] {
  if (stage.kind !== 's3' || (stage.accessKeyId === undefined) === (stage.secretAccessKey === undefined))
    return [];
  const missing = stage.accessKeyId === undefined ? 'accessKeyId' : 'secretAccessKey';
  return [
    {
      path: ['stage', missing],
      message: 'is missing. Write both keys, or none for the login of the machine.',
    },
  ];
}

type StageConfig = Config['stage'];

interface S3Stage {
  kind: 's3';
  path: string;
  prefix: string;
  bucket: string;
  region: string;
  endpoint: string | undefined;
  forcePathStyle: boolean;
  login: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
}

interface GcsStage {
  kind: 'gcs';
  path: string;
  prefix: string;
  bucket: string;
  endpoint: string | undefined;
  key: Record<string, unknown> | undefined;
  anonymous: boolean;
}

/** With logins in place of their references: for whoever is about to connect, never stored or logged (I5). */
export type StageAddress = { kind: 'disk'; path: string } | S3Stage | GcsStage;

export function stagePlace(
  { stage }: Pick<Config, 'stage'>,
  environment: NodeJS.ProcessEnv = process.env,
): StageAddress {
  const { path } = stage;
  if (stage.kind === 'disk') return { kind: 'disk', path };
  const { bucket: name, prefix, endpoint } = stage;
  const at = { path, prefix, bucket: name, endpoint };
  if (stage.kind === 's3') {
    const { region, forcePathStyle } = stage;
    return { kind: 's3', ...at, region, forcePathStyle, login: s3Login(stage, environment) };
  }
  return { kind: 'gcs', ...at, anonymous: stage.anonymous, key: gcsKey(stage, environment) };
}

function s3Login(
  stage: Extract<StageConfig, { kind: 's3' }>,
  environment: NodeJS.ProcessEnv,
): S3Stage['login'] {
  const { accessKeyId, secretAccessKey, sessionToken } = stage;
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  const read = (reference: SecretReference, key: string) =>
    String(resolveSecrets(reference, `stage.${key}`, environment));
  return {
    accessKeyId: read(accessKeyId, 'accessKeyId'),
    secretAccessKey: read(secretAccessKey, 'secretAccessKey'),
    ...(sessionToken === undefined ? {} : { sessionToken: read(sessionToken, 'sessionToken') }),
  };
}

function gcsKey(
  stage: Extract<StageConfig, { kind: 'gcs' }>,
  environment: NodeJS.ProcessEnv,
): GcsStage['key'] {
  if (stage.key === undefined) return undefined;
  const text = String(resolveSecrets(stage.key, 'stage.key', environment));
  try {
    const key: unknown = JSON.parse(text);
    if (isRecord(key)) return key;
  } catch {
    // I5: a parser's message quotes what it read.
  }
  throw new HeadwaterError(
    'CONFIG_INVALID',
    'stage.key: the value of this secret is no JSON of a service account',
  );
}

/** For people: nothing of the logins. */
export function stageWords({ stage }: Pick<Config, 'stage'>): string {
  if (stage.kind === 'disk') return stage.path;
  return `${stage.kind === 's3' ? 's3' : 'gs'}://${stage.bucket}/${stage.prefix}`;
}
