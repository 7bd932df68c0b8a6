import { fromMs } from '../../../rules/time.ts';
import { assertQuota, type Bucket, takeTokens } from '../../../rules/tokens.ts';
import type { Instant } from '../../../schemas/instant.ts';
import type { CallClass, Quota } from '../../../schemas/quota.ts';
import type { Transaction } from '../../postgres.ts';
import type { BucketPolicy, TokenGrant } from '../ledger.ts';
import { integer } from '../../row.ts';

export async function take(
  tx: Transaction,
  connection: string,
  calls: number,
  callClass: CallClass,
  policy: BucketPolicy,
  now: number,
): Promise<TokenGrant> {
  assertQuota(connection, await quotaRow(tx, connection), callClass, policy.quotaShareMax, now);
  // Two that come first at once must not both begin with a full bucket.
  await tx.run(
    'INSERT INTO buckets (connection, tokens, at_ms) VALUES ($1, -1, 0) ON CONFLICT DO NOTHING',
    connection,
  );
  const row = await tx.get('SELECT tokens, at_ms FROM buckets WHERE connection = $1 FOR UPDATE', connection);
  const stored: Bucket | null =
    row === undefined || row['tokens'] === -1
      ? null
      : { tokens: integer(row, 'tokens'), atMs: integer(row, 'at_ms') };
  const { bucket, granted, waitMs } = takeTokens(stored, calls, callClass, policy, now);
  await tx.run(
    'UPDATE buckets SET tokens = $2, at_ms = $3 WHERE connection = $1',
    connection,
    bucket.tokens,
    Math.floor(bucket.atMs),
  );
  return { granted, waitMs };
}

/** Reports of several workers may arrive out of order: an older one changes nothing. */
export async function reportQuota(
  tx: Transaction,
  connection: string,
  quota: Quota,
  now: number,
): Promise<void> {
  await tx.run(
    `INSERT INTO quotas AS old (connection, used, call_limit, at_ms) VALUES ($1, $2, $3, $4)
     ON CONFLICT (connection) DO UPDATE SET used = excluded.used, call_limit = excluded.call_limit, at_ms = excluded.at_ms
     WHERE excluded.at_ms >= old.at_ms`,
    connection,
    quota.used,
    quota.limit,
    Math.floor(now),
  );
}

export async function readQuota(
  tx: Transaction,
  connection: string,
): Promise<(Quota & { at: Instant }) | null> {
  const row = await quotaRow(tx, connection);
  return row === null ? null : { used: row.used, limit: row.limit, at: fromMs(row.atMs) };
}

async function quotaRow(tx: Transaction, connection: string): Promise<(Quota & { atMs: number }) | null> {
  const row = await tx.get('SELECT used, call_limit, at_ms FROM quotas WHERE connection = $1', connection);
  if (row === undefined) return null;
  return { used: integer(row, 'used'), limit: integer(row, 'call_limit'), atMs: integer(row, 'at_ms') };
}
