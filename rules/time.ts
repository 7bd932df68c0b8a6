import type { Instant } from '../schemas/instant.ts';
import { HeadwaterError } from './errors.ts';

/**
 * The same value as in schemas/instant.ts (a test compares them): rules run inside workflows, where importing the
 * schemas would put zod into the replayed bundle.
 */
export const ORIGIN: Instant = '0001-01-01T00:00:00.000Z';

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  /** 365 days. */
  y: 31_536_000_000,
};

/** Milliseconds since 1970. Refuses what is not a whole UTC instant, so that a wrong text never becomes NaN in a window. */
export function toMs(instant: Instant): number {
  const ms = INSTANT.test(instant) ? Date.parse(instant) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new HeadwaterError(
      'INPUT_INVALID',
      `"${instant}" is not a UTC time such as 2026-11-21T08:00:00.000Z`,
    );
  }
  return ms;
}

/** Fractions of a millisecond are cut off. Nothing is earlier than ORIGIN. */
export function fromMs(ms: number): Instant {
  const whole = Math.floor(ms);
  if (!(whole <= MS_MAX))
    throw new HeadwaterError('INPUT_INVALID', `${ms} ms is outside the years 1 to 9999`);
  return whole <= ORIGIN_MS ? ORIGIN : new Date(whole).toISOString();
}

const ORIGIN_MS = Date.parse(ORIGIN);
const MS_MAX = Date.parse('9999-12-31T23:59:59.999Z');

/** ORIGIN stands for -inf and stays where it is; anything else that would pass it stops there. */
export function addMs(instant: Instant, ms: number): Instant {
  return instant === ORIGIN ? ORIGIN : fromMs(toMs(instant) + ms);
}

/** `1h`, `90s`, `1h30m`, `7d`, `2y` in milliseconds; undefined when it is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return undefined;
  const parts = text.matchAll(/(\d+)(ms|[smhdwy])/g);
  const ms = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (DURATION_UNITS_MS[unit ?? ''] ?? 0),
    0,
  );
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** The newest whole multiple of `everyMs` since 1970 UTC that is not after `instant`: hours and days fall on the clock's. */
export function gridFloor(instant: Instant, everyMs: number): Instant {
  if (instant === ORIGIN) return ORIGIN;
  return fromMs(Math.floor(toMs(instant) / gridStep(everyMs)) * everyMs);
}

function gridStep(everyMs: number): number {
  if (!Number.isSafeInteger(everyMs) || everyMs <= 0) {
    throw new HeadwaterError(
      'INPUT_INVALID',
      `a schedule needs a whole, positive number of milliseconds, not ${everyMs}`,
    );
  }
  return everyMs;
}

export function earliest(first: Instant, second: Instant): Instant {
  return first <= second ? first : second;
}

export function latest(first: Instant, second: Instant): Instant {
  return first >= second ? first : second;
}
