import { z } from 'zod';
import { instantSchema } from './instant.ts';
import { claimKindSchema, claimValueSchema, recordRefSchema } from './observation.ts';

/** Why a field has its value: which claim won, by which rule, and what lost. */
export const goldenFieldSchema = z.object({
  value: claimValueSchema,
  /** The record whose claim won; null for a combined value or an operator's override. */
  ref: recordRefSchema.nullable(),
  /** Id of the winning claim: the observation's id, or the override's. */
  claim: z.string().nullable(),
  kind: claimKindSchema,
  confidence: z.number(),
  changedAt: instantSchema,
  /** The part of the rule that decided: `only claim`, `latest`, `source salesforce`, `override`, `union of 3` … */
  decidedBy: z.string(),
  /** Other sources say something else. */
  contested: z.boolean(),
  /** Two claims were equal up to the total order. */
  tied: z.boolean(),
  /** Asked for, and not confirmed by its systems of record yet. */
  pending: z.literal(true).optional(),
});
export type GoldenField = z.infer<typeof goldenFieldSchema>;

export const goldenProfileSchema = z.object({
  /** Public, minted once: `p_…`. */
  profile: z.string(),
  entity: z.string(),
  /** Rises with every change of the golden record or of its links. */
  version: z.number().int(),
  /** The event that made this version. */
  seq: z.number().int(),
  deleted: z.boolean(),
  /** Set when the profile was merged: read that one instead. */
  mergedInto: z.string().nullable(),
  fields: z.record(z.string(), goldenFieldSchema),
  records: z.array(recordRefSchema.extend({ deleted: z.boolean() })),
  updatedAt: instantSchema,
});
export type GoldenProfile = z.infer<typeof goldenProfileSchema>;

/** A loser beside the winner, for `explain`. */
export const consideredClaimSchema = z.object({
  ref: recordRefSchema,
  claim: z.string(),
  value: claimValueSchema,
  kind: claimKindSchema,
  confidence: z.number(),
  changedAt: instantSchema,
  outcome: z.enum(['won', 'lost', 'filtered', 'blank', 'retracted', 'deleted']),
  why: z.string(),
});
export type ConsideredClaim = z.infer<typeof consideredClaimSchema>;
