import { z } from 'zod';
import { instantSchema } from './instant.ts';

/** What one round of the fast lane did; counts only, as heartbeat and result (I5). */
export const drainReceiptSchema = z.object({
  /** Events taken, those that came again counted again. */
  events: z.number().int(),
  /** Records read from the source. */
  fetched: z.number().int(),
  /** Profiles made, changed or merged. */
  profiles: z.number().int(),
  /** Records that reached the warehouse. */
  landed: z.number().int(),
  parked: z.number().int(),
  /** Not settled at the end of the round. */
  waiting: z.number().int(),
  lastAt: instantSchema.nullable(),
  /** Why nothing can be read from the source now: a code. */
  held: z.string().nullable(),
  /** Why the connection shall be polled now; null: webhooks bring what changes. */
  poll: z.enum(['quiet', 'missed']).nullable(),
});
export type DrainReceipt = z.infer<typeof drainReceiptSchema>;

/** Input of the workflow `inbox`. */
export const inboxInputSchema = z.strictObject({
  connection: z.string().min(1),
  /** Sums of earlier executions; set by the workflow itself. */
  soFar: drainReceiptSchema.optional(),
  tuning: z
    .strictObject({
      heartbeatMs: z.number().int().min(500).optional(),
      retryMs: z.number().int().min(10).optional(),
      /** How long one round lasts. */
      roundMs: z.number().int().min(100).optional(),
      /** Rounds of one execution. */
      roundsMax: z.number().int().min(1).optional(),
    })
    .optional(),
});
export type InboxInput = z.infer<typeof inboxInputSchema>;

/** Where the ledger notes changes that a poll brought and no webhook; '' once a poll found that all had come. */
export const missedKey = (connection: string): string => `webhooks/${connection}/missed`;

const missedSchema = z.object({
  at: instantSchema,
  object: z.string(),
  /** Profiles that a poll made or changed, long after their records had changed. */
  changes: z.number().int(),
});
export type Missed = z.infer<typeof missedSchema>;

/** Of what the ledger noted under `missedKey`; null: nothing is missed. */
export function parseMissed(noted: string | null): Missed | null {
  return noted === null || noted === '' ? null : (missedSchema.safeParse(JSON.parse(noted)).data ?? null);
}
