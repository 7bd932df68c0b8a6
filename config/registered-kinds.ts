import { z } from 'zod';
import { salesforceConfigSchema } from '../sources/salesforce/config.ts';
import type { Kinds } from './parse-config.ts';

/** The kinds of source and warehouse that this installation has. */
export function registeredKinds(): Kinds {
  return {
    sources: {
      salesforce: { config: salesforceConfigSchema, capabilities: { lagMs: 300_000, lookbackMs: 600_000 } },
    },
    warehouses: {
      duckdb: { config: z.strictObject({ kind: z.literal('duckdb'), path: z.string().min(1) }) },
    },
  };
}
