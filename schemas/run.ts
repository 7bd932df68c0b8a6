import { z } from 'zod';
import { instantSchema } from './instant.ts';
import { verdictSchema } from './receipt.ts';

export const outcomeSchema = z.enum(['ok', 'partial', 'failed', 'behind', 'deferred', 'cancelled']);
export type Outcome = z.infer<typeof outcomeSchema>;

export const triggerSchema = z.enum(['schedule', 'manual', 'backfill']);
export type Trigger = z.infer<typeof triggerSchema>;

/** One object's line in a run's summary: what the table on the screen and in the Temporal UI shows. */
export const objectSummarySchema = z.object({
  object: z.string(),
  window: z.string().nullable(),
  from: instantSchema.nullable(),
  until: instantSchema.nullable(),
  state: z.enum(['idle', 'landed', 'staged', 'failed', 'deferred', 'in-progress', 'cancelled', 'current']),
  rows: z.number().int(),
  inserted: z.number().int(),
  updated: z.number().int(),
  unchanged: z.number().int(),
  deleted: z.number().int(),
  quarantined: z.number().int(),
  verdict: verdictSchema.nullable(),
  seconds: z.number(),
  /** Milliseconds per step: plan, extract, shape, load, commit. */
  stepMs: z.record(z.string(), z.number()).optional(),
  code: z.string().optional(),
  message: z.string().optional(),
});
export type ObjectSummary = z.infer<typeof objectSummarySchema>;

/** What reconcile and publish made of a run's rows. */
export const goldenSummarySchema = z.object({
  /** New versions of records; `known`: seen before; `suppressed`: of erased subjects. */
  observed: z.number().int(),
  known: z.number().int(),
  suppressed: z.number().int(),
  /** Records that fit no shared schema. */
  quarantined: z.number().int(),
  /** Profiles that were made, changed and merged. */
  created: z.number().int(),
  changed: z.number().int(),
  merged: z.number().int(),
  /** Cases put up for review. */
  reviews: z.number().int(),
  /** Profiles written to the warehouse. */
  published: z.number().int(),
});
export type GoldenSummary = z.infer<typeof goldenSummarySchema>;

/** One of several warehouses that a run left behind, by its name in the ledger. */
export const sinkTroubleSchema = z.object({ sink: z.string(), code: z.string(), message: z.string() });
export type SinkTrouble = z.infer<typeof sinkTroubleSchema>;

export const runSummarySchema = z.object({
  connection: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  trigger: triggerSchema,
  outcome: outcomeSchema,
  startedAt: instantSchema,
  endedAt: instantSchema.nullable(),
  idle: z.number().int(),
  objects: z.array(objectSummarySchema),
  golden: goldenSummarySchema.optional(),
  /** Of several warehouses those that lack windows of this run; they are delivered later. */
  behind: z.array(sinkTroubleSchema).optional(),
  /** What ended the run itself, before or beside its objects: log-in, secret, warehouse. */
  code: z.string().optional(),
  message: z.string().optional(),
});
export type RunSummary = z.infer<typeof runSummarySchema>;
