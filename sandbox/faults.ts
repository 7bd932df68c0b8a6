/** Fault injection: each rule matches requests and names what goes wrong with them. Rules are tried in the order they were added. */
export interface FaultMatch {
  readonly method?: string;
  /** A part of the path and query, or a pattern; over HTTP a pattern is written "/source/flags". */
  readonly path?: string | RegExp;
  /** Only the n-th matching request, from 1. */
  readonly nth?: number;
  /** Only matching requests after the first so many. */
  readonly after?: number;
  /** At most so many times; without it, for ever (or once, with nth). */
  readonly times?: number;
}

export type FaultAction =
  | { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  /** Cuts the connection after so many bytes of body, or ends it as if all were well when clean. */
  | { readonly truncateAfterBytes: number; readonly clean?: boolean }
  | { readonly delayMs: number }
  /** Sends the body slowly. */
  | { readonly bytesPerSecond: number }
  | { readonly hang: true }
  | { readonly reset: true }
  /** Handles the request, then cuts the connection before the answer. */
  | { readonly resetAfterWork: true }
  /** 200 with no rows, and a count of none. */
  | { readonly emptyOk: true }
  | { readonly expireToken: true }
  | { readonly failJob: true; readonly message?: string }
  | { readonly expireJob: true }
  | { readonly lastRowDropped: true }
  /** Rows of a page come in another order than was asked for. HubSpot's search only. */
  | { readonly shuffle: true }
  /** HubSpot's refusal by one of its limits. */
  | {
      readonly rateLimit: 'TEN_SECONDLY_ROLLING' | 'SECONDLY' | 'DAILY';
      readonly retryAfterS?: number;
    };

export interface FaultRule {
  readonly match: FaultMatch;
  readonly action: FaultAction;
}

interface ActiveRule extends FaultRule {
  readonly serial: number;
  seen: number;
  used: number;
}

const RULES_MAX = 1000;

export class Faults {
  private rules: ActiveRule[] = [];
  private serial = 0;

  /** Returns a number by which the rule can be removed. */
  add(rule: FaultRule): number {
    if (this.rules.length >= RULES_MAX) throw new Error(`more than ${RULES_MAX} fault rules`);
    this.rules.push({ ...rule, serial: ++this.serial, seen: 0, used: 0 });
    return this.serial;
  }

  remove(serial: number): void {
    this.rules = this.rules.filter((rule) => rule.serial !== serial);
  }

  clear(): void {
    this.rules = [];
  }

  list(): readonly (FaultRule & { seen: number; used: number })[] {
    return this.rules;
  }

  /** What goes wrong with this request, if anything; counts the request against every rule that it matches. */
  take(method: string, url: string): FaultAction | undefined {
    let action: FaultAction | undefined;
    for (const rule of this.rules) {
      if (!matches(rule.match, method, url)) continue;
      rule.seen++;
      if (action !== undefined || !isDue(rule)) continue;
      rule.used++;
      action = rule.action;
    }
    return action;
  }
}

function matches(match: FaultMatch, method: string, url: string): boolean {
  if (match.method !== undefined && match.method.toUpperCase() !== method) return false;
  if (match.path === undefined) return true;
  return typeof match.path === 'string' ? url.includes(match.path) : match.path.test(url);
}

function isDue(rule: ActiveRule): boolean {
  const { nth, after, times } = rule.match;
  if (nth !== undefined && rule.seen < nth) return false;
  if (after !== undefined && rule.seen <= after) return false;
  return rule.used < (times ?? (nth === undefined ? Number.POSITIVE_INFINITY : 1));
}
