import { z } from 'zod';

export const bigqueryConfigSchema = z.strictObject({
  kind: z.literal('bigquery'),
  /** The project that holds the datasets and pays for the jobs. */
  project: z
    .string()
    .regex(/^[a-z][a-z0-9.:-]{4,80}$/, 'is no id of a project. Write the id, not the name or the number.'),
  /** Where the datasets are: 'EU', 'US' or a region. It can not be changed later. */
  location: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{1,40}$/)
    .default('US'),
  /** The JSON of a service-account key, as a secret; absent: the credentials of the machine. */
  key: z.string().min(1).optional(),
  /** Stands before the name of each dataset: 'hw_' makes hw_crm of crm, and hw__headwater. */
  datasetPrefix: z
    .string()
    .regex(/^[A-Za-z0-9_]{0,40}$/, 'is no prefix. Write letters, digits and _, at most 40.')
    .default(''),
  /** Column by which a new table is partitioned by month: { 'crm.contact': 'createddate' }. Its values must never change. */
  partitionBy: z.record(z.string(), z.string()).default({}),
  /** A statement of a load that runs longer is stopped, ms. */
  jobMsMax: z.number().int().min(10_000).max(86_400_000).default(1_800_000),
  /** `headwater sql` and `export` are refused when they would read more, bytes. */
  queryBytesMax: z
    .number()
    .int()
    .min(10_485_760)
    .default(100 * 1024 ** 3),
  /** Another address of the service; to an http:// address no credentials are sent. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /** Large files go through this bucket of Cloud Storage, in the same location; absent: all are sent to BigQuery itself. */
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/, 'is no name of a bucket. Write it without gs://.')
    .optional(),
  /** Names of objects begin with it; nothing else may lie there. */
  prefix: z
    .string()
    .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)+$/, 'is no prefix. Write names, each with / behind it.')
    .default('headwater-bigquery/'),
  /** Files of at least this size are large, bytes. */
  bucketBytesMin: z.number().int().min(1).default(67_108_864),
  /** Another address of Cloud Storage; to an http:// address no credentials are sent. */
  bucketEndpoint: z.url({ protocol: /^https?$/ }).optional(),
  /** Pushed changes go by the Storage Write API; false: by load jobs, as all others. */
  storageWrite: z.boolean().default(true),
  /** Another address of the Storage Write API, as `endpoint`; where only that is set, it is not used. */
  writeEndpoint: z.url({ protocol: /^https?$/ }).optional(),
});
export type BigqueryConfig = z.output<typeof bigqueryConfigSchema>;
