import { z } from 'zod';
import { parseDurationMs } from '../../rules/time.ts';
import { isLoopback } from '../http.ts';

/** `90s`, `10m`, `1h30m`, `1d`; becomes milliseconds. */
const durationSchema = z
  .string()
  .refine((text) => parseDurationMs(text) !== undefined, 'write a duration such as 90s, 10m, 1h30m or 1d')
  .transform((text) => parseDurationMs(text) ?? 0);

export const secureUrlSchema = z.url().refine((text) => {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url)));
}, 'use https (http is allowed on 127.0.0.1 only)');

const textSchema = z.string().min(1);
const apiNameSchema = z.string().regex(/^[A-Za-z]\w*$/, 'write the API name, such as Contact or Invoice__c');

/** Secrets are plain here: references are resolved before. */
const authSchema = z.discriminatedUnion('grant', [
  /** Needs the My Domain host as loginUrl. */
  z.strictObject({ grant: z.literal('client_credentials'), clientId: textSchema, clientSecret: textSchema }),
  z.strictObject({
    grant: z.literal('jwt_bearer'),
    clientId: textSchema,
    username: textSchema,
    /** PKCS#8 PEM; the certificate belongs to the connected app. */
    privateKey: textSchema,
    /** Default: the login URL's origin, which is right for login.salesforce.com and test.salesforce.com. */
    audience: textSchema.optional(),
  }),
  z.strictObject({
    grant: z.literal('refresh_token'),
    clientId: textSchema,
    clientSecret: textSchema.optional(),
    refreshToken: textSchema,
  }),
]);

const thresholdsSchema = z.strictObject({
  /** From so many rows on a window is read by Bulk 2.0 instead of REST pages. */
  bulkRowsMin: z.int().positive().default(10_000),
  restPageRows: z.int().min(200).max(2000).default(2000),
  /** Rows per result page: the unit of resuming a download. */
  bulkPageRowsMax: z.int().positive().max(1_000_000).default(250_000),
  /** Larger windows are cut into several slices, each a job of its own. */
  sliceRowsTarget: z.int().positive().default(1_000_000),
});

export const salesforceConfigSchema = z.strictObject({
  kind: z.literal('salesforce'),
  loginUrl: secureUrlSchema.default('https://login.salesforce.com'),
  auth: authSchema,
  apiVersion: z
    .string()
    .regex(/^\d{2,3}\.0$/, 'write a version such as 66.0')
    .default('66.0'),
  /** Object names, or `all` that `list` calls syncable. */
  objects: z.union([z.literal('all'), z.array(apiNameSchema).min(1)]),
  exclude: z.array(apiNameSchema).default([]),
  /** Per object. Key, stamp and deleted flag stay whatever is left out. */
  fields: z
    .record(
      apiNameSchema,
      z.strictObject({
        include: z.array(apiNameSchema).optional(),
        exclude: z.array(apiNameSchema).optional(),
      }),
    )
    .default({}),
  /** Reads start so much before the window, for rows that became visible late. */
  lookback: durationSchema.default(600_000),
  /** A window ends so much before the source's clock. */
  lag: durationSchema.default(300_000),
  thresholds: thresholdsSchema.prefault({}),
});

/** As a user writes it in headwater.config.ts. */
export type SalesforceConfigInput = z.input<typeof salesforceConfigSchema>;
/** Parsed: defaults filled in, `lookback` and `lag` in milliseconds. */
export type SalesforceConfig = z.output<typeof salesforceConfigSchema>;
