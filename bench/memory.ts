/** Peak memory of the worker: flat in the number of rows. */
import type { BenchOptions } from './options.ts';
import type { Figure } from './figures.ts';
import { CONNECTION, withStand } from './stand.ts';

const SIZES = [100_000, 1_000_000, 10_000_000];
const SIZES_QUICK = [100_000, 1_000_000];
const PEAK_MB_MAX = 700;

/** One first load per size; the rows are counted in the warehouse. */
async function peakOf(rows: number, options: BenchOptions): Promise<Figure> {
  return withStand({ Contact: rows }, async (stand) => {
    // The first worker bundles the workflows, which the next ones find done.
    await (await stand.startWorker(undefined, options.resources)).stop();
    const worker = await stand.startWorker(undefined, options.resources);
    const before = Math.round(worker.peakMb());
    const { ms } = await worker.sync();
    const peak = worker.peakMb();
    const [row] = await worker.sql(`SELECT CAST(count(*) AS VARCHAR) AS "rows" FROM ${CONNECTION}.contact`);
    if (Number(row?.['rows']) !== rows)
      throw new Error(`${rows} rows were sent, ${String(row?.['rows'])} landed`);
    options.progress(`${rows.toLocaleString('en')} rows: ${Math.round(peak)} MB, ${Math.round(ms / 1000)} s`);
    return {
      name: `peak memory, first load of ${rows.toLocaleString('en')} rows`,
      unit: 'MB',
      values: [peak],
      target: { max: PEAK_MB_MAX },
      note: `${before} MB before the load; ${(ms / 1000).toFixed(1)} s`,
    };
  });
}

export async function memory(options: BenchOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const rows of options.quick ? SIZES_QUICK : SIZES) figures.push(await peakOf(rows, options));
  const [smallest] = figures[0]?.values ?? [];
  const [largest] = figures.at(-1)?.values ?? [];
  if (smallest !== undefined && largest !== undefined) {
    figures.push({ name: 'peak memory, largest ÷ smallest', unit: '×', values: [largest / smallest] });
  }
  return figures;
}
