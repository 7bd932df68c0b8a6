import { fromMs } from '../../../rules/time.ts';
import { assertQuota, type Bucket, takeTokens } from '../../../rules/tokens.ts';
import type { Instant } from '../../../schemas/instant.ts';
import type { CallClass, Quota } from '../../../schemas/quota.ts';
import type { BucketPolicy, TokenGrant } from '../ledger.ts';
import { integer } from '../../row.ts';
import type { LedgerDatabase } from './database.ts';

export function take(
  db: LedgerDatabase,
  connection: string,
  calls: number,
  callClass: CallClass,
  policy: BucketPolicy,
  now: number,
): TokenGrant {
  assertQuota(connection, quotaRow(db, connection), callClass, policy.quotaShareMax, now);
  const row = db.get('SELECT tokens, at_ms FROM buckets WHERE connection = ?', connection);
  const stored: Bucket | null =
    row === undefined ? null : { tokens: integer(row, 'tokens'), atMs: integer(row, 'at_ms') };
  const { bucket, granted, waitMs } = takeTokens(stored, calls, callClass, policy, now);
  db.run(
    `INSERT INTO buckets (connection, tokens, at_ms) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET tokens = excluded.tokens, at_ms = excluded.at_ms`,
    connection,
    bucket.tokens,
    Math.floor(bucket.atMs),
  );
  return { granted, waitMs };
}

/** Reports of several workers may arrive out of order: an older one changes nothing. */
export function reportQuota(db: LedgerDatabase, connection: string, quota: Quota, now: number): void {
  db.run(
    `INSERT INTO quotas (connection, used, call_limit, at_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET used = excluded.used, call_limit = excluded.call_limit, at_ms = excluded.at_ms
     WHERE excluded.at_ms >= at_ms`,
    connection,
    quota.used,
    quota.limit,
    Math.floor(now),
  );
}

export function readQuota(db: LedgerDatabase, connection: string): (Quota & { at: Instant }) | null {
  const row = quotaRow(db, connection);
  return row === null ? null : { used: row.used, limit: row.limit, at: fromMs(row.atMs) };
}

function quotaRow(db: LedgerDatabase, connection: string): (Quota & { atMs: number }) | null {
  const row = db.get('SELECT used, call_limit, at_ms FROM quotas WHERE connection = ?', connection);
  if (row === undefined) return null;
  return { used: integer(row, 'used'), limit: integer(row, 'call_limit'), atMs: integer(row, 'at_ms') };
}
