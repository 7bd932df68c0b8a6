import { z } from 'zod';
import { instantSchema } from './instant.ts';

/** Why fields of old rows are read again although no stamp moved. deletions: the source has forgotten some of them. */
export const refreshReasonSchema = z.enum(['added', 'formulas', 'deletions']);
export type RefreshReason = z.infer<typeof refreshReasonSchema>;

/** What one object still needs beside its windows; kept in the ledger until a window that brought it has landed. */
export const refreshStateSchema = z.object({
  /** When the object was last described, and which fields the configuration chose then (any text that changes with it). */
  describedAt: instantSchema.nullable(),
  choice: z.string(),
  /** Fields that rows before `since` do not have yet; `run` found them and told the price. */
  added: z.object({ fields: z.array(z.string()).min(1), since: instantSchema, run: z.string() }).nullable(),
  /** As of when the formulas of all rows are right; null: never known. */
  formulasAt: instantSchema.nullable(),
  /** When the newest partial window that has landed was read. */
  partialAt: instantSchema.nullable(),
  /** Deletions before this were forgotten by the source before they were read. */
  deletionsLostBefore: instantSchema.nullable(),
  /** When the newest reading of all records and fields that has landed began. */
  wholeAt: instantSchema.optional(),
});
export type RefreshState = z.infer<typeof refreshStateSchema>;

/** One object's policy, from the configuration. */
export interface RefreshPolicy {
  /** How old formulas may become, ms; null: they are as of the row's last change. */
  formulasMs: number | null;
  /** next-run: read for old rows by the run after the one that found them. ask: by a backfill only. */
  added: 'next-run' | 'ask';
  /** More than this share of a day's calls waits for the operator. */
  quotaShareMax: number;
}
