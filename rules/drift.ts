import type { AuditPolicy, DriftKind, Finding, Rotation } from '../schemas/audit.ts';
import type { Instant } from '../schemas/instant.ts';
import type { Interval } from '../schemas/window.ts';
import { addMs, fromMs, ORIGIN, toMs } from './time.ts';

const DAY_MS = 86_400_000;
/** Ends of the buckets that are counted each time, back from the checkpoint: new rows are looked at more closely. */
const BUCKET_DAYS = [1, 7, 30, 365] as const;

/** Consecutive buckets from the beginning to `until`, oldest first. */
export function auditBuckets(until: Instant): Interval[] {
  const edges = [...BUCKET_DAYS.map((days) => addMs(until, -days * DAY_MS)), until];
  const ends = [...new Set(edges)].filter((edge) => edge > ORIGIN).sort();
  return ends.map((end, index) => ({ from: ends[index - 1] ?? ORIGIN, until: end }));
}

export interface BucketCount {
  /** By the source's own count, records that it marks deleted included. */
  source: number | 'unknown';
  /** In the warehouse, with and without tombstones. */
  all: number;
  alive: number;
}

/**
 * Whether two counts can both be true. The warehouse also keeps tombstones of records that the source has erased, so the
 * source's count lies between its living rows and all of its rows: less what has changed since, which left the bucket, and
 * plus what was set aside. short: rows are missing here. over: rows live here that the source does not have.
 */
export function countVerdict(
  { source, all, alive }: BucketCount,
  slack: { changed: number; aside: number },
): 'agrees' | 'short' | 'over' | 'unknown' {
  if (source === 'unknown') return 'unknown';
  if (source > all + slack.aside) return 'short';
  return source + slack.changed < alive ? 'over' : 'agrees';
}

/** I6: a source that shows less than half of what lives in the warehouse is broken, not small: nothing may follow from it. */
export function looksBroken(source: number | 'unknown', changed: number, alive: number): boolean {
  return source !== 'unknown' && source + changed < alive / 2;
}

/** The two halves of a bucket, down to the millisecond. Null: it cannot be cut. The oldest bucket starts at its first row. */
export function halves({ from, until }: Interval, first: Instant): [Interval, Interval] | null {
  const start = Math.max(toMs(from), Math.min(toMs(first), toMs(until)));
  const middle = fromMs(start + (toMs(until) - start) / 2);
  if (middle <= from || middle >= until) return null;
  return [
    { from, until: middle },
    { from: middle, until },
  ];
}

export interface SourceVersion {
  id: string;
  stamp: Instant;
  deleted: boolean;
}

export interface WarehouseVersion {
  record: string;
  version: Instant | null;
  deleted: boolean;
}

/** Ids of one interval that need a closer look; deleted on both sides, or on one and unknown to the other, is no difference. */
export function differingIds(source: readonly SourceVersion[], held: readonly WarehouseVersion[]): string[] {
  const differing = new Set<string>();
  const alive = new Map(
    held.flatMap(({ record, version, deleted }) => (deleted ? [] : [[record, version] as const])),
  );
  const known = new Set<string>();
  for (const { id, stamp, deleted } of source) {
    known.add(id);
    if (deleted ? alive.has(id) : alive.get(id) !== stamp) differing.add(id);
  }
  for (const id of alive.keys()) if (!known.has(id)) differing.add(id);
  return [...differing];
}

/** One record as it was read again by its id, beside the warehouse's row. */
export interface Compared {
  record: string;
  state: 'same' | 'missing' | 'outdated' | 'kept' | 'lost' | 'altered' | 'newer' | 'aside';
  version: Instant | null;
  columns: readonly string[];
}

export interface Judged {
  findings: Finding[];
  /** In the source and in the warehouse alike, so that the profiles can be compared. */
  agreeing: string[];
}

/**
 * What is drift. `held` was read after the source was asked: a record that the source does not have any more and that lives here
 * is kept. `until` is the checkpoint: what changed since, by its stamp or because it is named in `changed`, is the next
 * window's business and no drift.
 */
export function judge(look: {
  asked: readonly string[];
  compared: readonly Compared[];
  held: readonly WarehouseVersion[];
  changed: ReadonlySet<string>;
  until: Instant;
}): Judged {
  const { asked, compared, held, changed, until } = look;
  const read = new Map(compared.map((row) => [row.record, row]));
  const alive = new Map(
    held.flatMap((row) => (row.deleted ? [] : [[row.record, row.version ?? ORIGIN] as const])),
  );
  const judged: Judged = { findings: [], agreeing: [] };
  for (const record of new Set(asked)) {
    if (changed.has(record)) continue;
    const row = read.get(record);
    if (row === undefined) {
      const version = alive.get(record);
      if (version !== undefined && version < until)
        judged.findings.push({ record, kind: 'kept', fields: [] });
      continue;
    }
    if (row.version !== null && row.version >= until) continue;
    if (row.state === 'same') judged.agreeing.push(record);
    else if (row.state !== 'newer' && row.state !== 'aside')
      judged.findings.push({ record, kind: row.state, fields: [...row.columns] });
  }
  return judged;
}

/** Records that one call brings: ids and stamps come in pages of this size or larger. */
const ROWS_PER_CALL = 2_000;
/** However short the schedule, a run compares at least so many ids. */
const ROWS_PER_RUN_MIN = 1_000;
/** However long, at most so many: bounds memory. */
export const ROWS_PER_RUN_MAX = 200_000;

/** How many ids a run compares, so that all are compared once in `fullPassMs`, or as fast as the quota allows. */
export function rowsPerRun(
  rows: number,
  { everyMs, fullPassMs, quotaShareMax }: Pick<AuditPolicy, 'everyMs' | 'fullPassMs' | 'quotaShareMax'>,
  /** Calls of a day, and objects that share them; null: unknown. */
  quota: { limit: number; objects: number } | null,
): { rowsMax: number; periodMs: number } {
  const runMs = everyMs ?? DAY_MS;
  const wanted = Math.ceil((rows * runMs) / fullPassMs);
  const affordable =
    quota === null
      ? wanted
      : Math.floor((quota.limit * quotaShareMax * runMs) / DAY_MS / Math.max(1, quota.objects)) *
        ROWS_PER_CALL;
  const rowsMax = Math.min(ROWS_PER_RUN_MAX, Math.max(ROWS_PER_RUN_MIN, Math.min(wanted, affordable)));
  return { rowsMax, periodMs: Math.max(1, Math.ceil(rows / rowsMax)) * runMs };
}

/** Counts, changes since, and the records of a sample: what one object costs besides the comparison of ids. */
const CALLS_PER_OBJECT = 15;

/** How many objects an audit may look at within its share of a day's calls; the others come first in the next ones. */
export function objectsPerRun(
  objects: number,
  { everyMs, quotaShareMax }: Pick<AuditPolicy, 'everyMs' | 'quotaShareMax'>,
  limit: number | null,
): number {
  if (limit === null) return objects;
  const calls = (limit * quotaShareMax * (everyMs ?? DAY_MS)) / DAY_MS;
  return Math.min(objects, Math.max(1, Math.floor(calls / CALLS_PER_OBJECT)));
}

export const NOT_ROTATED: Rotation = { cursor: ORIGIN, passBegan: null, lastFullPass: null, periodMs: 0 };

/** After `[cursor, until)` was compared; `whole`: nothing is left behind it. */
export function rotated(
  before: Rotation,
  step: { until: Instant; whole: boolean; at: Instant; periodMs: number },
): Rotation {
  const passBegan = before.passBegan ?? step.at;
  return step.whole
    ? { cursor: ORIGIN, passBegan: null, lastFullPass: step.at, periodMs: step.periodMs }
    : { ...before, cursor: step.until, passBegan, periodMs: step.periodMs };
}

export function countKinds(findings: readonly Finding[]): Partial<Record<DriftKind, number>> {
  const found: Partial<Record<DriftKind, number>> = {};
  for (const { kind } of findings) found[kind] = (found[kind] ?? 0) + 1;
  return found;
}

/** Where the ledger keeps what the last audit of an object made of it, as JSON. */
export const auditKey = (connection: string, object: string): string => `audit/${connection}/${object}`;
