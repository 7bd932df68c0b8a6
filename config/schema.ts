import { z } from 'zod';
import { FACTS_AGE_MS_MAX } from '../rules/retention.ts';
import { allConflictsSchema } from './conflicts.ts';
import { ledgerSchema } from './ledger.ts';
import { profilesSchema } from './profiles.ts';
import { durationSchema } from './quantities.ts';
import { serveSchema, WEBHOOKS_SHAPE } from './serve.ts';
import { stageSchema } from './stage.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const JITTER_MS_DEFAULT = 30_000;

const share = z.number().min(0).max(1);

const scheduleSchema = z
  .strictObject({
    /** How often a run starts, in UTC from the epoch: '1h' is every full hour. Default '1h'. */
    every: durationSchema({ msMin: 1_000 }).default(HOUR_MS),
    /** Starts are spread over this long. Default: 30 seconds, at most a tenth of `every`. */
    jitter: durationSchema().optional(),
    /** What happens when the last run is still going. Default BUFFER_ONE. */
    overlap: z.enum(['BUFFER_ONE', 'SKIP', 'BUFFER_ALL']).default('BUFFER_ONE'),
    /** Starts missed for longer than this (Temporal was down) are left out: the next window covers them. Default `every`. */
    catchup: durationSchema({ msMin: 10_000 }).optional(),
    paused: z.boolean().default(false),
  })
  .transform(({ every, jitter, overlap, catchup, paused }) => ({
    everyMs: every,
    jitterMs: jitter ?? Math.min(JITTER_MS_DEFAULT, Math.floor(every / 10)),
    overlap,
    // Temporal takes no catch-up window under ten seconds.
    catchupMs: catchup ?? Math.max(every, MINUTE_MS),
    paused,
  }));

const limitsSchema = z
  .strictObject({
    /** Calls per second that may be made to the source, and how many at once after a pause: enough for a run of 100 objects. */
    perSecond: z.number().positive().default(25),
    burst: z.number().int().positive().default(500),
    /** Share of the source's daily calls at which Headwater stops: one number, or one per class of call. Default 0.9. */
    quotaShareMax: z
      .union([
        share.transform((hourly) => ({
          webhook: Math.max(hourly, 0.95),
          hourly,
          backfill: Math.min(hourly, 0.7),
        })),
        z.strictObject({
          webhook: share.default(0.95),
          hourly: share.default(0.9),
          backfill: share.default(0.7),
        }),
      ])
      .default({ webhook: 0.95, hourly: 0.9, backfill: 0.7 }),
  })
  .prefault({});

/** A duration in ms, or null for 'off'. */
const orOff = z.union([z.literal('off').transform(() => null), durationSchema({ msMin: 1_000 })]);

const resyncEvery = z.union([z.literal('off').transform(() => null), durationSchema({ msMin: HOUR_MS })]);

const evolution = z.enum(['evolve', 'freeze', 'discard', 'quarantine']);

/** What every connection has, whatever its kind; the rest belongs to the source's own schema. */
export const CONNECTION_SHAPE = {
  /** The source system, such as 'salesforce'. */
  kind: z.string(),
  schedule: scheduleSchema.prefault({}),
  /** 'all', or names as the source writes them. */
  objects: z.union([z.literal('all'), z.array(z.string().min(1)).min(1)]),
  exclude: z.array(z.string().min(1)).default([]),
  /** Per object the fields to take or to leave out. Key, stamp and deleted flag are always taken. */
  fields: z
    .record(
      z.string(),
      z.strictObject({
        include: z.array(z.string().min(1)).optional(),
        exclude: z.array(z.string().min(1)).default([]),
      }),
    )
    .default({}),
  /** Windows end this long before the source's clock. Default: the source's own. */
  lag: durationSchema({ msMax: DAY_MS }).optional(),
  /** Reads start this long before the window, for rows that became visible late. Default: the source's own. */
  lookback: durationSchema({ msMax: 30 * DAY_MS }).optional(),
  limits: limitsSchema,
  /** What may change by itself when the source's schema moves. */
  policy: z
    .strictObject({
      tables: evolution.default('evolve'),
      columns: evolution.default('evolve'),
      types: evolution.default('evolve'),
    })
    .prefault({}),
  /** More bad rows than either stop the object instead of being set aside. */
  badRows: z
    .strictObject({ shareMax: share.default(0.01), rowsMax: z.number().int().nonnegative().default(100) })
    .prefault({}),
  /** Values that change without a record's stamp: read again by field, these columns alone. */
  refresh: z
    .strictObject({
      /** How old formulas may become. Default '1d'. */
      formulas: orOff.default(DAY_MS),
      /** The same for single objects. */
      objects: z.record(z.string(), orOff).default({}),
      /** Old rows of a new field: read by the run after the one that found it, or by a backfill only. */
      added: z.enum(['next-run', 'ask']).default('next-run'),
      /** A reading that takes more than this share of a day's calls waits for the operator. */
      quotaShareMax: share.default(0.2),
    })
    .prefault({}),
  /** The copy is compared with the source, and what differs is read again. */
  audit: z
    .strictObject({
      /** How often, half of it beside the runs. Default '1h'. */
      every: z
        .union([z.literal('off').transform(() => null), durationSchema({ msMin: 60_000 })])
        .default(HOUR_MS),
      /** In this time ids and stamps of all records are compared once, a part in each audit. */
      fullPass: durationSchema({ msMin: HOUR_MS }).default(7 * DAY_MS),
      /** Records that each audit compares by all their values. */
      sample: z.number().int().min(0).max(10_000).default(1_000),
      /** Share of the source's daily calls that the comparison of ids may take. */
      quotaShareMax: share.default(0.05),
      /** False: what differs is told, and nothing is written. */
      repair: z.boolean().default(true),
    })
    .transform(({ every, fullPass, sample, quotaShareMax, repair }) => ({
      everyMs: every,
      fullPassMs: fullPass,
      sampleRows: sample,
      quotaShareMax,
      repair,
    }))
    .prefault({}),
  /** How long ago the warehouse's copy may have been proven. Default: an error after two intervals of the schedule. */
  freshness: z
    .strictObject({
      warnAfter: durationSchema({ msMin: 1_000 }).optional(),
      errorAfter: durationSchema({ msMin: 1_000 }).optional(),
      /** The same for single objects. */
      objects: z
        .record(
          z.string(),
          z.strictObject({
            warnAfter: durationSchema({ msMin: 1_000 }).optional(),
            errorAfter: durationSchema({ msMin: 1_000 }).optional(),
          }),
        )
        .default({}),
    })
    .prefault({}),
  /** Present, even empty: changes that the system pushes are taken, see docs/webhooks.md. */
  webhooks: z.looseObject(WEBHOOKS_SHAPE).optional(),
  /** How often an object is read whole again, whatever its stamps say. Default 'off'. */
  resync: z
    .strictObject({
      every: resyncEvery.prefault('off'),
      /** The same for single objects. */
      objects: z.record(z.string(), resyncEvery).default({}),
    })
    .prefault({}),
};

const connectionSchema = z.looseObject(CONNECTION_SHAPE);

/** Becomes a schema in the warehouse and a part of workflow ids, hence the narrow alphabet. */
const CONNECTION_NAME = /^[a-z][a-z0-9_]{0,39}$/;
const NAME_RULE =
  'is not a connection name. Write a to z, 0 to 9 and _, a letter first, at most 40 characters.';

/** A part of workflow ids, and the name under which the ledger keeps what has landed there. */
const WAREHOUSE_NAME = /^(?!claims$)[a-z][a-z0-9_]{0,39}$/;
const WAREHOUSE_RULE =
  'is not a name of a warehouse. Write a to z, 0 to 9 and _, a letter first, at most 40 characters; claims is taken.';

export const configSchema = z.strictObject({
  connections: z.record(z.string().regex(CONNECTION_NAME, NAME_RULE), connectionSchema),
  /** Where rows land; further keys belong to the warehouse's own schema. */
  warehouse: z.looseObject({ kind: z.string() }).optional(),
  /** Several at once instead of one; the first is the main one, which is read and audited. */
  warehouses: z
    .record(z.string().regex(WAREHOUSE_NAME, WAREHOUSE_RULE), z.looseObject({ kind: z.string() }))
    .optional(),
  /** How golden profiles are made, by entity. Default: the newest claim of each field. */
  conflicts: allConflictsSchema.default({}),
  /** Present, even empty: records of all systems become golden profiles. */
  profiles: profilesSchema.optional(),
  /** Present, even empty: webhooks are taken and profiles are served. */
  serve: serveSchema.optional(),
  stage: stageSchema.prefault({}),
  /** Coverage, windows and receipts; the claims are kept in the same kind of place. */
  ledger: ledgerSchema.prefault({}),
  /** Windows, receipts, runs and batches are told this long; coverage and data are kept for ever. Default '90d'. */
  retention: durationSchema({ msMin: DAY_MS }).default(FACTS_AGE_MS_MAX),
  temporal: z
    .strictObject({
      address: z.string().min(1).optional(),
      namespace: z.string().min(1).optional(),
      taskQueue: z.string().min(1).default('headwater'),
    })
    .prefault({}),
  worker: z
    .strictObject({
      /** For the embedded DuckDB, shared by shaping and loading. */
      memoryMb: z.number().int().min(400).default(640),
      threads: z.number().int().min(1).max(256).default(2),
      objectsInParallel: z.number().int().min(1).max(64).default(4),
      /** Where metrics are told to Prometheus, as `host:port`; nobody asks who reads them. Default: nowhere. */
      metrics: z
        .string()
        .regex(
          /^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/,
          "write a host and a port, such as '127.0.0.1:9464'",
        )
        .optional(),
    })
    .prefault({}),
});

/** As it is written in headwater.config.ts. */
export type ConfigInput = z.input<typeof configSchema>;
type Parsed = z.output<typeof configSchema>;
type Core = { [Key in keyof typeof CONNECTION_SHAPE]: z.output<(typeof CONNECTION_SHAPE)[Key]> };

/** One connection with its defaults filled in. */
export interface ConnectionConfig extends Omit<Core, 'lag' | 'lookback'> {
  name: string;
  lagMs: number;
  lookbackMs: number;
  /** The source's own part as it is written, secrets as references; `sourceConfig` makes of it what `connect` takes. */
  source: Record<string, unknown>;
}

/** The whole configuration: defaults filled in, paths absolute, secrets still references (I5). */
export interface Config extends Omit<Parsed, 'connections' | 'warehouse' | 'warehouses'> {
  connections: Record<string, ConnectionConfig>;
  /** The only one, or the first of several. */
  warehouse: WarehousePart;
  /** The others; absent where there is one. */
  copies?: (WarehousePart & { name: string })[];
}

/** `options`: the warehouse's own part as it is written, `path` absolute. `name`: its key among several. */
export interface WarehousePart {
  kind: string;
  name?: string;
  options: Record<string, unknown>;
}
