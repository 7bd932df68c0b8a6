import { createHash, timingSafeEqual } from 'node:crypto';

/** Senders' clocks and ours may differ by so much, into either direction; what is older may be a replay. */
const CLOCK_MS_MAX = 5 * 60_000;
const DIGITS = /^\d{1,16}$/;

/** Whether a time that a sender wrote, in units of `unitMs`, is neither old nor in the future. */
export function isCurrent(written: string | undefined, unitMs: number, nowMs: number): boolean {
  if (written === undefined || !DIGITS.test(written)) return false;
  return Math.abs(nowMs - Number(written) * unitMs) <= CLOCK_MS_MAX;
}

/** Base64 as senders write it, compared with a digest in a time that tells nothing of it. */
export function sameDigest(written: string, digest: Buffer): boolean {
  const given = Buffer.from(written, 'base64');
  // Node reads over what is no base64; only the one spelling of these bytes is a signature.
  return (
    given.length === digest.length && given.toString('base64') === written && timingSafeEqual(given, digest)
  );
}

/** Two secrets of any length, in a time that tells nothing of either. */
export function sameSecret(written: string, secret: string): boolean {
  const [left, right] = [written, secret].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}

/** Of events whose sender gives no id of its own. */
export function eventId(...parts: (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
