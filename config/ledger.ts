import { z } from 'zod';
import type { Config } from './schema.ts';
import { isSecretReference, resolveSecrets, type SecretReference } from './secrets.ts';

/** The ledger, and the claims beside it: one file each, or tables of one schema of a Postgres for several machines. */
export const ledgerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sqlite').default('sqlite'),
    path: z.string().min(1).default('ledger.db'),
  }),
  z.strictObject({
    kind: z.literal('postgres'),
    /** postgres://user:password@host:5432/database?sslmode=verify-full, as a secret. */
    // I5: what is no reference may be an address with a password, and a mistake must not repeat it.
    url: z.custom<SecretReference>(isSecretReference, "is no secret. Write env('HEADWATER_LEDGER_URL')."),
    schema: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'is no plain name of a schema. Write a to z, 0 to 9 and _.')
      .default('headwater'),
  }),
]);

/** With the address in place of its reference: for whoever is about to connect, never stored or logged (I5). */
export type LedgerPlace =
  | { kind: 'sqlite'; path: string }
  | { kind: 'postgres'; url: string; schema: string };

export function ledgerPlace(
  { ledger }: Pick<Config, 'ledger'>,
  environment: NodeJS.ProcessEnv = process.env,
): LedgerPlace {
  if (ledger.kind === 'sqlite') return ledger;
  return { ...ledger, url: String(resolveSecrets(ledger.url, 'ledger.url', environment)) };
}

/** For people: nothing of the address. */
export function ledgerWords({ ledger }: Pick<Config, 'ledger'>): string {
  return ledger.kind === 'sqlite' ? ledger.path : `Postgres, schema ${ledger.schema}`;
}
