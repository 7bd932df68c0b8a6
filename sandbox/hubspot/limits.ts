/** Rate limits as HubSpot keeps them: a rolling ten seconds and a day per app, and a second for search alone. */
import { HubError } from './hub-error.ts';
import type { Behaviour } from './hub.ts';

export type Policy = 'TEN_SECONDLY_ROLLING' | 'SECONDLY' | 'DAILY';

const TEN_SECONDS_MS = 10_000;
const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

export class Limits {
  private readonly behaviour: Behaviour;
  private recent: number[] = [];
  private searches: number[] = [];
  private day = 0;
  daily = 0;

  constructor(behaviour: Behaviour) {
    this.behaviour = behaviour;
  }

  /** Counts a call, or refuses it. Bursts go by the real time, the day by the account's. */
  spend(wallMs: number, accountMs: number, isSearch: boolean): Record<string, string> {
    const { behaviour } = this;
    this.startDay(accountMs);
    this.recent = this.recent.filter((at) => at > wallMs - TEN_SECONDS_MS);
    this.searches = this.searches.filter((at) => at > wallMs - SECOND_MS);
    if (this.daily >= behaviour.dailyCallsMax) throw this.refusal('DAILY');
    if (this.recent.length >= behaviour.tenSecondCallsMax) throw this.refusal('TEN_SECONDLY_ROLLING');
    if (isSearch && this.searches.length >= behaviour.searchesPerSecondMax) throw this.refusal('SECONDLY');
    this.daily++;
    this.recent.push(wallMs);
    if (isSearch) this.searches.push(wallMs);
    // Answers of search carry none of these headers.
    return isSearch ? {} : this.headers();
  }

  private startDay(accountMs: number): void {
    const day = Math.floor(accountMs / DAY_MS);
    if (day !== this.day) this.daily = 0;
    this.day = day;
  }

  private headers(): Record<string, string> {
    const { dailyCallsMax, tenSecondCallsMax } = this.behaviour;
    return {
      'x-hubspot-ratelimit-daily': String(dailyCallsMax),
      'x-hubspot-ratelimit-daily-remaining': String(Math.max(0, dailyCallsMax - this.daily)),
      'x-hubspot-ratelimit-interval-milliseconds': String(TEN_SECONDS_MS),
      'x-hubspot-ratelimit-max': String(tenSecondCallsMax),
      'x-hubspot-ratelimit-remaining': String(Math.max(0, tenSecondCallsMax - this.recent.length)),
    };
  }

  /** The refusal of one limit. HubSpot often leaves Retry-After out, and so does this unless the behaviour says a number. */
  refusal(policy: Policy, retryAfterS = this.behaviour.retryAfterS): HubError {
    const limit = policy === 'TEN_SECONDLY_ROLLING' ? 'ten_secondly_rolling' : policy.toLowerCase();
    return new HubError(
      429,
      '',
      `You have reached your ${limit} limit.`,
      { errorType: 'RATE_LIMIT', policyName: policy, groupName: `publicapi:private-app-api-calls-${limit}` },
      retryAfterS === null ? {} : { 'retry-after': String(retryAfterS) },
    );
  }

  usage(accountMs: number): { readonly used: number; readonly resetsAtMs: number } {
    this.startDay(accountMs);
    return { used: this.daily, resetsAtMs: (this.day + 1) * DAY_MS };
  }

  reset(): void {
    this.daily = 0;
    this.recent = [];
    this.searches = [];
  }
}
