// Bounds per kind of work in one process, instead of a task queue for each: eager dispatch stays possible.

export type Lane = 'api' | 'shape' | 'warehouse' | 'claims' | 'publish';

/**
 * At once per process: source reads wait on the network, shape and warehouse each fill the cores by themselves, and
 * the claims store has one writer. A second publish beside one would only write the same profiles once more.
 */
export const LANE_LIMITS: Record<Lane, number> = { api: 8, shape: 1, warehouse: 1, claims: 1, publish: 1 };

/** Waiting entries per lane; more than this is a defect of the caller, not load. */
const WAITING_MAX = 10_000;

export type Lanes = <T>(lane: Lane, work: () => Promise<T>) => Promise<T>;

/** First come, first served. Waiting costs nothing; the caller's heartbeat goes on. */
export function createLanes(
  limits: Record<Lane, number> = LANE_LIMITS,
  options: { embedded: boolean } = { embedded: false },
): Lanes {
  // An embedded warehouse works with the memory and the cores that shape uses: side by side neither would be faster.
  const queueOf = (lane: Lane): Lane => (options.embedded && lane === 'warehouse' ? 'shape' : lane);
  const free: Record<Lane, number> = { ...limits };
  const waiting: Record<Lane, (() => void)[]> = {
    api: [],
    shape: [],
    warehouse: [],
    claims: [],
    publish: [],
  };
  return async (asked, work) => {
    const lane = queueOf(asked);
    if (free[lane] > 0) free[lane] -= 1;
    else await queue(waiting[lane], lane);
    try {
      return await work();
    } finally {
      const next = waiting[lane].shift();
      if (next === undefined) free[lane] += 1;
      else next();
    }
  };
}

function queue(line: (() => void)[], lane: Lane): Promise<void> {
  if (line.length >= WAITING_MAX) throw new Error(`more than ${WAITING_MAX} steps wait for the lane ${lane}`);
  return new Promise((resolve) => line.push(resolve));
}

/** I5: what is erased must not be read before and written after by a reconcile or a publish. Always in this order. */
export async function besideNobody<T>(lanes: Lanes, work: () => Promise<T>): Promise<T> {
  return await lanes('claims', () => lanes('publish', work));
}
