import { existsSync } from 'node:fs';
import { ledgerPlace } from '../config/ledger.ts';
import type { Config } from '../config/schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import { openLedgerAt } from '../stores/ledger/open.ts';

/** The ledger beside a running worker. A command never creates one: an empty ledger would look like lost data. */
export async function openLedger(config: Config): Promise<Ledger> {
  return await openLedgerAt(ledgerPlace(config), { existing: true });
}

/** Undefined when nothing has run yet. */
export async function ledgerIfAny(config: Config): Promise<Ledger | undefined> {
  try {
    return await openLedger(config);
  } catch (error) {
    if (error instanceof HeadwaterError && error.code === 'INPUT_INVALID') return undefined;
    throw error;
  }
}

/** Whether something may have run: a file that is missing tells, a Postgres has to be asked. */
export function mayHaveLedger({ ledger }: Config): boolean {
  return ledger.kind === 'postgres' || existsSync(ledger.path);
}

/** Whether there can be profiles: as above. */
export function mayHaveClaims({ ledger, profiles }: Config): boolean {
  return profiles !== undefined && (ledger.kind === 'postgres' || existsSync(profiles.path));
}
