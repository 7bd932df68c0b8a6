import { z } from 'zod';

/** What became of the rows of one slice; `received` equals the sum of the five that follow it (I2). */
export const shapeCountsSchema = z.object({
  /** Rows that the source says it sent. */
  sent: z.number().int(),
  received: z.number().int(),
  /** Rows written to the staged Parquet, newest per key. */
  shaped: z.number().int(),
  quarantined: z.number().int(),
  /** Older versions of a key that is in the same slice in a newer version. */
  superseded: z.number().int(),
  /** Rows of erased subjects. */
  suppressed: z.number().int(),
  /** Rows outside the window on its upper side, and rows that a filter leaves out. */
  filtered: z.number().int(),
  /** Of `shaped`: rows stamped before the window, read again by the look-back. */
  reRead: z.number().int(),
  /** Of `shaped`: rows that the source marks deleted, soft or erased. */
  deleted: z.number().int(),
  /** Erasure notices beside the rows; not part of `received`. */
  tombstones: z.number().int(),
});
export type ShapeCounts = z.infer<typeof shapeCountsSchema>;

/** A ledger of an earlier version holds one key, or null. */
function fromOneFile(rows: unknown): unknown {
  if (rows === null) return [];
  return typeof rows === 'string' ? [rows] : rows;
}

/** One shaped slice: what `load` takes. The same content has the same id, so a repeated load is a no-op (I2). */
export const batchSchema = z.object({
  /** `b_` + hash(window, slice, content of its raw pages). */
  id: z.string(),
  window: z.string(),
  slice: z.number().int(),
  /** Stage keys of Parquet files. `rows`: typed rows, in one file or in several of equal columns; none when no row was shaped. */
  rows: z.preprocess(fromOneFile, z.array(z.string())),
  tombstones: z.string().nullable(),
  quarantine: z.string().nullable(),
  counts: shapeCountsSchema,
});
export type Batch = z.infer<typeof batchSchema>;

/** What a warehouse did with a batch. `inserted + updated + unchanged + stale` = rows + tombstones of the batch. */
export const loadReceiptSchema = z.object({
  batch: z.string(),
  alreadyApplied: z.boolean(),
  inserted: z.number().int(),
  updated: z.number().int(),
  /** Equal version and content; only `_confirmed_at` moved. */
  unchanged: z.number().int(),
  /** The warehouse already held a newer version. */
  stale: z.number().int(),
  ms: z.number(),
});
export type LoadReceipt = z.infer<typeof loadReceiptSchema>;
