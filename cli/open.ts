import { existsSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import { openSqliteLedger } from '../stores/ledger/sqlite.ts';

/** The ledger beside a running worker. A command never creates one: an empty ledger would look like lost data. */
export async function openLedger(config: Config): Promise<Ledger> {
  const { path } = config.ledger;
  if (existsSync(path)) return openSqliteLedger({ path });
  throw new HeadwaterError('INPUT_INVALID', `there is no ledger at ${path}: nothing has run yet`, {
    remedy: 'Start with `npx headwater start`, or set HEADWATER_HOME to the folder of the installation.',
  });
}
