import type { Instant } from '../../schemas/instant.ts';
import type { ClaimValue, RecordRef } from '../../schemas/observation.ts';
import { addMs, earliest, latest, ORIGIN } from '../time.ts';
import { canonicalJson, identical } from './canonical.ts';
import type { FieldClaim, RecordState, Retraction, Version } from './state.ts';
import { compareText } from './values.ts';

/** A version at its effective time. */
interface Placed {
  version: Version;
  at: Instant;
}

/** Neighbouring versions that read a field and found the same value. */
interface Run {
  value: ClaimValue;
  first: Placed;
  last: Placed;
  /** The source's own time for the field, where a version of the run gives one; the newest counts. */
  time: Instant | null;
  /** The earliest time that anything gives for its beginning: it never moves forward, whatever arrives. */
  start: Instant;
  previous: Run | null;
}

/**
 * I1: what a record says now, a pure function of the set of its versions: neither their order nor repetitions of one id change it
 * (of repetitions, the earliest `firstSeen` and the latest `confirmedAt` count). The claims of a deleted record are what it said
 * last; resolving leaves them out.
 */
export function foldRecord(
  ref: RecordRef,
  versions: readonly Version[],
  retractions: readonly Retraction[],
  maxSkewMs: number,
): RecordState {
  const [only] = versions;
  if (only && versions.length === 1 && retractions.length === 0) return foldOne(ref, only, maxSkewMs);
  const ordered = order(versions, maxSkewMs);
  const newest = ordered.at(-1);
  if (!newest) return { ref, ...NOTHING };
  const claims: Record<string, FieldClaim> = {};
  const retracted: Record<string, FieldClaim> = {};
  for (const [field, run] of newestRuns(ordered, maxSkewMs)) {
    const ours = retractions.filter((retraction) => retraction.field === field);
    const counting = ours.length === 0 ? run : newestCounting(run, ours);
    if (counting) claims[field] = claimOf(field, counting);
    if (counting !== run) retracted[field] = claimOf(field, run);
  }
  return {
    ref,
    deleted: newest.version.deleted,
    everDeleted: ordered.some(({ version }) => version.deleted),
    stamp: newest.at,
    version: newest.version.version,
    claims,
    retracted,
    clamped: newest.at !== newest.version.stamp,
  };
}

const NONE: Readonly<Record<string, never>> = Object.freeze({});
const NOTHING = {
  deleted: true,
  everDeleted: true,
  stamp: ORIGIN,
  version: '',
  claims: NONE,
  retracted: NONE,
  clamped: false,
};

/** Nearly every record of a first load: no ordering, no runs. */
function foldOne(ref: RecordRef, version: Version, maxSkewMs: number): RecordState {
  const at = effective(version.stamp, version.firstSeen, maxSkewMs);
  const { id, seq, fields, times, inferred, deleted } = version;
  const claims: Record<string, FieldClaim> = {};
  if (!deleted) {
    for (const field of Object.keys(fields)) {
      const value = fields[field];
      if (value === undefined) continue;
      const time = own(times, field);
      const confidence = own(inferred, field);
      claims[field] = {
        value,
        changedAt: time === undefined ? at : effective(time, version.firstSeen, maxSkewMs),
        claim: id,
        seq,
        kind: confidence === undefined ? 'explicit' : 'inferred',
        confidence: confidence ?? 1,
      };
    }
  }
  return {
    ref,
    deleted,
    everDeleted: deleted,
    stamp: at,
    version: version.version,
    claims,
    retracted: NONE,
    clamped: at !== version.stamp,
  };
}

/** Oldest first, each id once: the order in which a record's versions count. */
export function orderVersions(versions: readonly Version[], maxSkewMs: number): Version[] {
  return order(versions, maxSkewMs).map(({ version }) => version);
}

/** Oldest first, each id once. */
function order(versions: readonly Version[], maxSkewMs: number): Placed[] {
  const byId = new Map<string, Version>();
  for (const version of versions) {
    const known = byId.get(version.id);
    byId.set(version.id, known ? join(known, version) : version);
  }
  return [...byId.values()]
    .map((version) => ({ version, at: effective(version.stamp, version.firstSeen, maxSkewMs) }))
    .toSorted(comparePlaced);
}

function join(left: Version, right: Version): Version {
  return {
    ...left,
    seq: Math.min(left.seq, right.seq),
    firstSeen: earliest(left.firstSeen, right.firstSeen),
    confirmedAt: latest(left.confirmedAt, right.confirmedAt),
  };
}

function comparePlaced(left: Placed, right: Placed): number {
  return (
    compareText(left.at, right.at) ||
    compareText(left.version.version, right.version.version) ||
    compareText(left.version.confirmedAt, right.version.confirmedAt) ||
    compareText(left.version.id, right.version.id)
  );
}

/** Clamped by the first observation, so that a clock in the far future cannot win for ever, and no later path moves it. */
function effective(stamp: Instant, firstSeen: Instant, maxSkewMs: number): Instant {
  return stamp <= firstSeen ? stamp : earliest(stamp, addMs(firstSeen, maxSkewMs));
}

/** Per field the newest run, with the older ones behind it. A deleted version reads nothing, and so breaks no run. */
function newestRuns(ordered: readonly Placed[], maxSkewMs: number): Map<string, Run> {
  const runs = new Map<string, Run>();
  for (const placed of ordered) {
    const { fields, times, deleted, firstSeen } = placed.version;
    if (deleted) continue;
    for (const field of Object.keys(fields)) {
      const value = fields[field];
      if (value === undefined) continue;
      const given = own(times, field);
      const time = given === undefined ? null : effective(given, firstSeen, maxSkewMs);
      const run = runs.get(field);
      if (run && identical(run.value, value)) {
        run.last = placed;
        run.time = time ?? run.time;
        run.start = earliest(run.start, time ?? run.start);
      } else {
        const start = earliest(placed.at, time ?? placed.at);
        runs.set(field, { value, first: placed, last: placed, time, start, previous: run ?? null });
      }
    }
  }
  return runs;
}

function claimOf(field: string, { value, first, last, time }: Run): FieldClaim {
  const confidence = own(last.version.inferred, field);
  return {
    value,
    changedAt: time ?? first.at,
    claim: first.version.id,
    seq: first.version.seq,
    kind: confidence === undefined ? 'explicit' : 'inferred',
    confidence: confidence ?? 1,
  };
}

function newestCounting(newest: Run, retractions: readonly Retraction[]): Run | null {
  const runs: Run[] = [];
  for (let run: Run | null = newest; run; run = run.previous) runs.push(run);
  const takenBack = (run: Run, index: number, by: Retraction) => covers(by, run, runs[index - 1]);
  // A hold also takes what came after its run; where that is gone from the history, what began after its time.
  const held = retractions
    .filter(({ hold }) => hold)
    .map((by) => {
      const index = runs.findIndex((run, at) => takenBack(run, at, by));
      return index < 0 ? runs.findLastIndex(({ first }) => first.at >= by.runStart) : index;
    });
  const from = Math.max(-1, ...held) + 1;
  return (
    runs.find((run, index) => index >= from && !retractions.some((by) => takenBack(run, index, by))) ?? null
  );
}

/** By its value and by lasting at `runStart`: an older version that arrives late may move a run's start, and it stays the same. */
function covers({ value, runStart }: Retraction, run: Run, next: Run | undefined): boolean {
  const lasts = run.start <= runStart && (!next || next.first.at >= runStart);
  return lasts && canonicalJson(run.value) === value;
}

/** A field may be called `constructor`. */
function own<Value>(of: Readonly<Record<string, Value>> | undefined, field: string): Value | undefined {
  return of !== undefined && Object.hasOwn(of, field) ? of[field] : undefined;
}
