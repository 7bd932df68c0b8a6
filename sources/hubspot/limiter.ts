import { setTimeout as delay } from 'node:timers/promises';

export interface LimiterRule {
  /** Calls per second when nothing was refused lately. */
  perSecondMax: number;
  /** Calls that may go at once after a pause. */
  burst: number;
}

export interface LimiterClock {
  now: () => number;
  sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

const REAL_CLOCK: LimiterClock = {
  now: () => performance.now(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

/** Never slower than one call in two seconds: a source that grants less is not busy but broken. */
const PER_SECOND_MIN = 0.5;
const DECREASE = 0.5;
/** Share of the full rate that each granted call gives back: fifty calls from the floor to the top. */
const INCREASE_SHARE = 0.02;

/**
 * A token bucket whose rate halves when the source refuses a call and grows back with each that it grants: other programs
 * share the source's limit, so nobody knows how much of it is ours.
 */
export class Limiter {
  private readonly rule: LimiterRule;
  private readonly clock: LimiterClock;
  private tokens: number;
  private at: number;
  private pausedUntil = 0;
  private rate: number;

  constructor(rule: LimiterRule, clock: LimiterClock = REAL_CLOCK) {
    this.rule = rule;
    this.clock = clock;
    this.tokens = rule.burst;
    this.at = clock.now();
    this.rate = rule.perSecondMax;
  }

  /** Calls per second right now. */
  perSecond(): number {
    return this.rate;
  }

  /** Resolves when one call may go. Callers are served in the order in which they came. */
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const now = this.clock.now();
    this.tokens = Math.min(this.rule.burst, this.tokens + ((now - this.at) * this.rate) / 1000);
    this.at = now;
    // A debt is a place in the queue: whoever comes later waits longer.
    this.tokens -= 1;
    const owedMs = this.tokens < 0 ? (-this.tokens / this.rate) * 1000 : 0;
    const waitMs = Math.max(owedMs, this.pausedUntil - now);
    if (waitMs > 0) await this.clock.sleep(waitMs, signal);
  }

  granted(): void {
    this.rate = Math.min(this.rule.perSecondMax, this.rate + this.rule.perSecondMax * INCREASE_SHARE);
  }

  /** Nobody calls before the pause is over, and then at half the rate. */
  refused(pauseMs: number): void {
    this.rate = Math.max(PER_SECOND_MIN, this.rate * DECREASE);
    this.tokens = Math.min(this.tokens, 0);
    this.pausedUntil = Math.max(this.pausedUntil, this.clock.now() + pauseMs);
  }
}
