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
  /** After which a delivery asks whether the run that it follows is still there. */
  silentMs: z.number().int().min(10).optional(),
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
  /** Lets a whole read go on although the source suddenly has far fewer rows. */
  allowShrink: z.boolean().optional(),
  tuning: tuningSchema.optional(),
});
export type BackfillInput = z.input<typeof backfillInputSchema>;
export type BackfillRequest = z.output<typeof backfillInputSchema>;

/** Whoever asks for a change of profiles, and why: kept in the event log for ever. Never a customer's data. */
const request = {
  actor: z.string().min(1).max(100),
  reason: z.string().min(1).max(500),
  /** Goes on without waiting for the update `approve`. */
  approved: z.boolean().default(false),
};

/** Input of the workflow `rollback`: what is taken back; every condition that is given must hold. */
export const rollbackInputSchema = z
  .strictObject({
    ...request,
    profile: z
      .string()
      .regex(/^p_[a-z0-9]+$/, 'is not a profile id such as p_…')
      .optional(),
    field: z.string().min(1).optional(),
    source: z.string().min(1).optional(),
    run: z.string().min(1).optional(),
    /** Values that Headwater learned after this moment. */
    since: moment.optional(),
    /** New values do not count either, until the field is released. */
    hold: z.boolean().default(false),
  })
  .refine(({ profile, source, run }) => profile !== undefined || source !== undefined || run !== undefined, {
    message: 'name a profile, a source or a run',
  });
export type RollbackInput = z.input<typeof rollbackInputSchema>;
export type RollbackRequest = z.output<typeof rollbackInputSchema>;

/** Input of the workflow `applyRules`: the configuration's rules of one entity, or of all. */
export const applyRulesInputSchema = z.strictObject({ ...request, entity: z.string().min(1).optional() });
export type ApplyRulesInput = z.input<typeof applyRulesInputSchema>;
export type RulesRequest = z.output<typeof applyRulesInputSchema>;

/** Input of the workflow `erase`: everything about one customer goes, for ever. */
export const eraseInputSchema = z.strictObject({
  ...request,
  profile: z.string().regex(/^p_[a-z0-9]+$/, 'is not a profile id such as p_…'),
  /** Ends with the preview. */
  dryRun: z.boolean().default(false),
  tuning: tuningSchema.optional(),
});
export type EraseInput = z.input<typeof eraseInputSchema>;
export type EraseRequest = z.output<typeof eraseInputSchema>;

/** The update `resolve` of the workflow `review`. */
export const decisionSchema = z.strictObject({
  review: z.string().min(1),
  /** tie: the id of the claim that holds. link: `link` or `apart`. */
  decision: z.string().min(1),
  actor: z.string().min(1).max(100),
});
export type Decision = z.infer<typeof decisionSchema>;
