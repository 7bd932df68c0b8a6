import { z } from 'zod';
import { instantSchema } from './instant.ts';

/** When a periodic re-reading was last started, and by which run. */
export const resyncStateSchema = z.object({ at: instantSchema, run: z.string() });
export type ResyncState = z.infer<typeof resyncStateSchema>;
