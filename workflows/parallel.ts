// A bounded number of things at once, inside a workflow.

/** Starts the next as soon as one ends; the first error is thrown after those in flight have ended. */
export async function inParallel<T>(
  items: T[],
  atOnceMax: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const errors: unknown[] = [];
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined && errors.length === 0; item = queue.shift()) {
      try {
        await work(item);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, items.length) }, lane));
  if (errors.length > 0) throw errors[0];
}
