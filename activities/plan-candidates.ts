// Part of plan: asks the source about each object and prepares what the ledger decides on.
import { Context } from '@temporalio/activity';
import { gapFreeEnd } from '../rules/coverage.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { addMs, fromMs, gridFloor, ORIGIN, toMs } from '../rules/time.ts';
import { windowUntil } from '../rules/windows.ts';
import type { Instant } from '../schemas/instant.ts';
import type { Interval, Owner } from '../schemas/window.ts';
import type { Probe, Source } from '../sources/source.ts';
import type { PlanRequest, PlanResult } from '../stores/ledger/ledger.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import type { PlanInput } from './plan.ts';

/** A run that starts late still gets this long for each step, ms. */
const DEADLINE_MS_MIN = 5 * 60_000;

/** What one object's plan needs; kept together so that the batch stays readable. */
export interface Candidate {
  object: string;
  until: Instant;
  probe: Probe | null;
  request: PlanRequest;
}

export interface Opened {
  candidate: Candidate;
  result: PlanResult;
}

/**
 * U: the newest grid time for a scheduled run; now for one by hand and for `schedule trigger`, whose nominal time is its
 * start and so lies beside the grid.
 */
export function closingTime(input: PlanInput, settings: ConnectionSettings, nowMs: number): Instant {
  const now = fromMs(nowMs);
  const onGrid = input.nominal !== null && gridFloor(input.nominal, settings.everyMs) === input.nominal;
  const scheduled = input.trigger === 'schedule' && onGrid;
  return windowUntil({ scheduled, now, everyMs: settings.everyMs, visibleUntil: now });
}

/** No run works on past its next nominal time: that run resumes the window. */
export function timeLeft(input: PlanInput, settings: ConnectionSettings, nowMs: number): number | null {
  if (input.trigger !== 'schedule' || input.nominal === null) return null;
  return Math.max(toMs(input.nominal) + settings.everyMs - nowMs, DEADLINE_MS_MIN);
}

/** Probes every object with as few calls as the source allows, and finds out which open windows have lost their owner. */
export async function examine(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  input: PlanInput,
  objects: string[],
  asked: Instant,
): Promise<Candidate[]> {
  const { ledger } = dependencies;
  const { workflowExecution } = Context.current().info;
  if (workflowExecution === undefined)
    throw new HeadwaterError('INTERNAL', 'plan runs inside a workflow only');
  const owner: Owner = workflowExecution;
  const open = await ledger.openWindows(input.connection);
  const others = open.map((window) => window.owner).filter((other) => other.runId !== owner.runId);
  const closedOwners = others.length === 0 ? [] : await dependencies.closedOwners(others);
  const past = input.past === 'grid' ? gridInterval(input.nominal, settings.everyMs) : input.past;
  const heads = await Promise.all(objects.map((object) => checkpointOf(dependencies, settings.name, object)));
  // I3: a backfill that reaches past the coverage must not cover what the source cannot show yet either.
  const reachesHead = past === undefined || heads.some((checkpoint) => past.until > checkpoint);
  const probes = reachesHead ? await probeHeads(source, settings, objects, heads, asked) : [];
  return objects.map((object, index) => {
    const probe = probes[index] ?? null;
    const until = probe === null || probe.visibleUntil > asked ? asked : probe.visibleUntil;
    const request: PlanRequest = {
      connection: input.connection,
      object,
      owner,
      until,
      lookbackMs: settings.lookbackMs,
      closedOwners,
      now: fromMs(dependencies.now()),
      ...(past === undefined ? {} : { past }),
    };
    return { object, until, probe, request };
  });
}

function gridInterval(nominal: Instant | null, everyMs: number): Interval {
  if (nominal === null)
    throw new HeadwaterError('INPUT_INVALID', 'a backfill by schedule needs a nominal time');
  return { from: addMs(nominal, -everyMs), until: nominal };
}

async function checkpointOf(
  dependencies: Dependencies,
  connection: string,
  object: string,
): Promise<Instant> {
  return gapFreeEnd(await dependencies.ledger.coverage(connection, object)) ?? ORIGIN;
}

async function probeHeads(
  source: Source,
  settings: ConnectionSettings,
  objects: string[],
  checkpoints: Instant[],
  asked: Instant,
): Promise<Probe[]> {
  const requests = objects.map((object, index) => ({
    object,
    readFrom: addMs(checkpoints[index] ?? ORIGIN, -settings.lookbackMs),
    until: asked,
  }));
  return source.probe(requests, Context.current().cancellationSignal);
}
