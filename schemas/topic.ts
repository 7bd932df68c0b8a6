import { z } from 'zod';
import { instantSchema } from './instant.ts';

/**
 * A stream of changes that a connection follows, as it is kept between two starts. `position` is opaque, of the source: what is
 * read next lies behind it. It is written after the events before it are safe, so it never runs ahead of them (I2).
 */
export const topicSchema = z.object({
  connection: z.string().min(1),
  topic: z.string().min(1),
  /** Null: the source has told none yet. */
  position: z.string().max(2_000).nullable(),
  /** Followed without a break since then; null: not followed now. */
  since: instantSchema.nullable(),
  /** When the source last said anything, if only that nothing has changed. */
  heardAt: instantSchema.nullable(),
  /** Why it is not followed: a code. */
  trouble: z.string().nullable(),
  /** Changes of these objects that were not named one by one; a run that begins at `at` or later finds them. */
  owed: z
    .object({ objects: z.union([z.literal('all'), z.array(z.string()).min(1)]), at: instantSchema })
    .nullable(),
});
export type Topic = z.infer<typeof topicSchema>;
