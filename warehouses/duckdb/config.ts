import { z } from 'zod';

export const duckdbConfigSchema = z.strictObject({
  kind: z.literal('duckdb'),
  /** The warehouse file; its folder is created. */
  path: z.string().min(1),
  /** Memory of the embedded database; the worker's own default when absent. */
  memoryMb: z.number().int().min(100).optional(),
  threads: z.number().int().min(1).max(256).optional(),
  /** How long to wait for another process to let go of the file. */
  lockWaitMsMax: z.number().int().min(0).max(600_000).default(60_000),
});
export type DuckdbConfig = z.output<typeof duckdbConfigSchema>;
