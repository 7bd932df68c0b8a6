import { z } from 'zod';
import { triggerSchema } from './run.ts';

/** A moment as people type it; read as UTC when it names no zone. */
const moment = z.string().refine((text) => !Number.isNaN(Date.parse(text)), {
  message: 'is not a time; write for example 2026-11-20T08:00:00Z',
});

/** Everything from the first record on: a whole read of each object, which also finds what was deleted unseen. */
export const BEGINNING = 'beginning';

/** Durations that tests shorten; never part of a schedule. */
export const tuningSchema = z.strictObject({
  heartbeatMs: z.number().int().min(500).optional(),
  retryMs: z.number().int().min(10).optional(),
  /** Slices of one execution before it continues as new. */
  slicesMax: z.number().int().min(1).optional(),
});
export type Tuning = z.infer<typeof tuningSchema>;

/** Input of the workflow `syncConnection`. */
export const syncConnectionInputSchema = z.strictObject({
  connection: z.string().min(1),
  /** Some objects of the connection; all that are configured when absent. */
  objects: z.array(z.string().min(1)).min(1).optional(),
  trigger: triggerSchema.optional(),
  /** Lets a load go on although the source suddenly has far fewer rows. */
  allowShrink: z.boolean().optional(),
  tuning: tuningSchema.optional(),
});
export type SyncConnectionInput = z.infer<typeof syncConnectionInputSchema>;

/** Input of the workflow `backfill`. `from` is in the range, `to` is not. */
export const backfillInputSchema = z.strictObject({
  connection: z.string().min(1),
  objects: z.array(z.string().min(1)).min(1).optional(),
  from: z.literal(BEGINNING).or(moment),
  to: moment,
  /** missing: what no window covers. failed: what ended without proof. all: everything again. */
  reprocess: z.enum(['missing', 'failed', 'all']).default('missing'),
  /** Only these fields, of all records; the key alone compares ids. Needs `from: beginning`. */
  fields: z.array(z.string().min(1)).min(1).max(100).optional(),
  /** Windows at once, 1–16. */
  maxActive: z.number().int().min(1).max(16).default(2),
  newestFirst: z.boolean().default(false),
  dryRun: z.boolean().default(false),
  tuning: tuningSchema.optional(),
});
export type BackfillInput = z.input<typeof backfillInputSchema>;
export type BackfillRequest = z.output<typeof backfillInputSchema>;
