/** What Temporal costs: an idle connection, one small object, and 200 objects as in one hour. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure } from './figures.ts';
import { costOf, type Cost } from './history.ts';
import { Calm } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { withStand, type BenchWorker, type Stand, type TimedRun } from './stand.ts';

const OBJECTS = ['Contact', 'Account', 'Lead', 'Opportunity', 'Case', 'Task', 'User', 'Subscription__c'];
/** 25 connections of 8 objects are the 200 objects that the development server has to bear. */
const CONNECTIONS = 25;
const ROWS_PER_OBJECT = 1_000;
const SHARE = 0.01;
const EVENTS_MAX = 12;
const IDLE_MS_MAX = 120;
const SMALL_MS_MAX = 300;
/** Stamps have whole seconds: a change is inside the next window once its second is over. */
const STAMP_MS = 1_100;

interface Measured extends TimedRun, Cost {
  temporalMs: number;
}

async function measure(stand: Stand, worker: BenchWorker, connection: string): Promise<Measured> {
  const timed = await worker.sync(connection);
  const cost = await costOf(stand.client, timed.workflowId, timed.run.runId);
  return { ...timed, ...cost, temporalMs: timed.ms - cost.activityMs };
}

const nameOf = (index: number): string => `org_${index}`;

export async function temporalCost(options: BenchOptions): Promise<Figure[]> {
  const calm = new Calm(options.calmMs);
  const rows = Object.fromEntries(OBJECTS.map((object) => [object, ROWS_PER_OBJECT]));
  const names = Array.from({ length: CONNECTIONS }, (_, index) => nameOf(index));
  return withStand(rows, async (stand) => {
    const worker = await stand.startWorker(
      names.map((name) => ({ name, objects: OBJECTS })),
      options.resources,
    );
    await syncAll(worker, names);
    options.progress(`${CONNECTIONS} connections of ${OBJECTS.length} objects are loaded`);
    const first = nameOf(0);
    const repeat = async (prepare: () => Promise<void>): Promise<Measured[]> => {
      const runs: Measured[] = [];
      for (let run = -1; run < options.runs; run += 1) {
        await prepare();
        await sleep(STAMP_MS);
        await calm.wait();
        const measured = await measure(stand, worker, first);
        if (run >= 0) runs.push(measured);
      }
      return runs;
    };
    const idle = await repeat(() => Promise.resolve());
    if (idle.some(({ run }) => run.idle !== OBJECTS.length)) throw new Error('an idle object was not idle');
    const idleHours = await repeatHour(options, worker, names, calm, () => Promise.resolve());
    let row = 0;
    const small = await repeat(async () => {
      row += 1;
      await stand.sandbox.control('update', { object: 'Contact', row, values: { Title: `Title ${row}` } });
    });
    if (small.some(({ run }) => !run.objects.some((line) => line.updated === 1)))
      throw new Error('one row was changed and not updated');
    const hours = await repeatHour(options, worker, names, calm, async () => {
      for (const object of OBJECTS) await stand.sandbox.control('touch', { object, share: SHARE });
    });
    options.progress(`idle ${Math.round(idle[0]?.ms ?? 0)} ms, small ${Math.round(small[0]?.ms ?? 0)} ms`);
    return figuresOf({ idle, small, hours, idleHours, label: calm.label() });
  });
}

/** All connections at once, as at a full hour: how long until the last has ended. */
async function repeatHour(
  options: BenchOptions,
  worker: BenchWorker,
  names: readonly string[],
  calm: Calm,
  prepare: () => Promise<void>,
): Promise<number[]> {
  const values: number[] = [];
  for (let run = 0; run < (options.quick ? 1 : options.runs); run += 1) {
    await prepare();
    await sleep(STAMP_MS);
    await calm.wait();
    const startedMs = performance.now();
    await syncAll(worker, names);
    values.push((performance.now() - startedMs) / 1000);
    options.progress(`200 objects: ${values.at(-1)?.toFixed(1)} s`);
  }
  return values;
}

/** All settle before one error is told: a client that is closed under waiting calls throws out of its timers. */
async function syncAll(worker: BenchWorker, names: readonly string[]): Promise<void> {
  const ended = await Promise.allSettled(names.map((name) => worker.sync(name)));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}

interface Results {
  idle: Measured[];
  small: Measured[];
  hours: number[];
  idleHours: number[];
  label: string;
}

function figuresOf({ idle, small, hours, idleHours, label }: Results): Figure[] {
  const whole = (runs: readonly Measured[]): string =>
    [
      label,
      `whole run ${runs.map((run) => Math.round(run.ms)).join(', ')} ms, ${runs[0]?.activities} activities`,
    ]
      .filter(Boolean)
      .join('; ');
  return [
    {
      name: 'idle connection of 8 objects: history',
      unit: 'events',
      values: idle.map((run) => run.events + run.childEvents),
      target: { max: EVENTS_MAX },
    },
    {
      name: 'idle connection of 8 objects: Temporal time',
      unit: 'ms',
      values: idle.map((run) => run.temporalMs),
      target: { max: IDLE_MS_MAX },
      note: whole(idle),
    },
    {
      name: 'one small object: Temporal time',
      unit: 'ms',
      values: small.map((run) => run.temporalMs),
      target: { max: SMALL_MS_MAX },
      note: `${whole(small)}, ${small[0]?.events} + ${small[0]?.childEvents} events`,
    },
    { name: '200 objects of an hour, 1 % changed in each', unit: 's', values: hours, note: label },
    { name: '200 objects of an hour, nothing changed', unit: 's', values: idleHours, note: label },
  ];
}
