import { z } from 'zod';
import { isLoopback } from '../http.ts';

const UNIT_MS = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** `90s`, `10m`, `2h`, `1d`; becomes milliseconds. */
const durationSchema = z
  .string()
  .regex(/^\d{1,6}[smhd]$/, 'write a duration such as 90s, 10m, 2h or 1d')
  .transform((text) => Number(text.slice(0, -1)) * (UNIT_MS.get(text.slice(-1)) ?? 0));

const secureUrlSchema = z.url().refine((text) => {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url)));
}, 'use https (http is allowed on 127.0.0.1 only)');

const textSchema = z.string().min(1);
/** An object type as HubSpot's paths write it, or two of them for their associations. */
const objectNameSchema = z
  .string()
  .regex(
    /^[\w-]+(?:~[\w-]+)?$/,
    'write an object such as contacts or p123_car, or associations as contacts~companies',
  );
const propertyNameSchema = z
  .string()
  .regex(/^[\w-]+$/, 'write the internal name of a property, such as lifecyclestage');

/** Secrets are plain here: references are resolved before. */
const authSchema = z.discriminatedUnion('kind', [
  /** A static token: a service key, or that of a private app. */
  z.strictObject({ kind: z.literal('token'), token: textSchema }),
  z.strictObject({
    kind: z.literal('refresh_token'),
    clientId: textSchema,
    clientSecret: textSchema,
    refreshToken: textSchema,
  }),
]);

const thresholdsSchema = z.strictObject({
  /** Rows per staged page: the unit of resuming. */
  pageRows: z.int().min(1).max(10_000).default(1000),
  /** Results per search page; HubSpot gives 200 at most. */
  searchRows: z.int().min(2).max(200).default(200),
  /** Ids per read of associations; HubSpot takes 1,000 at most. */
  associationIds: z.int().min(1).max(1000).default(1000),
  /** What HubSpot grants one app in ten seconds: 190, 110 where it was installed from the marketplace, 100 in small editions. */
  callsPer10s: z.int().min(10).max(100_000).default(190),
  /** HubSpot grants an account five searches a second, and its other apps share them. */
  searchesPerSecond: z.number().positive().max(10_000).default(4),
});

export const hubspotConfigSchema = z.strictObject({
  kind: z.literal('hubspot'),
  baseUrl: secureUrlSchema.default('https://api.hubapi.com'),
  auth: authSchema,
  /** HubSpot's date of release, a part of each path. */
  apiVersion: z
    .string()
    .regex(/^\d{4}-\d{2}$/, 'write a version such as 2026-03')
    .default('2026-03'),
  /** Object names, or `all` that `list` calls syncable. */
  objects: z.union([z.literal('all'), z.array(objectNameSchema).min(1)]),
  exclude: z.array(objectNameSchema).default([]),
  /** Per object. Key, stamp and archived flag stay whatever is left out. */
  fields: z
    .record(
      objectNameSchema,
      z.strictObject({
        include: z.array(propertyNameSchema).optional(),
        exclude: z.array(propertyNameSchema).optional(),
      }),
    )
    .default({}),
  /** Reads start so much before the window: the search index shows a change up to an hour late. */
  lookback: durationSchema.default(3_900_000),
  /** A window ends so much before the source's clock. */
  lag: durationSchema.default(300_000),
  /** Associations carry no date of change, so they are read whole, this often (UTC). */
  associationsEvery: durationSchema.refine((ms) => ms > 0, 'write at least 1s').default(86_400_000),
  thresholds: thresholdsSchema.prefault({}),
  /** Share of the daily calls at which a run stops as deferred. */
  quotaShareMax: z.number().gt(0).max(1).default(0.9),
});

/** As a user writes it in headwater.config.ts. */
export type HubspotConfigInput = z.input<typeof hubspotConfigSchema>;
/** Parsed: defaults filled in, durations in milliseconds. */
export type HubspotConfig = z.output<typeof hubspotConfigSchema>;
