import type { Instant } from '../schemas/instant.ts';
import type { Interval, Owner, WindowKind } from '../schemas/window.ts';
import type { Coverage } from './coverage.ts';
import { contains, gapFreeEnd, union } from './coverage.ts';
import { addMs, earliest, gridFloor, ORIGIN } from './time.ts';

/** A window that was planned and is not proven yet. */
export interface OpenWindow extends Interval {
  id: string;
  kind: WindowKind;
  owner: Owner;
  attempt: number;
  createdAt: Instant;
  /** Set on a partial window, which covers nothing and holds nothing back. */
  fields?: readonly string[] | undefined;
}

/** All that a plan depends on: one object of one connection. */
export interface WindowState {
  coverage: Coverage;
  open: readonly OpenWindow[];
}

export interface WindowRequest {
  owner: Owner;
  /** U, already lowered to what the source can prove visible. */
  until: Instant;
  /** A backfill: the interval to read again. */
  past?: Interval;
  /** A partial window over `past`: only these fields. */
  fields?: readonly string[] | undefined;
  /** Owners whose workflow execution has closed. */
  closedOwners: readonly Owner[];
}

export type WindowDecision =
  | { kind: 'resume'; window: OpenWindow; attempt: number }
  | { kind: 'open'; windowKind: WindowKind; from: Instant; until: Instant }
  | { kind: 'current'; checkpoint: Instant }
  | { kind: 'in-progress'; owner: Owner }
  | { kind: 'first-load-missing' };

/**
 * The four rules, the first that fits. C is the end of the gap-free coverage; P counts windows too that a live run works on.
 *
 * 1. Resume: this run's own window (a retried plan finds what it stored), or one of a closed owner that holds C or P: same
 *    bounds, attempt + 1. P beside C: while a live run works on the window at C, the one behind it is resumed, not read twice.
 * 2. First: nothing is covered yet. A backfill is told to run the first load first.
 * 3. Head: U > P.
 * 4. Past: the interval of a backfill; a retry of the same interval resumes its window. An interval before C comes here at
 *    once: a window left at C has nothing to do with it.
 */
export function decideWindow(all: WindowState, request: WindowRequest): WindowDecision {
  if (request.fields !== undefined) return decidePartial(all, request.fields, request);
  const state = { ...all, open: all.open.filter((one) => one.fields === undefined) };
  const live = state.open.filter((one) => !isOneOf(request.closedOwners, one.owner));
  const ours = live.filter((one) => sameOwner(one.owner, request.owner));
  const checkpoint = gapFreeEnd(state.coverage);
  const planned = union(state.coverage, live);
  const plannedEnd = gapFreeEnd(planned);

  if (checkpoint === null && request.past !== undefined) return { kind: 'first-load-missing' };
  // A backfill ends at the end of its range: what lies behind is the business of the hourly run.
  const until = request.past === undefined ? request.until : earliest(request.until, request.past.until);
  if (request.past !== undefined && checkpoint !== null && until <= checkpoint) {
    return decidePast(state, live, { from: request.past.from, until }, request, checkpoint);
  }
  const resumable = resumableHead(state.open, ours, planned, checkpoint, plannedEnd, request, until);
  if (resumable !== undefined) return resume(resumable);

  if (plannedEnd === null) {
    // The U of a source whose own clock cannot prove anything visible would be an empty window.
    if (until <= ORIGIN) return { kind: 'current', checkpoint: ORIGIN };
    return { kind: 'open', windowKind: 'first', from: ORIGIN, until };
  }
  if (until > plannedEnd) return { kind: 'open', windowKind: 'head', from: plannedEnd, until };
  if (request.past !== undefined && checkpoint !== null) {
    // I3: a past window ends no later than what the source can prove visible, or it would cover the unseen.
    return decidePast(state, live, { from: request.past.from, until }, request, checkpoint);
  }
  if (checkpoint !== null && until <= checkpoint) return { kind: 'current', checkpoint };
  const holder = live.find((one) => one.from < until && until <= one.until) ?? live[0];
  return holder === undefined
    ? { kind: 'current', checkpoint: checkpoint ?? ORIGIN }
    : { kind: 'in-progress', owner: holder.owner };
}

function resume(window: OpenWindow): WindowDecision {
  return { kind: 'resume', window, attempt: window.attempt + 1 };
}

function resumableHead(
  open: readonly OpenWindow[],
  ours: readonly OpenWindow[],
  planned: Coverage,
  checkpoint: Instant | null,
  plannedEnd: Instant | null,
  request: WindowRequest,
  until: Instant,
): OpenWindow | undefined {
  const ends = [checkpoint ?? ORIGIN, plannedEnd ?? ORIGIN];
  // One backfill run works on several intervals at once: the head of another of them is not this one's to take.
  const own = ours.filter(
    (one) => one.kind !== 'past' && (request.past === undefined || one.until === until),
  );
  const left = open.filter(
    (one) =>
      one.kind !== 'past' &&
      isOneOf(request.closedOwners, one.owner) &&
      ends.some((end) => one.from <= end && end < one.until) &&
      !contains(planned, one),
  );
  return firstByTime(own) ?? firstByTime(left);
}

/** The earliest; of two that start together the one that reaches further, so that the other is covered by it. */
function firstByTime(windows: readonly OpenWindow[]): OpenWindow | undefined {
  return [...windows].sort((a, b) => compare(a.from, b.from) || compare(b.until, a.until))[0];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function decidePast(
  state: WindowState,
  live: readonly OpenWindow[],
  past: Interval,
  request: WindowRequest,
  checkpoint: Instant,
): WindowDecision {
  if (past.from >= past.until) return { kind: 'current', checkpoint };
  const same = state.open.find(
    (one) =>
      one.from === past.from &&
      one.until === past.until &&
      (sameOwner(one.owner, request.owner) || isOneOf(request.closedOwners, one.owner)),
  );
  if (same !== undefined) return resume(same);
  const holder = live.find((one) => !sameOwner(one.owner, request.owner) && contains([one], past));
  if (holder !== undefined) return { kind: 'in-progress', owner: holder.owner };
  return { kind: 'open', windowKind: 'past', from: past.from, until: past.until };
}

/**
 * A partial window beside all others: its own one or one of a closed owner for the same fields is resumed, whatever its bounds,
 * since rows behind its end were read with every field. I3: it ends at the checkpoint, beyond which nothing has landed yet.
 */
function decidePartial(
  state: WindowState,
  fields: readonly string[],
  request: WindowRequest,
): WindowDecision {
  const checkpoint = gapFreeEnd(state.coverage);
  if (checkpoint === null) return { kind: 'first-load-missing' };
  const partial = state.open.filter((one) => one.fields !== undefined);
  const isFree = (one: OpenWindow) =>
    sameOwner(one.owner, request.owner) || isOneOf(request.closedOwners, one.owner);
  const same = partial.find((one) => isFree(one) && sameFields(one.fields ?? [], fields));
  if (same !== undefined) return resume(same);
  // One after the other: `_confirmed_at` of a row tells that it was read, not by which of two readings that overlap.
  const holder = partial.find((one) => !isFree(one));
  if (holder !== undefined) return { kind: 'in-progress', owner: holder.owner };
  const until = earliest(request.past?.until ?? request.until, checkpoint);
  return { kind: 'open', windowKind: 'past', from: ORIGIN, until };
}

function sameFields(first: readonly string[], second: readonly string[]): boolean {
  return first.length === second.length && first.every((field) => second.includes(field));
}

/** How long a backfill's unfinished window waits for its repetition, ms. */
export const PAST_WINDOW_AGE_MS_MAX = 7 * 86_400_000;

/**
 * Windows of closed owners that nobody will resume: head windows that others covered meanwhile, and old unfinished
 * backfill windows. Giving them up loses nothing and lets the stage forget their files.
 */
export function obsoleteWindows(
  state: WindowState,
  closedOwners: readonly Owner[],
  now: Instant,
  keep: string | null,
): OpenWindow[] {
  return state.open.filter((one) => {
    if (one.id === keep || !isOneOf(closedOwners, one.owner)) return false;
    if (one.kind === 'past' || one.fields !== undefined)
      return one.createdAt < addMs(now, -PAST_WINDOW_AGE_MS_MAX);
    return contains(state.coverage, one);
  });
}

/** Where reads of a window start; the window itself does not move. */
export function readFrom(from: Instant, lookbackMs: number): Instant {
  return addMs(from, -lookbackMs);
}

/** U: the newest grid time for a scheduled run, now for one by hand; never past what the source can prove visible. */
export function windowUntil(options: {
  scheduled: boolean;
  now: Instant;
  everyMs: number;
  visibleUntil: Instant;
}): Instant {
  const wanted = options.scheduled ? gridFloor(options.now, options.everyMs) : options.now;
  return earliest(wanted, options.visibleUntil);
}

export function sameOwner(first: Owner, second: Owner): boolean {
  return first.workflowId === second.workflowId && first.runId === second.runId;
}

export function isOneOf(owners: readonly Owner[], owner: Owner): boolean {
  return owners.some((one) => sameOwner(one, owner));
}
