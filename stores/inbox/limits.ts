import type { Instant } from '../../schemas/instant.ts';
import { HeadwaterError } from '../../rules/errors.ts';

export const RETRY_AFTER_MS = 5_000;
/** Kinds of trouble that are told. */
export const TROUBLES_MAX = 100;
/** As JSON text: whoever looks at many unread events at once needs no documents. */
export const UNREAD_CHARS_MAX = 4_096;
/** Rows that one transaction removes: no webhook waits for a day's ids to go. */
export const PRUNE_ROWS_MAX = 5_000;

export function later(one: Instant | null, other: Instant | null): Instant | null {
  if (one === null || other === null) return one ?? other;
  return one > other ? one : other;
}

export function full(waiting: number): HeadwaterError {
  return new HeadwaterError('INBOX_FULL', `${waiting} events wait already`, { retryAfterMs: RETRY_AFTER_MS });
}

/** I5: a store's own message may repeat a value, so only its code is passed on. */
export function unavailable(code: string): HeadwaterError {
  return new HeadwaterError('INBOX_UNAVAILABLE', `the inbox cannot be used (${code})`, {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
