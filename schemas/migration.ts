import { z } from 'zod';
import { tuningSchema } from './inputs.ts';
import type { RunSummary } from './run.ts';

/** Input of the workflow `migrate`. */
export const migrateInputSchema = z.strictObject({
  connection: z.string().min(1),
  /** The warehouse that gets everything, by its name in the ledger. */
  sink: z.string().min(1),
  /** Some objects of the connection; all that are configured when absent. */
  objects: z.array(z.string().min(1)).min(1).optional(),
  /** Objects that are read at once, 1–16. */
  maxActive: z.number().int().min(1).max(16).default(2),
  dryRun: z.boolean().default(false),
  /** Lets a whole read go on although the warehouse would lose far more rows than usual. */
  allowShrink: z.boolean().optional(),
  tuning: tuningSchema.optional(),
});
export type MigrateInput = z.input<typeof migrateInputSchema>;

/** What one object takes. level: nothing. stage: what is staged is enough. read: it is read whole again. */
export interface MigrationObject {
  object: string;
  way: 'level' | 'stage' | 'read' | 'no first load';
  /** Windows that the stage still holds, and their rows. */
  stagedWindows: number;
  stagedRows: number;
  /** Rows to read again, by the source's own count; null: unknown, or none. */
  readRows: number | null;
}

export interface MigrationPlan {
  connection: string;
  sink: string;
  objects: MigrationObject[];
  /** Whether golden tables, their history and the event log are there too; absent where there are no profiles. */
  golden?: 'level' | 'behind' | undefined;
  /** Calls of the source that reading again takes, estimated. */
  calls: number;
  quota: { used: number; limit: number } | null;
}

export interface MigrationResult {
  /** As it was found. */
  plan: MigrationPlan;
  /** Null for a dry run, and where nothing was missing. */
  run: RunSummary | null;
  /** Objects that still lack something. */
  left: string[];
}
