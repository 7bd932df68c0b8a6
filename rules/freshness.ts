import type { Instant } from '../schemas/instant.ts';
import { toMs } from './time.ts';

/** Without a configuration: intervals of the schedule after which the copy is late, and stale. */
const WARN_INTERVALS = 1.5;
export const STALE_INTERVALS = 2;

export interface FreshnessLimits {
  warnMs: number;
  errorMs: number;
}

/** As the configuration says it, ms; an object's own part goes before the connection's. */
export interface FreshnessPolicy {
  warnAfter?: number | undefined;
  errorAfter?: number | undefined;
  objects: Readonly<
    Record<string, { warnAfter?: number | undefined; errorAfter?: number | undefined } | undefined>
  >;
}

/** A warning never comes after the error: who asks for a later warning alone moves the error with it. */
export function freshnessLimits(policy: FreshnessPolicy, object: string, everyMs: number): FreshnessLimits {
  const own = Object.hasOwn(policy.objects, object) ? policy.objects[object] : undefined;
  const warn = own?.warnAfter ?? policy.warnAfter;
  const error = own?.errorAfter ?? policy.errorAfter;
  const errorMs = error ?? Math.max(STALE_INTERVALS * everyMs, warn ?? 0);
  return { warnMs: Math.min(warn ?? WARN_INTERVALS * everyMs, errorMs), errorMs };
}

/** never: no first load yet. */
export type FreshnessState = 'fresh' | 'late' | 'stale' | 'never' | 'paused';

export interface Freshness {
  state: FreshnessState;
  lagMs: number | null;
}

/**
 * By the end of the gap-free coverage, that is by the last success, never by the newest row: a quiet source is not stale, and a
 * broken one is not fresh because somebody edited a record shortly before.
 */
export function freshnessOf(
  landed: Instant | null,
  now: Instant,
  limits: FreshnessLimits,
  paused: boolean,
): Freshness {
  const lagMs = landed === null ? null : Math.max(0, toMs(now) - toMs(landed));
  if (paused) return { state: 'paused', lagMs };
  if (lagMs === null) return { state: 'never', lagMs };
  return { state: lagMs > limits.errorMs ? 'stale' : lagMs > limits.warnMs ? 'late' : 'fresh', lagMs };
}

/** What an alarm goes by. */
export const isStale = ({ state }: Pick<Freshness, 'state'>): boolean =>
  state === 'stale' || state === 'never';

const WORST: readonly FreshnessState[] = ['stale', 'never', 'late', 'fresh', 'paused'];

/** Of a source: that of its worst object. */
export function worstOf(states: readonly FreshnessState[]): FreshnessState {
  return WORST.find((state) => states.includes(state)) ?? 'never';
}
