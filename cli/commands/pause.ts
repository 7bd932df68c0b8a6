import type { LoadedConfig } from '../../config/load-config.ts';
import { nearest } from '../../config/nearest.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { oneConnection } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { knownObjects, splitTarget } from '../objects.ts';
import { openLedger } from '../open.ts';
import { withTemporal, type TemporalClient } from '../temporal-client.ts';

/** Running executions of one connection; there is one per trigger. */
const RUNNING_MAX = 100;

export const pause: Command = {
  name: 'pause',
  summary: 'Stop the schedule of a connection, or leave one object out',
  usage: '<connection>[/<object>]',
  example: 'pause salesforce/Contact --now',
  about:
    'A run that is going ends by itself, unless --now cancels it. Nothing is lost: the next run continues.',
  options: {
    now: { type: 'boolean', help: 'Also cancel the run that is going' },
    reason: { type: 'string', value: '<text>', help: 'Why, for whoever looks at the schedule' },
  },
  arguments: { min: 1, max: 1 },
  run: (call) => change(call, true),
};

export const resume: Command = {
  name: 'resume',
  summary: 'Start the schedule of a connection, or an object, again',
  usage: '<connection>[/<object>]',
  example: 'resume salesforce/Contact',
  about: 'The next run covers everything since the pause in one window.',
  options: {},
  arguments: { min: 1, max: 1 },
  run: (call) => change(call, false),
};

async function change(call: Call, paused: boolean): Promise<number> {
  const loaded = await call.load();
  const { connection: name, object } = splitTarget(call.arguments[0] ?? '');
  const connection = oneConnection(loaded.config, name);
  if (object === undefined) {
    await withTemporal(loaded, call.environment, (temporal) => changeSchedule(call, temporal, name, paused));
  } else {
    const ledger = await openLedger(loaded.config);
    try {
      const known = await knownObjects(connection, ledger);
      if (!known.includes(object)) throw unknownObject(name, object, known);
      await ledger.setMeta(`pause/${name}/${object}`, paused ? 'paused' : '');
    } finally {
      await ledger.close();
    }
  }
  const cancelled = paused && call.options.flag('now') ? await cancelRuns(call, loaded, name, object) : [];
  const target = object === undefined ? name : `${name}/${object}`;
  if (call.json) call.output.json({ target, paused, cancelled });
  else {
    call.output.line(`${target} is ${paused ? 'paused' : 'active again'}.`);
    for (const id of cancelled) call.output.line(`Cancelled ${id}; the next run continues its windows.`);
    if (paused) call.output.line(`Resume it with \`npx headwater resume ${target}\`.`);
  }
  return EXIT.ok;
}

async function changeSchedule(
  call: Call,
  { client }: TemporalClient,
  connection: string,
  paused: boolean,
): Promise<void> {
  const handle = client.schedule.getHandle(`sync/${connection}`);
  try {
    const note =
      call.options.text('reason') ??
      `${paused ? 'Paused' : 'Resumed'} by \`headwater ${paused ? 'pause' : 'resume'}\``;
    await (paused ? handle.pause(note) : handle.unpause(note));
    // The audit asks the source too; where there is none, nothing is left to pause.
    const audit = client.schedule.getHandle(`audit/${connection}`);
    await (paused ? audit.pause(note) : audit.unpause(note)).catch(() => undefined);
  } catch (error) {
    const { ScheduleNotFoundError } = await import('@temporalio/client');
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    throw new HeadwaterError('INPUT_INVALID', `${connection} has no schedule yet`, {
      remedy: 'Make it with `npx headwater schedule apply --yes`.',
    });
  }
}

/** Cancels the runs of a connection, or the child of one object; each rolls back or finishes within ten seconds. */
async function cancelRuns(
  call: Call,
  loaded: LoadedConfig,
  connection: string,
  object: string | undefined,
): Promise<string[]> {
  return withTemporal(loaded, call.environment, async ({ client }) => {
    const type = object === undefined ? 'syncConnection' : 'syncObject';
    const start = object === undefined ? `sync/${connection}` : `sync/${connection}/${object}/`;
    const query = `WorkflowType = "${type}" AND ExecutionStatus = "Running" AND WorkflowId STARTS_WITH "${start}"`;
    const cancelled: string[] = [];
    for await (const { workflowId, runId } of client.workflow.list({ query })) {
      // `sync/sales` is the start of `sync/salesforce` too.
      const own = object !== undefined || workflowId === `${start}/now` || workflowId.startsWith(`${start}-`);
      if (!own) continue;
      await client.workflow.getHandle(workflowId, runId).cancel();
      cancelled.push(workflowId);
      if (cancelled.length >= RUNNING_MAX) break;
    }
    return cancelled;
  });
}

function unknownObject(connection: string, object: string, known: string[]): HeadwaterError {
  const guess = nearest(object, known);
  return new HeadwaterError('INPUT_INVALID', `${connection} does not sync ${object}`, {
    remedy: guess ? `Did you mean ${guess}?` : `It syncs: ${known.join(', ') || 'nothing yet'}.`,
  });
}
