import type { ShapeCounts } from '../schemas/batch.ts';
import type { Verdict } from '../schemas/receipt.ts';

export const NO_ROWS: ShapeCounts = {
  sent: 0,
  received: 0,
  shaped: 0,
  quarantined: 0,
  superseded: 0,
  suppressed: 0,
  filtered: 0,
  reRead: 0,
  deleted: 0,
  tombstones: 0,
};

export function addCounts(a: ShapeCounts, b: ShapeCounts): ShapeCounts {
  return {
    sent: a.sent + b.sent,
    received: a.received + b.received,
    shaped: a.shaped + b.shaped,
    quarantined: a.quarantined + b.quarantined,
    superseded: a.superseded + b.superseded,
    suppressed: a.suppressed + b.suppressed,
    filtered: a.filtered + b.filtered,
    reRead: a.reRead + b.reRead,
    deleted: a.deleted + b.deleted,
    tombstones: a.tombstones + b.tombstones,
  };
}

/** I2: every row that the source says it sent was received, and each received row has exactly one fate. */
export function transportGap(counts: ShapeCounts): string | undefined {
  if (counts.sent !== counts.received)
    return `the source sent ${counts.sent} rows, ${counts.received} were received`;
  const fates = counts.shaped + counts.quarantined + counts.superseded + counts.suppressed + counts.filtered;
  if (fates !== counts.received) return `${counts.received} rows were received, ${fates} are accounted for`;
  return undefined;
}

/** Distinct records of the window itself among what was read: without what the look-back read again. */
export function recordsInWindow(counts: ShapeCounts): number {
  return counts.shaped - counts.reRead + counts.quarantined + counts.suppressed;
}

export interface SourceEvidence {
  /** Records of the window that this run read. */
  read: number;
  /** The source's own count when reading began and after it ended. */
  before: number | 'unknown';
  after: number | 'unknown';
  /** Of `read`: records whose stamp has left the window since (changed again, erased). */
  moved: number;
  /** Records that entered the window after they could be read, and were fetched since; part of `read`. */
  late: number;
}

/**
 * The source part of a receipt (I7). What was read must be what the source counts now, plus what has provably left since.
 * More at the source than that is a loss; fewer is a record that vanished without a trace.
 */
export function judge(evidence: SourceEvidence): { verdict: Verdict; unexplained: number } {
  if (evidence.after === 'unknown' || evidence.before === 'unknown')
    return { verdict: 'transport-only', unexplained: 0 };
  const unexplained = evidence.after + evidence.moved - evidence.read;
  if (unexplained !== 0) return { verdict: 'failed', unexplained: Math.abs(unexplained) };
  const still = evidence.before === evidence.after && evidence.moved === 0 && evidence.late === 0;
  return { verdict: still ? 'proven' : 'moved', unexplained: 0 };
}
