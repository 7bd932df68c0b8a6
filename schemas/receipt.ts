import { z } from 'zod';
import { shapeCountsSchema } from './batch.ts';
import { instantSchema } from './instant.ts';

/**
 * proven: transport, source and destination agree. moved: they agree once rows that moved during the read are explained.
 * transport-only: the source's count is unknown. accepted: an operator released it, for ever marked. failed: unexplained rows.
 */
export const verdictSchema = z.enum(['proven', 'moved', 'transport-only', 'accepted', 'failed']);
export type Verdict = z.infer<typeof verdictSchema>;

/** The proof that a window is complete (I7): see ARCHITECTURE.md. */
export const receiptSchema = z.object({
  window: z.string(),
  connection: z.string(),
  object: z.string(),
  from: instantSchema,
  until: instantSchema,
  transport: shapeCountsSchema,
  /** Counts in `[from, until)` by the source itself, null when unknown; `moved` and `late` explain a difference. */
  source: z.object({
    before: z.number().int().nullable(),
    after: z.number().int().nullable(),
    moved: z.number().int(),
    late: z.number().int(),
    unexplained: z.number().int(),
  }),
  /** Per sink: keys of the window that are present at a version at least as new, and those that are not. */
  destination: z
    .object({
      present: z.number().int(),
      missing: z.number().int(),
      /** Rows that a whole or partial read did not find and that were marked deleted. */
      retired: z.number().int().optional(),
    })
    .nullable(),
  /** Of a partial window: the fields that were read beside key, stamp and deleted flag. */
  fields: z.array(z.string()).optional(),
  verdict: verdictSchema,
  reason: z.string().optional(),
  at: instantSchema,
});
export type Receipt = z.infer<typeof receiptSchema>;
