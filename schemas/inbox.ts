import { z } from 'zod';
import { instantSchema } from './instant.ts';

/**
 * What a webhook, a tool or a queue said of one record, as it is kept until the fast lane has dealt with it.
 * changed: a hint, the record is fetched. deleted: a hint too; what is gone then becomes a tombstone of `at`.
 * row: `values` is the whole record as a page of the source would hold it, its stamp included, and nothing is fetched.
 */
export const inboxEventSchema = z.object({
  /** Of the sender, or a hash of the event where it has none: one fact has one id in its connection. */
  id: z.string().min(1).max(200),
  object: z.string().min(1).max(200),
  record: z.string().min(1).max(200),
  kind: z.enum(['changed', 'deleted', 'row']),
  /** Fields by the source's names; personal, so they leave the inbox once they are dealt with (I5). */
  values: z.record(z.string(), z.unknown()).nullable(),
  /** When it happened, by the source's clock; null where it does not say. */
  at: instantSchema.nullable(),
});
export type InboxEvent = z.infer<typeof inboxEventSchema>;
