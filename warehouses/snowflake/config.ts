import { z } from 'zod';

const name = z
  .string()
  .regex(/^[A-Za-z_][\w$]{0,254}$/, 'is no plain name. Write letters, digits, _ and $, as without quotes.');

/** A secret goes in the clear to this machine alone, where an emulator is. */
const ENCIPHERED = /^https:\/\/|^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?:[:/]|$)/;

const stageName = z
  .string()
  .regex(/^[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*){2}$/, 'is no stage. Write database.schema.stage.');

const externalStageSchema = z
  .strictObject({
    /** As database.schema.stage. */
    name: stageName,
    /** As the stage has it: s3://bucket/path/ or gcs://bucket/path/. Nothing else may lie below headwater/ there. */
    url: z
      .string()
      .regex(
        /^(?:s3|gcs):\/\/[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]\/(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*$/,
        'is no address of a stage. Write s3://bucket/path/ or gcs://bucket/path/, with / at its end.',
      ),
    /** Of S3. */
    region: z.string().min(1).default('us-east-1'),
    /** Of the worker that writes into the bucket, as secrets; absent: the login of the machine. */
    accessKeyId: z.string().min(1).optional(),
    secretAccessKey: z.string().min(1).optional(),
    sessionToken: z.string().min(1).optional(),
    /** Of Cloud Storage: the key file of a service account, as a secret; absent: the login of the machine. */
    key: z.string().min(1).optional(),
    /** Another address of the bucket's service, for the worker: a private one. */
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
  })
  .refine(
    ({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined),
    { message: 'goes with secretAccessKey. Write both, or none.', path: ['accessKeyId'] },
  );
export type ExternalStage = z.output<typeof externalStageSchema>;

/** One of them, as a secret. */
const CREDENTIALS = ['privateKey', 'token', 'accessToken', 'password'] as const;

export const snowflakeConfigSchema = z
  .strictObject({
    kind: z.literal('snowflake'),
    /** <organization>-<account>, as in the address of the console. */
    account: z.string().regex(/^[\w.-]{1,255}$/, 'is no account. Write <organization>-<account>.'),
    user: z.string().min(1),
    /** Key pair: the private key in PEM, as a secret. */
    privateKey: z.string().min(1).optional(),
    privateKeyPassphrase: z.string().min(1).optional(),
    /** OAuth: an access token of an outside identity provider, as a secret. */
    token: z.string().min(1).optional(),
    /** A programmatic access token, as a secret. */
    accessToken: z.string().min(1).optional(),
    /** For people and tests: Snowflake asks services for a key. */
    password: z.string().min(1).optional(),
    role: name.optional(),
    /** The compute that loads; Snowflake resumes and suspends it. */
    warehouse: name.optional(),
    database: name,
    /** Stands before the name of each connection's schema: 'HW_' makes HW_CRM of crm. */
    schemaPrefix: z
      .string()
      .regex(/^[A-Za-z_]\w{0,19}$|^$/, 'is no prefix. Write letters, digits and _, at most 20 characters.')
      .default(''),
    /** A named internal stage of your own, as database.schema.stage; absent: a temporary one per session. */
    stage: stageName.optional(),
    /** A stage of your own in a bucket of S3 or Cloud Storage, into which the worker writes. */
    externalStage: externalStageSchema.optional(),
    /** https://… of a private link; absent: made of the account. */
    accessUrl: z
      .url({ protocol: /^https?$/ })
      .refine((url) => ENCIPHERED.test(url), 'is not enciphered. Write https://….')
      .optional(),
    /** Sessions at most. */
    connectionsMax: z.number().int().min(2).max(50).default(4),
    /** A statement that runs longer is stopped, ms. */
    statementMsMax: z.number().int().min(1_000).max(86_400_000).default(900_000),
    /** How long a statement waits for another program's lock, ms. */
    lockWaitMsMax: z.number().int().min(1_000).max(3_600_000).default(60_000),
  })
  .refine((config) => CREDENTIALS.filter((key) => config[key] !== undefined).length === 1, {
    message: `names none of ${CREDENTIALS.join(', ')}, or several. Keep one, as a secret.`,
    path: ['privateKey'],
  })
  .refine((config) => config.stage === undefined || config.externalStage === undefined, {
    message: 'and `stage` exclude each other. Keep one.',
    path: ['externalStage'],
  });
export type SnowflakeConfig = z.output<typeof snowflakeConfigSchema>;
