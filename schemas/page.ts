import { z } from 'zod';

/**
 * csv: RFC 4180, header on the first line, UTF-8. json: one JSON document whose records lie in an array.
 * tombstones: NDJSON of `{"id": …, "deletedAt": …}` for records that the source has erased.
 */
export const pageFormatSchema = z.enum(['csv', 'json', 'tombstones']);
export type PageFormat = z.infer<typeof pageFormatSchema>;

/** A cursor is opaque to everyone but its source; JSON, never a secret. Replay from it loses nothing, may repeat. */
export type Cursor = Record<string, unknown>;

/** One raw page in the stage, committed in the ledger after its bytes are durable. */
export const stagedPageSchema = z.object({
  slice: z.number().int(),
  /** Position in the slice, from 0. */
  page: z.number().int(),
  key: z.string(),
  format: pageFormatSchema,
  /** Rows that the source says it sent in this page. */
  rowsSent: z.number().int(),
  bytes: z.number().int(),
  /** sha256 of the bytes, hex. */
  sha256: z.string(),
  /** NUL bytes that were taken out while writing. */
  nulBytes: z.number().int(),
});
export type StagedPage = z.infer<typeof stagedPageSchema>;
