import { z } from 'zod';
import { instantSchema } from './instant.ts';
import { claimValueSchema } from './observation.ts';

/**
 * What a subscriber is told of one version of a profile.
 * profile.merged: read `merged_into` instead. profile.erased: nothing is left under this id; forget what you hold of it.
 */
export const notificationSchema = z.object({
  type: z.enum(['profile.changed', 'profile.merged', 'profile.erased']),
  profile: z.string(),
  entity: z.string(),
  /** Of one profile it only rises: what has a lower one is older, whenever it arrives. */
  version: z.number().int(),
  at: instantSchema,
  /** All records of the profile are deleted in their sources. */
  deleted: z.literal(true).optional(),
  merged_into: z.string().optional(),
  /** Names among the fields that are seen whose values may differ from those told before; absent where that is not known. */
  changed: z.array(z.string()).optional(),
  /** False: the profile no longer fits what was asked for. */
  matches: z.literal(false).optional(),
  /** Fields that were asked for and may be seen; null: has no value any more. */
  fields: z.record(z.string(), claimValueSchema),
});
export type Notification = z.infer<typeof notificationSchema>;

/** What one round of deliveries did; counts and codes only (I5). */
export const deliveryReceiptSchema = z.object({
  delivered: z.number().int(),
  /** Versions of which this subscriber need not hear. */
  passed: z.number().int(),
  /** After all tries. */
  givenUp: z.number().int(),
  /** Profiles that wait at the end of the round. */
  waiting: z.number().int(),
  failingSince: instantSchema.nullable(),
  /** Of the last failure, while it lasts. */
  lastCode: z.string().nullable(),
  /** The receiver has answered 410: it wants no more. */
  disabled: z.boolean(),
});
export type DeliveryReceipt = z.infer<typeof deliveryReceiptSchema>;

/** Input of the workflow `notify`. */
export const notifyInputSchema = z.strictObject({
  subscription: z.string().min(1),
  /** Sums of earlier executions; set by the workflow itself. */
  soFar: deliveryReceiptSchema.optional(),
  tuning: z
    .strictObject({
      heartbeatMs: z.number().int().min(500).optional(),
      retryMs: z.number().int().min(10).optional(),
      /** How long one round lasts at most. */
      roundMs: z.number().int().min(100).optional(),
      /** Rounds of one execution. */
      roundsMax: z.number().int().min(1).optional(),
    })
    .optional(),
});
export type NotifyInput = z.infer<typeof notifyInputSchema>;
