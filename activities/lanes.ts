// Bounds per kind of work in one process, instead of a task queue for each: eager dispatch stays possible.

export type Lane = 'api' | 'shape' | 'warehouse';

/** At once per process: source reads wait on the network, the other two each fill the cores by themselves. */
export const LANE_LIMITS: Record<Lane, number> = { api: 8, shape: 1, warehouse: 1 };

/** Waiting entries per lane; more than this is a defect of the caller, not load. */
const WAITING_MAX = 10_000;

export type Lanes = <T>(lane: Lane, work: () => Promise<T>) => Promise<T>;

/** First come, first served. Waiting costs nothing; the caller's heartbeat goes on. */
export function createLanes(limits: Record<Lane, number> = LANE_LIMITS): Lanes {
  const free = new Map<Lane, number>(Object.entries(limits) as [Lane, number][]);
  const waiting = new Map<Lane, (() => void)[]>([
    ['api', []],
    ['shape', []],
    ['warehouse', []],
  ]);
  return async (lane, work) => {
    const places = free.get(lane) ?? 0;
    if (places > 0) free.set(lane, places - 1);
    else await queue(waiting.get(lane) ?? [], lane);
    try {
      return await work();
    } finally {
      const next = waiting.get(lane)?.shift();
      if (next === undefined) free.set(lane, (free.get(lane) ?? 0) + 1);
      else next();
    }
  };
}

function queue(line: (() => void)[], lane: Lane): Promise<void> {
  if (line.length >= WAITING_MAX) throw new Error(`more than ${WAITING_MAX} steps wait for the lane ${lane}`);
  return new Promise((resolve) => line.push(resolve));
}
