import type { Instant } from './instant.ts';
import type { Interval } from './window.ts';

/** covered: landed and proven. failed: opened by a run that died. open: being worked on. missing: never landed. */
export type IntervalState = 'missing' | 'covered' | 'open' | 'failed';

export interface BackfillWindow extends Interval {
  object: string;
  /** Grid cells that it covers. */
  cells: number;
  rowsEstimate: number | null;
  /** Only these fields; absent: all. */
  fields?: string[];
}

export interface BackfillObject {
  object: string;
  cells: Record<IntervalState, number>;
  rowsEstimate: number | null;
}

export interface BackfillPlan {
  connection: string;
  from: Instant;
  to: Instant;
  windows: BackfillWindow[];
  objects: BackfillObject[];
  /** Estimates for the dry run; calls include those for receipts. */
  calls: number;
  quota: { used: number; limit: number } | null;
  maxActive: number;
  dryRun: boolean;
  /** Further warehouses that get what was read. */
  deliver?: string[];
  /** Reconcile and publish follow. */
  profiles?: true;
}
