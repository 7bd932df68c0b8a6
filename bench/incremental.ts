/** Syncs in a worker that runs already: 1 % of the rows changed, and nothing changed. Calls to the source are counted. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchOptions } from './options.ts';
import type { Figure } from './figures.ts';
import { Calm } from './machine.ts';
import type { Sandbox } from './sandbox.ts';
import { withStand, type BenchWorker, type Stand, type TimedRun } from './stand.ts';

const ROWS = 200_000;
const SHARE = 0.01;
const CHANGED_S_MAX = 0.8;
const IDLE_S_MAX = 0.45;
/** Stamps have whole seconds: a change is inside the next window once its second is over. */
const STAMP_MS = 1_100;

interface Counted extends TimedRun {
  calls: Record<string, number>;
  total: number;
}

/** A run with the calls that the server has seen meanwhile, by kind. */
async function counted(worker: BenchWorker, sandbox: Sandbox): Promise<Counted> {
  await sandbox.control('reset-stats', {});
  const run = await worker.sync();
  const { calls } = await sandbox.stats();
  const total = Object.values(calls).reduce((sum, count) => sum + count, 0);
  return { ...run, calls, total };
}

const callsNote = (run: Counted | undefined): string =>
  Object.entries(run?.calls ?? {})
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');

const stepsNote = (run: Counted | undefined): string =>
  Object.entries(run?.run.objects[0]?.stepMs ?? {})
    .map(([step, ms]) => `${step} ${ms}`)
    .join(', ');

async function changed(stand: Stand, worker: BenchWorker, calm: Calm): Promise<Counted> {
  await stand.sandbox.control('touch', { object: 'Contact', share: SHARE });
  await sleep(STAMP_MS);
  await calm.wait();
  const run = await counted(worker, stand.sandbox);
  const updated = run.run.objects.reduce((sum, line) => sum + line.updated, 0);
  if (updated !== ROWS * SHARE) throw new Error(`${ROWS * SHARE} rows were changed, ${updated} were updated`);
  return run;
}

async function idle(stand: Stand, worker: BenchWorker, calm: Calm): Promise<Counted> {
  await sleep(STAMP_MS);
  await calm.wait();
  const run = await counted(worker, stand.sandbox);
  if (run.run.idle !== 1)
    throw new Error(`nothing was changed, and yet the run was not idle: ${JSON.stringify(run.run)}`);
  return run;
}

const ms = (runs: readonly Counted[]): string => runs.map((run) => Math.round(run.ms)).join(', ');

export async function incremental(options: BenchOptions): Promise<Figure[]> {
  const calm = new Calm(options.calmMs);
  return withStand({ Contact: ROWS }, async (stand) => {
    const worker = await stand.startWorker(undefined, options.resources);
    await worker.sync();
    const busyRuns: Counted[] = [];
    const idleRuns: Counted[] = [];
    // One of each is not timed: a worker that has run for an hour is warm. Idle runs come first, because the source lists
    // changes by the minute, so that in the minute of a change a run is not idle.
    for (let run = -1; run < options.runs; run += 1) {
      const measured = await idle(stand, worker, calm);
      if (run >= 0) idleRuns.push(measured);
    }
    for (let run = -1; run < options.runs; run += 1) {
      const measured = await changed(stand, worker, calm);
      if (run >= 0) busyRuns.push(measured);
    }
    options.progress(`${ms(idleRuns)} ms idle, ${ms(busyRuns)} ms changed`);
    const label = calm.label();
    const seconds = (runs: readonly Counted[]): number[] => runs.map((run) => run.ms / 1000);
    const note = (text: string): string => [label, text].filter(Boolean).join('; ');
    return [
      {
        name: '1 % of 200,000 Contacts changed',
        unit: 's',
        values: seconds(busyRuns),
        target: { max: CHANGED_S_MAX },
        note: note(stepsNote(busyRuns.at(-1))),
      },
      {
        name: 'calls to the source, 1 % changed',
        unit: 'calls',
        values: busyRuns.map((run) => run.total),
        note: callsNote(busyRuns.at(-1)),
      },
      {
        name: 'nothing changed',
        unit: 's',
        values: seconds(idleRuns),
        target: { max: IDLE_S_MAX },
        note: label,
      },
      {
        name: 'calls to the source, nothing changed',
        unit: 'calls',
        values: idleRuns.map((run) => run.total),
        note: callsNote(idleRuns.at(-1)),
      },
    ];
  });
}
