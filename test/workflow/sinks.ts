/** Several warehouses of a fake worker: what each of them has, which are away, which are slow. */
import { until } from '../support/fast-lane.ts';
import { fakes, landed, planned, window } from './support.ts';

export const AWAY = { code: 'WAREHOUSE_UNAVAILABLE', message: 'it does not answer' };

/** What each sink has landed, beside one that is away. With `stageOnly` a window is there for all from then on. */
export function sinks(staged: string[]) {
  const has = new Map<string, string[]>();
  const away = new Set<string>();
  /** What a sink's landing waits for. */
  const held = new Map<string, Promise<void>>();
  const activities = fakes({
    undelivered: ({ sink = 'main' }) =>
      Promise.resolve(
        staged
          .filter((object) => has.get(sink)?.includes(object) !== true)
          .map((object) => window(object, { kind: 'undelivered' })),
      ),
    moveSlice: async ({ window: id, sink = 'main', stageOnly = false }) => {
      const object = id.slice(2);
      if (stageOnly) {
        staged.push(object);
        return landed(object, { state: 'staged', inserted: 0 });
      }
      await held.get(sink);
      if (away.has(sink)) return { ...landed(object, { state: 'staged' }), ...AWAY };
      has.set(sink, [...(has.get(sink) ?? []), object]);
      return landed(object);
    },
  });
  return { has, away, held, activities };
}

/** A plan of two windows for three warehouses, each of which lands beside the others. */
export function threeSinks() {
  const world = sinks([]);
  world.activities.plan = (input) =>
    Promise.resolve(
      planned(input, {
        windows: [window('Contact'), window('Lead')],
        ...{ main: 'main', deliver: ['copy', 'lake'] },
      }),
    );
  const hold = (sink: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    world.held.set(sink, promise);
    return resolve;
  };
  const level = async (...names: string[]) => {
    for (const name of names)
      await until(
        () => Promise.resolve(world.has.get(name)?.length),
        (count) => count === 2,
      );
  };
  return { ...world, hold, level };
}
