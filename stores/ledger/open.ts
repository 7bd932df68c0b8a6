import { existsSync } from 'node:fs';
import { HeadwaterError } from '../../rules/errors.ts';
import type { LedgerPlace } from '../place.ts';
import type { Ledger } from './ledger.ts';
import { openPostgresLedger } from './postgres.ts';
import { openSqliteLedger } from './sqlite.ts';

/** `existing`: never makes one, since an empty ledger would look like lost data; INPUT_INVALID when there is none. */
export async function openLedgerAt(
  place: LedgerPlace,
  { existing = false }: { existing?: boolean } = {},
): Promise<Ledger> {
  if (place.kind === 'postgres') return await openPostgresLedger({ ...place, existing });
  if (!existing || existsSync(place.path)) return await openSqliteLedger({ path: place.path });
  throw new HeadwaterError('INPUT_INVALID', `there is no ledger at ${place.path}: nothing has run yet`, {
    remedy: 'Start with `npx headwater start`, or set HEADWATER_HOME to the folder of the installation.',
  });
}
