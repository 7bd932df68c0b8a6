import type { BucketPlace } from '../buckets/place.ts';

/** Where a configuration has its ledger, and its claims beside it; the address is a secret (I5). */
export type LedgerPlace =
  | { kind: 'sqlite'; path: string }
  | { kind: 'postgres'; url: string; schema: string };

/**
 * Where a configuration has its stage. `path`: the folder itself, or where files of a bucket are on their way. `prefix` is empty or ends
 * with a slash. Logins are secrets (I5).
 */
export type StagePlace = { kind: 'disk'; path: string } | (BucketPlace & { path: string; prefix: string });
