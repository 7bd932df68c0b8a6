import { z } from 'zod';
import type { Kinds } from '../../../config/parse-config.ts';

/** A source kind with every shape that a real one uses, so that these tests do not move with any connector. */
export const KINDS: Kinds = {
  sources: {
    crm: {
      config: z.strictObject({
        url: z.url().default('https://crm.example.com'),
        version: z
          .string()
          .regex(/^\d+\.\d$/, 'write a version such as 66.0')
          .default('66.0'),
        auth: z.discriminatedUnion('grant', [
          z.strictObject({ grant: z.literal('client'), id: z.string().min(1), secret: z.string().min(1) }),
          z.strictObject({ grant: z.literal('token'), token: z.string().min(1) }),
        ]),
        pageRows: z.number().int().optional(),
      }),
      capabilities: { lagMs: 300_000, lookbackMs: 600_000 },
      webhooks: {
        config: z.strictObject({
          secrets: z.array(z.string().min(1)).min(1, 'names no secret'),
          account: z.number().int().optional(),
        }),
      },
    },
  },
  warehouses: { duckdb: { config: z.strictObject({ kind: z.literal('duckdb'), path: z.string() }) } },
};

export function valid(): Record<string, unknown> {
  return {
    connections: {
      acme: {
        kind: 'crm',
        objects: ['Contact'],
        auth: { grant: 'client', id: 'me', secret: { $secret: { env: 'ACME_SECRET' } } },
      },
    },
    warehouse: { kind: 'duckdb', path: 'w.duckdb' },
  };
}
