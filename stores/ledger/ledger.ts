import type { Batch, LoadReceipt } from '../../schemas/batch.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { Cursor, StagedPage } from '../../schemas/page.ts';
import type { CallClass, Quota } from '../../schemas/quota.ts';
import type { Receipt } from '../../schemas/receipt.ts';
import type { RunSummary } from '../../schemas/run.ts';
import type { SinkState } from '../../schemas/sink.ts';
import type { Interval, Owner, Slice, Window } from '../../schemas/window.ts';

/** What one run asks of one object; see rules/windows.ts for what comes of it. */
export interface PlanRequest {
  connection: string;
  object: string;
  owner: Owner;
  /** U: where the window would end. Already lowered to what the source can prove visible. */
  until: Instant;
  /** How far before `from` reads start, ms. */
  lookbackMs: number;
  /** Set for a backfill: the interval to read again. */
  past?: Interval;
  /** Set for a partial window over `past`: only these fields. */
  fields?: string[];
  /** Owners of open windows whose workflow execution has closed; only their windows can be taken over. */
  closedOwners: Owner[];
  now: Instant;
}

export type PlanResult =
  | { kind: 'window'; window: Window; resumed: boolean }
  /** U is not after the checkpoint: nothing to do. */
  | { kind: 'current'; checkpoint: Instant }
  /** A live run works on a window that reaches U, or that holds the whole past interval. */
  | { kind: 'in-progress'; owner: Owner }
  | { kind: 'first-load-missing' };

export interface SliceProgress {
  slice: Slice;
  cursor: Cursor | null;
  pages: StagedPage[];
  /** The last page is in: extraction of this slice is complete. */
  extracted: boolean;
  batch: Batch | null;
}

export interface WindowProgress {
  window: Window;
  schema: ObjectSchema;
  /** Source-clock time at which reading began. */
  readAt: Instant;
  countBefore: number | null;
  slices: SliceProgress[];
  receipt: Receipt | null;
}

export interface TokenGrant {
  granted: boolean;
  /** When not granted: how long until it is worth asking again, ms. */
  waitMs: number;
}

export interface BucketPolicy {
  /** Calls per second that flow into the bucket, and how many it holds. */
  perSecond: number;
  burst: number;
  /** The stop line: share of the daily quota (0–1) from which on no call of the class is made. */
  quotaShareMax: Record<CallClass, number>;
}

export interface PruneRequest {
  sink: string;
  /** Windows and runs that were made before this go. */
  before: Instant;
  /** Windows, and runs, that go at once: one short transaction. */
  rowsMax: number;
}

/** Old windows, with slices and receipts, and old runs. */
export interface Pruned {
  windows: number;
  runs: number;
}

/**
 * The transactional truth of coverage, windows, slices, runs and token buckets. Every method is one transaction; all may be
 * called by several processes at once. `attempt` below a window's own => ATTEMPT_OUTDATED (I3).
 */
export interface Ledger {
  /** One immediate transaction: decides by rules/windows.ts and stores the window it opens or takes over. */
  planWindow(request: PlanRequest): Promise<PlanResult>;
  /** The same for many objects in one transaction, results in the order of the requests: the idle path. */
  planWindows(requests: PlanRequest[]): Promise<PlanResult[]>;
  /**
   * Stores slices, expected schema and the first count of an opened window. Slices equal to the stored ones keep their
   * progress unless `reset`; others replace them with all their pages.
   */
  storePlan(
    window: string,
    attempt: number,
    plan: {
      schema: ObjectSchema;
      slices: Slice[];
      countBefore: number | null;
      readAt: Instant;
      reset?: boolean;
    },
  ): Promise<void>;
  /** INTERNAL before storePlan: there is no schema to show yet. */
  progress(window: string): Promise<WindowProgress>;
  /**
   * The page's bytes are durable. Cursor and page are stored together, so a resume neither skips nor doubles (I2). A page
   * that is stored already is a no-op; another content at its position => ATTEMPT_OUTDATED, since two workers read.
   */
  commitPage(
    window: string,
    attempt: number,
    slice: number,
    page: StagedPage | null,
    cursor: Cursor,
  ): Promise<void>;
  sliceExtracted(window: string, attempt: number, slice: number): Promise<void>;
  /** Forgets pages and cursor of a slice whose job is lost or whose pages do not add up. */
  restartSlice(window: string, attempt: number, slice: number): Promise<void>;
  storeBatch(window: string, attempt: number, slice: number, batch: Batch): Promise<void>;
  storeLoad(sink: string, window: string, attempt: number, receipt: LoadReceipt): Promise<void>;
  loads(sink: string, window: string): Promise<LoadReceipt[]>;
  /** Adds the window to the source's coverage with its receipt; state becomes staged. Repeating is a no-op. */
  commitSource(window: string, attempt: number, receipt: Receipt): Promise<void>;
  /** The same for many windows in one transaction; one refused window refuses all. */
  commitSources(windows: { window: string; attempt: number; receipt: Receipt }[]): Promise<void>;
  /**
   * Adds windows to a sink's coverage and copies the sink's state; repeating is a no-op. The receipt, now with its
   * destination part, takes the place of the one that `commitSource` stored.
   */
  commitSink(
    sink: string,
    windows: { window: string; attempt: number; receipt?: Receipt }[],
    state: SinkState,
  ): Promise<void>;
  /**
   * Gives an open window up; its interval is planned anew by the next run. INPUT_INVALID for one that is staged, unless it is
   * partial or a whole read by a backfill.
   */
  abandonWindow(window: string, reason: string): Promise<void>;

  /** Sorted, disjoint, never touching. */
  coverage(connection: string, object: string): Promise<Interval[]>;
  sinkCoverage(sink: string, connection: string, object: string): Promise<Interval[]>;
  openWindows(connection: string): Promise<Window[]>;
  /** Staged windows that the sink has not landed, oldest first; without those that a later landed window read again. */
  undelivered(sink: string, connection: string): Promise<Window[]>;
  /** Newest first. */
  windows(filter: {
    connection?: string;
    object?: string;
    limit: number;
  }): Promise<(Window & { receipt: Receipt | null })[]>;
  sinkState(sink: string): Promise<SinkState | null>;
  /**
   * After SINK_REWOUND: forgets what the sink had landed (all, or of one connection) and its state. The destination parts of receipts
   * tell of the main warehouse: `keepReceipts` for any other sink.
   */
  resetSink(sink: string, options: { connection?: string; keepReceipts?: boolean }): Promise<void>;
  /** Takes over coverage that the sink proves and this (older) ledger lacks. */
  adoptIntervals(
    sink: string,
    rows: {
      connection: string;
      object: string;
      from: Instant;
      until: Instant;
      window: string;
      receipt: Receipt;
    }[],
    state: SinkState,
  ): Promise<void>;

  startRun(run: RunSummary): Promise<void>;
  endRun(run: RunSummary): Promise<void>;
  /** Newest first. */
  runs(filter: { connection?: string; limit: number }): Promise<RunSummary[]>;

  /**
   * Removes windows and runs past the retention. I3: coverage is kept by itself and loses nothing; open windows, those that wait
   * for the sink, each object's newest and its first load, and each connection's last run stay.
   */
  prune(request: PruneRequest): Promise<Pruned>;
  /** What `prune` would remove, and no more than that. */
  prunable(request: PruneRequest): Promise<Pruned>;
  /**
   * Cursors and lists of ids of the object's staged windows, which may name records and which nobody reads again. Returns how
   * many slices held some; `dryRun` only counts them. An open window keeps its own: it still reads by them.
   */
  forgetReads(connection: string, object: string, options: { dryRun: boolean }): Promise<number>;

  storeSchema(connection: string, schema: ObjectSchema, at: Instant): Promise<void>;
  schema(connection: string, object: string): Promise<{ schema: ObjectSchema; at: Instant } | null>;

  /**
   * One token bucket per connection, shared by all workers; many calls may be taken at once. QUOTA_EXHAUSTED at the stop
   * line of the class. A grant is not durable over a power loss; everything else here is.
   */
  take(
    connection: string,
    calls: number,
    callClass: CallClass,
    policy: BucketPolicy,
    now: number,
  ): Promise<TokenGrant>;
  reportQuota(connection: string, quota: Quota, now: number): Promise<void>;
  quota(connection: string): Promise<(Quota & { at: Instant }) | null>;

  /** Small facts of the installation: stage id, Temporal cluster and namespace, sink epochs, pauses. */
  meta(key: string): Promise<string | null>;
  setMeta(key: string, value: string): Promise<void>;
  close(): Promise<void>;
}
