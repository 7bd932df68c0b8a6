import { z } from 'zod';

/** One line of a preview or a report: how much of a subject lies where. Counts and names of places only (I5). */
export const erasedPlaceSchema = z.object({
  /** `claims`, `stage`, `ledger`, or a table of the warehouse. */
  place: z.string(),
  what: z.string(),
  count: z.number().int(),
});
export type ErasedPlace = z.infer<typeof erasedPlaceSchema>;

/** What an erasure of one subject takes. Public ids of profiles name nobody once they are erased. */
export const erasurePreviewSchema = z.object({
  profiles: z.number().int(),
  records: z.number().int(),
  /** By connection and object. */
  sources: z.record(z.string(), z.number().int()),
  places: z.array(erasedPlaceSchema),
  /** Activities, tickets and the like that name the subject and stay: each is a record of its own. */
  referring: z.number().int(),
});
export type ErasurePreview = z.infer<typeof erasurePreviewSchema>;
