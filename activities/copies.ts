// Further warehouses beside the main one: each a sink with coverage, interval rows and a lane of its own.
import { HeadwaterError } from '../rules/errors.ts';
import type { Warehouse } from '../warehouses/warehouse.ts';
import type { Dependencies } from './dependencies.ts';
import type { Lane, Lanes } from './lanes.ts';

/**
 * A warehouse that gets everything that the main one gets. What is read (audits, counts, shrink guards, `sql`) is read from the
 * main one; what is proven is proven of each.
 */
export interface Copy {
  /** Its name in the ledger. */
  sink: string;
  lanes: Lanes;
  /** Connects at the first use, so that a warehouse that is away never keeps the worker from starting. */
  open(): Promise<Warehouse>;
}

/** The bound for a copy's own work; everything else is shared. An embedded one works with the cores that shape uses. */
export function copyLanes(shared: Lanes, own: Lanes, embedded: boolean): Lanes {
  return <T>(lane: Lane, work: () => Promise<T>): Promise<T> => {
    if (lane !== 'warehouse') return shared(lane, work);
    return embedded ? shared('shape', work) : own('warehouse', work);
  };
}

export function copiesOf({ copies = [] }: Pick<Dependencies, 'copies'>): readonly Copy[] {
  return copies;
}

/** The same steps for another sink: INPUT_INVALID for one that the configuration does not have (any more). */
export async function forSink(dependencies: Dependencies, sink: string | undefined): Promise<Dependencies> {
  if (sink === undefined || sink === dependencies.sink) return dependencies;
  const copy = copiesOf(dependencies).find((one) => one.sink === sink);
  if (copy === undefined)
    throw new HeadwaterError('INPUT_INVALID', `there is no warehouse ${sink} in the configuration`);
  return await forCopy(dependencies, copy);
}

export async function forCopy(dependencies: Dependencies, copy: Copy): Promise<Dependencies> {
  const { sink, lanes } = copy;
  return { ...dependencies, warehouse: await copy.open(), sink, lanes, copies: [], isCopy: true };
}

/** A warehouse that does not answer now; its windows wait in the stage. */
export function isAway(error: unknown): error is HeadwaterError {
  if (!(error instanceof HeadwaterError)) return false;
  return error.code === 'WAREHOUSE_UNAVAILABLE' || error.code === 'WAREHOUSE_LOCKED';
}

/** Whether the main warehouse still lands for longer than `msMax`: what is written beside would wait, and every copy with it. */
export async function isBusy({ sink, lanes }: Dependencies, msMax: number): Promise<boolean> {
  return await inTime(sink, msMax, () => lanes('warehouse', () => Promise.resolve(false))).catch(() => true);
}

/** WAREHOUSE_UNAVAILABLE after `msMax`; the work itself goes on, and how it ends is nobody's concern. */
export async function inTime<T>(sink: string, msMax: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new HeadwaterError(
      'WAREHOUSE_UNAVAILABLE',
      `${sink} did not answer within ${msMax / 1000} s`,
    );
    timer = setTimeout(() => reject(error), msMax);
  });
  const working = work();
  // What ends after its time has nobody who waits for it.
  working.catch(() => undefined);
  try {
    return await Promise.race([working, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * For writes that no window carries and that the main warehouse must not have before every copy has them: whoever finds the main one
 * unchanged does them again, so a copy that is away delays them and never misses them (I2).
 */
export async function onEachCopy<T>(
  dependencies: Dependencies,
  work: (copy: Dependencies) => Promise<T>,
): Promise<T[]> {
  const ends = await Promise.allSettled(
    copiesOf(dependencies).map(async (copy) => work(await forCopy(dependencies, copy))),
  );
  return ends.map((end) => {
    if (end.status === 'fulfilled') return end.value;
    const { reason }: { reason: unknown } = end;
    throw reason;
  });
}

/** Until when a copy that failed is passed by, ms since 1970. */
const resting = new WeakMap<Copy, number>();

/**
 * For writes that come again by themselves: what fails is told in the log. A slow one holds up none of the others. With `restMs` one
 * that failed is passed by for so long: where writes follow each other, each try would cost the time that it takes to find it away.
 */
export async function tryEachCopy(
  dependencies: Dependencies,
  what: string,
  work: (copy: Dependencies) => Promise<unknown>,
  { restMs = 0 }: { restMs?: number } = {},
): Promise<void> {
  await Promise.all(
    copiesOf(dependencies).map(async (copy) => {
      if (restMs > 0 && dependencies.now() < (resting.get(copy) ?? 0)) return;
      try {
        await work(await forCopy(dependencies, copy));
      } catch (error) {
        if (restMs > 0) resting.set(copy, dependencies.now() + restMs);
        const reason = error instanceof HeadwaterError ? error.code : 'INTERNAL';
        dependencies.log('warn', `${what} did not reach a further warehouse`, { sink: copy.sink, reason });
      }
    }),
  );
}
