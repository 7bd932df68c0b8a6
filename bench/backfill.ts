/** 24 hourly intervals again: as 24 windows of one hour by Temporal's own schedule backfill, and joined by `backfill`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { applySchedules } from '../cli/schedules.ts';
import { loadConfig } from '../config/load-config.ts';
import type { Figure } from './figures.ts';
import { Calm } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { CONNECTION, withStand, type BenchWorker, type Stand } from './stand.ts';

const ROWS = 200_000;
const HOURS = 24;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The sandbox's rows are spread over two years that end a day ago; each repetition takes an older day. */
const DAYS_AGO = 10;
/** Airflow 3.3 with LocalExecutor: 24 intervals of 3 tasks in 40.8 s, measured on a like machine. */
const AIRFLOW_S = 40.8;
const TIMES_FASTER = 10;
const POLL_MS = 10;
const POLLS_MAX = 60_000;

function firstHour(run: number): number {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  return today - (DAYS_AGO + run) * DAY_MS;
}

const seconds = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

/** Until the last of the runs that the schedule starts has ended; their ids end with the nominal time. */
async function bySchedule(
  client: Client,
  firstMs: number,
  overlap: 'BUFFER_ALL' | 'ALLOW_ALL',
): Promise<number> {
  const schedule = client.schedule.getHandle(`backfill/${CONNECTION}`);
  const startedMs = performance.now();
  await schedule.backfill({
    start: new Date(firstMs - 1000),
    end: new Date(firstMs + (HOURS - 1) * HOUR_MS + 1000),
    overlap,
  });
  for (let hour = 0; hour < HOURS; hour += 1) {
    await ended(client, `backfill/${CONNECTION}-${seconds(firstMs + hour * HOUR_MS)}`);
  }
  return performance.now() - startedMs;
}

async function ended(client: Client, workflowId: string): Promise<void> {
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    try {
      await client.workflow.getHandle(workflowId).result();
      return;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      await sleep(POLL_MS);
    }
  }
  throw new Error(`${workflowId} was never started`);
}

async function joined(client: Client, firstMs: number, run: number): Promise<number> {
  const startedMs = performance.now();
  await client.workflow.execute('backfill', {
    workflowId: `backfill/${CONNECTION}/joined-${run}`,
    taskQueue: 'headwater',
    args: [
      {
        connection: CONNECTION,
        from: seconds(firstMs),
        to: seconds(firstMs + HOURS * HOUR_MS),
        reprocess: 'all',
      },
    ],
  });
  return performance.now() - startedMs;
}

async function intervals(worker: BenchWorker): Promise<number> {
  const [row] = await worker.sql('SELECT CAST(count(*) AS VARCHAR) AS n FROM _headwater.intervals');
  return Number(row?.['n']);
}

export async function backfill(options: BenchOptions): Promise<Figure[]> {
  const calm = new Calm(options.calmMs);
  return withStand({ Contact: ROWS }, async (stand: Stand) => {
    const worker = await stand.startWorker(undefined, options.resources);
    const { config } = await loadConfig({ path: worker.configPath, home: worker.home });
    await applySchedules(stand.client, config);
    await worker.sync();
    const all: number[] = [];
    const buffered: number[] = [];
    const windows: number[] = [];
    for (let run = 0; run < options.runs; run += 1) {
      const before = await intervals(worker);
      await calm.wait();
      all.push((await bySchedule(stand.client, firstHour(2 * run), 'ALLOW_ALL')) / 1000);
      const landed = (await intervals(worker)) - before;
      if (landed !== HOURS) throw new Error(`${HOURS} windows were asked for, ${landed} landed`);
      await calm.wait();
      buffered.push((await bySchedule(stand.client, firstHour(2 * run + 1), 'BUFFER_ALL')) / 1000);
      await calm.wait();
      windows.push((await joined(stand.client, firstHour(2 * run), run)) / 1000);
      options.progress(
        `backfill ${run + 1} of ${options.runs}: ${all.at(-1)?.toFixed(2)} s, one after the other ${buffered.at(-1)?.toFixed(2)} s`,
      );
    }
    const label = calm.label();
    const target = { max: AIRFLOW_S / TIMES_FASTER };
    return [
      { name: '24 windows of one hour, AllowAll', unit: 's', values: all, target, note: label },
      {
        name: '24 windows of one hour, BufferAll (one after the other)',
        unit: 's',
        values: buffered,
        target,
        note: label,
      },
      {
        name: '24 hours joined to one window by `backfill`',
        unit: 's',
        values: windows,
        target,
        note: label,
      },
    ];
  });
}
