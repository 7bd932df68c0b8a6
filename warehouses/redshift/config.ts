import { isAbsolute } from 'node:path';
import { z } from 'zod';

const ARN = /^(?:default|arn:aws[\w-]*:iam::\d{12}:role\/[\w+=,.@/-]+)$/;

const dataApiSchema = z
  .strictObject({
    /** Of a serverless database. */
    workgroup: z.string().min(1).optional(),
    clusterIdentifier: z.string().min(1).optional(),
    /** Of a cluster: the database user of temporary credentials; absent: the one of the worker's IAM identity. */
    dbUser: z.string().min(1).optional(),
    /** A secret of Secrets Manager with user and password, in place of temporary credentials. */
    secretArn: z.string().min(1).optional(),
    /** Another address of the Data API: a private one. */
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
  })
  .refine(
    ({ workgroup, clusterIdentifier }) => (workgroup === undefined) !== (clusterIdentifier === undefined),
    {
      message: 'is missing, or goes without clusterIdentifier. Write one of them.',
      path: ['workgroup'],
    },
  )
  .refine(
    ({ workgroup, secretArn, dbUser }) => dbUser === undefined || (workgroup ?? secretArn) === undefined,
    {
      message: 'goes with clusterIdentifier alone, without workgroup and secretArn.',
      path: ['dbUser'],
    },
  );

export const redshiftConfigSchema = z
  .strictObject({
    kind: z.literal('redshift'),
    /** The endpoint of the cluster or workgroup, without port and database; or dataApi. */
    host: z
      .string()
      .regex(/^[\w.:-]{1,255}$/, 'is no host. Write it without port and database.')
      .optional(),
    /** Where there is no network path to the server: requests to the Data API. */
    dataApi: dataApiSchema.optional(),
    port: z.number().int().min(1).max(65_535).default(5439),
    database: z.string().min(1),
    user: z.string().min(1).optional(),
    /** Of that user, as a secret. */
    password: z.string().min(1).optional(),
    /** A file that is read for each new connection, with what `aws redshift get-cluster-credentials` prints. */
    credentialsPath: z.string().refine(isAbsolute, 'is no absolute path.').optional(),
    /** TLS, with the server's certificate checked. Off only through a tunnel. */
    ssl: z.boolean().default(true),
    /** The role by which COPY reads the bucket: its ARN, or default. */
    iamRole: z.string().regex(ARN, "is no role. Write its ARN, or 'default'."),
    /** Rows go through this bucket, in the region of the database. */
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is no name of a bucket. Write it without s3://.'),
    /** Keys begin with it; nothing else may lie there. */
    prefix: z
      .string()
      .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)+$/, 'is no prefix. Write names, each with / behind it.')
      .default('headwater-redshift/'),
    region: z.string().min(1),
    /** Of the worker that writes into the bucket; absent: the login of the machine. */
    accessKeyId: z.string().min(1).optional(),
    secretAccessKey: z.string().min(1).optional(),
    sessionToken: z.string().min(1).optional(),
    /** Another address of S3, for the worker: a private one. */
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
    /** Stands before the name of each connection's schema: 'hw_' makes hw_crm of crm. */
    schemaPrefix: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,19}$|^$/, 'is no prefix. Write a to z, 0 to 9 and _, at most 20 characters.')
      .default(''),
    /** Connections to the server at most. */
    connectionsMax: z.number().int().min(2).max(50).default(4),
    /** A statement of a load that runs longer is stopped, ms. */
    statementMsMax: z.number().int().min(1_000).max(86_400_000).default(900_000),
    /** How long a load waits for another one, ms. */
    lockWaitMsMax: z.number().int().min(100).max(3_600_000).default(60_000),
  })
  .refine((config) => (config.host === undefined) !== (config.dataApi === undefined), {
    message: 'is missing, or goes without dataApi. Write one of them.',
    path: ['host'],
  })
  .refine((config) => config.dataApi !== undefined || config.user !== undefined, {
    message: 'is missing. Write the database user.',
    path: ['user'],
  })
  .refine(
    (config) =>
      config.dataApi !== undefined || config.password !== undefined || config.credentialsPath !== undefined,
    {
      message: 'is missing. Write the password as a secret, or credentialsPath.',
      path: ['password'],
    },
  )
  .refine(
    (config) =>
      config.dataApi === undefined ||
      (config.user ?? config.password ?? config.credentialsPath) === undefined,
    {
      message: 'goes without user, password and credentialsPath: the Data API has logins of its own.',
      path: ['dataApi'],
    },
  )
  .refine((config) => config.password === undefined || config.credentialsPath === undefined, {
    message: 'goes without password. Keep one of them.',
    path: ['credentialsPath'],
  })
  .refine((config) => config.accessKeyId === undefined || config.secretAccessKey !== undefined, {
    message: 'is missing. Write both keys, or none for the login of the machine.',
    path: ['secretAccessKey'],
  })
  .refine((config) => config.secretAccessKey === undefined || config.accessKeyId !== undefined, {
    message: 'is missing. Write both keys, or none for the login of the machine.',
    path: ['accessKeyId'],
  });
export type RedshiftConfig = z.output<typeof redshiftConfigSchema>;

/** Of the worker; nothing: the login of the machine. */
export function awsLogin({
  accessKeyId,
  secretAccessKey,
  sessionToken,
}: Pick<RedshiftConfig, 'accessKeyId' | 'secretAccessKey' | 'sessionToken'>): {
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
} {
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  const token = sessionToken === undefined ? {} : { sessionToken };
  return { credentials: { accessKeyId, secretAccessKey, ...token } };
}
