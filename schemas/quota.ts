/** The source's own daily count of calls. */
export interface Quota {
  used: number;
  limit: number;
}

/** Why a call is made: the token bucket keeps a reserve per class (webhook > hourly > backfill). */
export type CallClass = 'webhook' | 'hourly' | 'backfill';
