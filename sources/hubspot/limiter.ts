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

const TOKEN_DUST = 1e-6;
/** Each wait ends at the time that was right when it began; a refusal meanwhile asks for another one. */
const WAITS_MAX = 100;
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
  private queue: Promise<void> = Promise.resolve();

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
  take(signal?: AbortSignal): Promise<void> {
    const turn = this.queue.then(() => this.serve(signal));
    // Whoever gives up must not hold up the others, nor wait for their turn to say so.
    this.queue = turn.catch(() => undefined);
    return signal === undefined ? turn : orAborted(turn, signal);
  }

  /** One caller at a time, counted when it really goes: a process that stood still does not let a crowd go at once. */
  private async serve(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    for (let n = 0; n < WAITS_MAX; n++) {
      const now = this.clock.now();
      this.tokens = Math.min(this.rule.burst, this.tokens + ((now - this.at) * this.rate) / 1000);
      this.at = now;
      // A timer may fire a moment early, and tokens are sums of fractions.
      const owedMs = this.tokens + TOKEN_DUST < 1 ? ((1 - this.tokens) / this.rate) * 1000 : 0;
      const waitMs = Math.max(owedMs, this.pausedUntil - now);
      if (waitMs <= 0) break;
      await this.clock.sleep(Math.ceil(waitMs), signal);
    }
    this.tokens -= 1;
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

function orAborted(turn: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the reason is passed on unchanged.
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    turn.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
