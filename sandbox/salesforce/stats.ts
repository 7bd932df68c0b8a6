/** Counts of calls by kind, for budgets in tests and for the API limits. */
export interface StatsReport {
  /** Calls under /services/data on this day of the org's clock, or since the last reset. */
  readonly apiRequests: number;
  readonly calls: Readonly<Record<string, number>>;
}

export class Stats {
  apiRequests = 0;
  bulkQueryJobs = 0;
  private day = 0;
  private readonly calls = new Map<string, number>();

  /** The limits start anew each day (UTC). */
  startDay(nowMs: number): void {
    const day = Math.floor(nowMs / 86_400_000);
    if (day === this.day) return;
    this.day = day;
    this.apiRequests = 0;
    this.bulkQueryJobs = 0;
  }

  count(kind: string): void {
    this.calls.set(kind, (this.calls.get(kind) ?? 0) + 1);
  }

  of(kind: string): number {
    return this.calls.get(kind) ?? 0;
  }

  report(): StatsReport {
    return { apiRequests: this.apiRequests, calls: Object.fromEntries(this.calls) };
  }

  reset(): void {
    this.apiRequests = 0;
    this.bulkQueryJobs = 0;
    this.calls.clear();
  }
}

const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^\/services\/oauth2\/(\w+)/, 'oauth.$1'],
  [/^\/services\/data\/v[\d.]+\/jobs\/query\/\w+\/results$/, 'bulk.results'],
  [/^\/services\/data\/v[\d.]+\/jobs\/query\/\w+\/resultPages$/, 'bulk.resultPages'],
  [/^\/services\/data\/v[\d.]+\/jobs\/query\/\w+$/, 'bulk.job'],
  [/^\/services\/data\/v[\d.]+\/jobs\/query$/, 'bulk.jobs'],
  [/^\/services\/data\/v[\d.]+\/(query|queryAll)\/.+$/, 'rest.queryMore'],
  [/^\/services\/data\/v[\d.]+\/(query|queryAll)$/, 'rest.$1'],
  [/^\/services\/data\/v[\d.]+\/sobjects\/\w+\/(describe|updated|deleted)$/, 'rest.$1'],
  [/^\/services\/data\/v[\d.]+\/sobjects$/, 'rest.describeGlobal'],
  [/^\/services\/data\/v[\d.]+\/sobjects\/.+$/, 'rest.record'],
  [/^\/services\/data\/v[\d.]+\/limits$/, 'rest.limits'],
];

/** The kind of a call, such as "rest.query", or "PATCH rest.record" for methods other than GET. */
export function callKind(method: string, path: string): string {
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  for (const [pattern, name] of KINDS) {
    const match = pattern.exec(trimmed);
    if (match !== null) return (method === 'GET' ? '' : `${method} `) + name.replace('$1', match[1] ?? '');
  }
  return `${method} other`;
}
