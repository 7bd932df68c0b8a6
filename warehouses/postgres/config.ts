import { z } from 'zod';

/** Each statement that names no key plans all of them. */
const PARTITIONS_MAX = 256;

export const postgresConfigSchema = z.strictObject({
  kind: z.literal('postgres'),
  /** postgres://user:password@host:5432/database?sslmode=verify-full, as a secret. */
  url: z.string().min(1),
  /** Stands before the name of each connection's schema: 'hw_' makes hw_crm of crm. */
  schemaPrefix: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,19}$|^$/, 'is no prefix. Write a to z, 0 to 9 and _, at most 20 characters.')
    .default(''),
  /** Partitions of a new table, by a hash of its key: { 'crm.contact': 16 }. */
  partitions: z
    .record(
      z.string().regex(/^[^.]+\.[^.]+$/, "is no table. Write '<connection>.<table>'."),
      z.number().int().min(2).max(PARTITIONS_MAX),
    )
    .default({}),
  /** Connections to the server at most. */
  connectionsMax: z.number().int().min(2).max(50).default(4),
  /** A statement of a load that runs longer is stopped, ms. */
  statementMsMax: z.number().int().min(1_000).max(86_400_000).default(900_000),
  /** How long a statement waits for another program's lock, ms. */
  lockWaitMsMax: z.number().int().min(100).max(600_000).default(30_000),
});
export type PostgresConfig = z.output<typeof postgresConfigSchema>;
