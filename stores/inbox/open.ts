import { existsSync } from 'node:fs';
import { HeadwaterError } from '../../rules/errors.ts';
import type { LedgerPlace } from '../place.ts';
import type { Inbox } from './inbox.ts';
import { openPostgresInbox } from './postgres.ts';
import { openSqliteInbox } from './sqlite.ts';

/** What a configuration says of the inbox. */
export interface InboxConfig {
  /** That of the ledger: an inbox is in the same kind of place. Without it: a file. */
  place?: LedgerPlace;
  /** A file of its own. */
  path: string;
  /** Events of all connections that may wait; see Inbox.accept. */
  waitingMax: number;
  /** INPUT_INVALID instead of making one. */
  existing?: boolean;
}

export async function openInbox(config: InboxConfig): Promise<Inbox> {
  const { place, path, waitingMax, existing = false } = config;
  if (place?.kind === 'postgres') return await openPostgresInbox({ ...place, waitingMax, existing });
  if (!existing || existsSync(path)) return await openSqliteInbox({ path, waitingMax });
  throw new HeadwaterError('INPUT_INVALID', `there is no inbox at ${path}: nothing was accepted yet`, {
    remedy: 'Start the listener with `npx headwater start` or `npx headwater serve`.',
  });
}
