import { z } from 'zod';
import { sources } from '../sources/registry.ts';
import type { Kinds } from './parse-config.ts';

/** The kinds of source and warehouse that this installation has. */
export function registeredKinds(): Kinds {
  return {
    sources: { ...sources },
    warehouses: {
      duckdb: { config: z.strictObject({ kind: z.literal('duckdb'), path: z.string().min(1) }) },
    },
  };
}
