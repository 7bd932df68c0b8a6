import type { Client, ScheduleDescription } from '@temporalio/client';
import { formatDuration } from '../config/quantities.ts';
import type { Config } from '../config/schema.ts';
import { runAttributes } from './search-attributes.ts';

const WORKFLOW_TYPES = ['syncConnection', 'audit'] as const;
/** Schedules that are looked through for ones that the configuration no longer has. */
const LISTED_MAX = 10_000;
const TWIN_NOTE = 'For `temporal schedule backfill` only; it stays paused.';

/** One schedule as the configuration wants it. */
export interface ScheduleSpec {
  id: string;
  connection: string;
  workflow: (typeof WORKFLOW_TYPES)[number];
  everyMs: number;
  /** Starts lie this long after the whole interval. */
  offsetMs: number;
  jitterMs: number;
  overlap: 'BUFFER_ONE' | 'SKIP' | 'BUFFER_ALL';
  catchupMs: number;
  paused: boolean;
  taskQueue: string;
  trigger: 'schedule' | 'backfill';
}

export interface ScheduleChange {
  id: string;
  change: 'create' | 'update' | 'remove' | 'unlisted' | 'same';
  /** What differs: `every 1h → 15m`. */
  differences: string[];
}

/**
 * Pure: per connection the hourly schedule; its twin, which has a buffer of its own and stays paused; and the audit, half an
 * interval beside the runs.
 */
export function desiredSchedules(config: Pick<Config, 'connections' | 'temporal'>): ScheduleSpec[] {
  return Object.values(config.connections).flatMap(({ name, schedule, audit }) => {
    const { everyMs, jitterMs, overlap, catchupMs, paused } = schedule;
    const { taskQueue } = config.temporal;
    const sync = { workflow: 'syncConnection' as const, everyMs, offsetMs: 0, catchupMs };
    const shared = { connection: name, ...sync, taskQueue };
    return [
      { ...shared, id: `sync/${name}`, jitterMs, overlap, paused, trigger: 'schedule' as const },
      {
        ...shared,
        id: `backfill/${name}`,
        jitterMs: 0,
        overlap: 'BUFFER_ALL' as const,
        paused: true,
        trigger: 'backfill' as const,
      },
      ...(audit.everyMs === null ? [] : [auditSchedule(name, audit.everyMs, paused, taskQueue)]),
    ];
  });
}

const MINUTE_MS = 60_000;

function auditSchedule(name: string, everyMs: number, paused: boolean, taskQueue: string): ScheduleSpec {
  return {
    ...{ id: `audit/${name}`, connection: name, workflow: 'audit', everyMs, paused, taskQueue },
    offsetMs: Math.floor(everyMs / 2),
    jitterMs: Math.min(MINUTE_MS, Math.floor(everyMs / 10)),
    // One that was missed is made up for by the next.
    ...{ overlap: 'SKIP', catchupMs: MINUTE_MS, trigger: 'schedule' },
  };
}

/** Pure: what changes `found` into `wanted`. A pause that an operator made is kept: only the configuration's own pause is added. */
export function differences(wanted: ScheduleSpec, found: ScheduleSpec): string[] {
  const told: string[] = [];
  const compare = (what: string, before: string, after: string) => {
    if (before !== after) told.push(`${what} ${before} → ${after}`);
  };
  compare('every', formatDuration(found.everyMs), formatDuration(wanted.everyMs));
  compare('offset', formatDuration(found.offsetMs), formatDuration(wanted.offsetMs));
  compare('jitter', formatDuration(found.jitterMs), formatDuration(wanted.jitterMs));
  compare('overlap', found.overlap, wanted.overlap);
  compare('catchup', formatDuration(found.catchupMs), formatDuration(wanted.catchupMs));
  compare('task queue', found.taskQueue, wanted.taskQueue);
  compare('trigger', found.trigger, wanted.trigger);
  if (wanted.paused && !found.paused) told.push('running → paused');
  return told;
}

/** Makes the schedules what the configuration says; never removes one unless told so. `dryRun` only compares. */
export async function applySchedules(
  client: Client,
  config: Pick<Config, 'connections' | 'temporal'>,
  options: { remove?: boolean; dryRun?: boolean } = {},
): Promise<ScheduleChange[]> {
  const changes: ScheduleChange[] = [];
  const wanted = desiredSchedules(config);
  for (const spec of wanted) {
    const found = await describe(client, spec.id);
    const told = found === undefined ? [] : differences(spec, found);
    const change = found === undefined ? 'create' : told.length > 0 ? 'update' : 'same';
    changes.push({ id: spec.id, change, differences: found === undefined ? [summaryOf(spec)] : told });
    if (options.dryRun === true) continue;
    if (change === 'create') await create(client, spec);
    if (change === 'update') await update(client, spec);
  }
  const known = new Set(wanted.map(({ id }) => id));
  for (const id of await ours(client)) {
    if (known.has(id)) continue;
    const remove = options.remove === true;
    changes.push({ id, change: remove ? 'remove' : 'unlisted', differences: [] });
    if (remove && options.dryRun !== true) await client.schedule.getHandle(id).delete();
  }
  return changes;
}

/** The schedule as it is; undefined when there is none. */
async function describe(client: Client, id: string): Promise<ScheduleSpec | undefined> {
  try {
    return specOf(await client.schedule.getHandle(id).describe());
  } catch (error) {
    const { ScheduleNotFoundError } = await import('@temporalio/client');
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

export function specOf({ scheduleId, spec, policies, state, action }: ScheduleDescription): ScheduleSpec {
  const input = action.args?.[0];
  const given = typeof input === 'object' && input !== null ? input : {};
  return {
    id: scheduleId,
    connection: 'connection' in given ? String(given.connection) : '',
    workflow: action.workflowType === 'audit' ? 'audit' : 'syncConnection',
    everyMs: spec.intervals?.[0]?.every ?? 0,
    offsetMs: spec.intervals?.[0]?.offset ?? 0,
    jitterMs: spec.jitter ?? 0,
    overlap:
      policies.overlap === 'SKIP' || policies.overlap === 'BUFFER_ALL' ? policies.overlap : 'BUFFER_ONE',
    catchupMs: policies.catchupWindow,
    paused: state.paused,
    taskQueue: action.taskQueue,
    trigger: 'trigger' in given && given.trigger === 'backfill' ? 'backfill' : 'schedule',
  };
}

function optionsOf(spec: ScheduleSpec) {
  const { id, connection, workflow, everyMs, offsetMs, jitterMs, overlap, catchupMs, taskQueue, trigger } =
    spec;
  const hourly = `${connection} · every ${formatDuration(everyMs)}`;
  return {
    spec: { intervals: [{ every: everyMs, offset: offsetMs }], jitter: jitterMs },
    policies: { overlap, catchupWindow: catchupMs, pauseOnFailure: false },
    action: {
      type: 'startWorkflow' as const,
      workflowType: workflow,
      workflowId: id,
      taskQueue,
      args: [{ connection, trigger }],
      staticSummary:
        workflow === 'audit'
          ? `${connection} · audit`
          : trigger === 'schedule'
            ? hourly
            : `${connection} · backfill`,
      staticDetails: detailsOf(spec),
      typedSearchAttributes: runAttributes(connection, trigger),
    },
  };
}

/** What an operator reads beside each run in the Temporal UI. */
function detailsOf({ id, connection, workflow, trigger }: ScheduleSpec): string {
  const what =
    workflow === 'audit'
      ? `Compares the warehouse and the profiles with **${connection}** and reads again what differs.`
      : trigger === 'schedule'
        ? `Reads what changed in **${connection}** since the last proven window and lands it in the warehouse.`
        : `Reads a past window of **${connection}** again.`;
  return [
    what,
    '',
    '- The table of the run is under *User Metadata*, and in the memo once it has ended.',
    `- Run it now: \`npx headwater temporal schedule trigger --schedule-id ${id}\``,
    `- Stop it for a while: \`npx headwater pause ${connection}\``,
  ].join('\n');
}

async function create(client: Client, spec: ScheduleSpec): Promise<void> {
  const note = spec.trigger === 'backfill' ? TWIN_NOTE : undefined;
  await client.schedule.create({
    scheduleId: spec.id,
    ...optionsOf(spec),
    state: { paused: spec.paused, ...(note === undefined ? {} : { note }) },
  });
}

async function update(client: Client, spec: ScheduleSpec): Promise<void> {
  await client.schedule.getHandle(spec.id).update(({ state }) => ({
    ...optionsOf(spec),
    state: { ...state, paused: state.paused || spec.paused },
  }));
}

/** Ids of the schedules that start our workflow, whoever made them. */
async function ours(client: Client): Promise<string[]> {
  const ids: string[] = [];
  let seen = 0;
  for await (const { scheduleId, action } of client.schedule.list()) {
    seen += 1;
    if (seen > LISTED_MAX) break;
    const known = WORKFLOW_TYPES.some((type) => type === action?.workflowType);
    if (known && /^(sync|backfill|audit)\//.test(scheduleId)) ids.push(scheduleId);
  }
  return ids;
}

function summaryOf(spec: ScheduleSpec): string {
  return `every ${formatDuration(spec.everyMs)}, ${spec.overlap}${spec.paused ? ', paused' : ''}`;
}

/** Pure: the next `count` nominal times after a moment; intervals count from the epoch, in UTC. */
export function nextTimes(everyMs: number, afterMs: number, count: number): string[] {
  const first = (Math.floor(afterMs / everyMs) + 1) * everyMs;
  return Array.from({ length: count }, (_, index) => new Date(first + index * everyMs).toISOString());
}
