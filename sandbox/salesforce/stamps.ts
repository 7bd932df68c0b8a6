/** Base stamps: whole seconds, not decreasing with the row index, so that a window is a binary search and never a scan. */
export interface BaseStamps {
  readonly at: (index: number) => number;
  /** The first base row whose stamp is not before this time; the number of rows when there is none. */
  readonly firstAtOrAfter: (ms: number) => number;
}

export interface StampPlan {
  readonly rows: number;
  /** Exclusive end of the base stamps, epoch milliseconds. */
  readonly until: number;
  readonly spanMs: number;
  /** So many neighbouring rows share one stamp. */
  readonly ties: number;
}

export function baseStamps(plan: StampPlan): BaseStamps {
  const spanSeconds = Math.floor(plan.spanMs / 1000);
  const from = Math.floor(plan.until / 1000) - spanSeconds;
  const groups = Math.max(1, Math.ceil(plan.rows / plan.ties));
  const at = (index: number): number =>
    (from + Math.floor((Math.floor(index / plan.ties) * spanSeconds) / groups)) * 1000;
  const firstAtOrAfter = (ms: number): number => {
    let low = 0;
    let high = plan.rows;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (at(middle) < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return { at, firstAtOrAfter };
}
