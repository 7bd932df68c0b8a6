import { canonicalJson } from '../../../rules/golden/canonical.ts';
import type { FieldClaim, Retraction } from '../../../rules/golden/state.ts';
import type { Cause, RollbackLine, RollbackScope } from '../claims.ts';
import { finish, type Done } from './commands.ts';
import { refOf } from './history.ts';
import { ask, type CauseOf, type Program } from './program.ts';
import { currentProfile } from './queries.ts';
import { newWorld, type Context, type Rec, type World } from './world.ts';

/** Values of one field that one rollback takes back one after the other. */
const RUNS_MAX = 1_000;

/** Records above `after` that the scope may concern, ascending. */
export function* recordsInScope(
  context: Context,
  scope: RollbackScope,
  after: number,
  limit: number,
): Program<number[]> {
  const sinceMs = scope.since === undefined ? null : Date.parse(scope.since);
  if (scope.profile === undefined) {
    const filter = { run: scope.run ?? null, sinceMs };
    return yield* ask((reads) => reads.recordsChanged(filter, after, limit));
  }
  const profile = yield* currentProfile(context, scope.profile);
  if (profile === null) return [];
  const records = yield* ask((reads) => reads.recordsOf([profile.pid]));
  return records
    .map(({ rid }) => rid)
    .filter((rid) => rid > after)
    .toSorted((left, right) => left - right)
    .slice(0, limit);
}

export interface RolledBack {
  retracted: number;
  profiles: number[];
}

/** A field of a record whose value is taken back. */
interface Taken {
  rec: Rec;
  field: string;
}

/** I4: adds events that take values back; nothing is changed or removed. */
export function* rollBack(
  context: Context,
  scope: RollbackScope,
  rids: readonly number[],
  cause: Cause,
): Program<Done<RolledBack>> {
  const rows = yield* ask((reads) => reads.recordsById(rids));
  const world = yield* newWorld(context, cause, null, new Set(rows.map(({ entity }) => entity)));
  yield* world.load(rows.map(({ pid }) => pid));
  const taken = yield* takeAllBack(
    world,
    scope,
    rows.flatMap(({ rid }) => world.byId.get(rid) ?? []),
  );
  const profiles = [...new Set(taken.map(({ rec }) => rec.row.pid))];
  return yield* finish(world, { retracted: taken.length, profiles });
}

/**
 * What a rollback would do to the profiles of these records, but those `seen`. A golden value is made of all records of its
 * profile, so all are taken back together, whichever page they are in.
 */
export function* previewRollBack(
  context: Context,
  scope: RollbackScope,
  rids: readonly number[],
  cause: Cause,
  seen: ReadonlySet<number>,
): Program<{ pids: number[]; lines: RollbackLine[] }> {
  const rows = yield* ask((reads) => reads.recordsById(rids));
  const world = yield* newWorld(context, cause, null, new Set(rows.map(({ entity }) => entity)));
  const pids = [...new Set(rows.map(({ pid }) => pid))].filter((pid) => !seen.has(pid));
  yield* world.load(pids);
  const lines: RollbackLine[] = [];
  for (const pid of pids) {
    const profile = world.profiles.get(pid);
    if (profile === undefined) continue;
    const taken = yield* takeAllBack(world, scope, [...profile.members]);
    if (taken.length === 0) continue;
    const [before, after] = [profile.prior?.fields ?? {}, world.resolved(profile).fields];
    for (const { rec, field } of taken) {
      lines.push({
        profile: context.vault.publicId(pid),
        ref: refOf(rec.row),
        field,
        before: before[field]?.value ?? null,
        after: after[field]?.value ?? null,
      });
    }
  }
  return { pids, lines };
}

function* takeAllBack(world: World, scope: RollbackScope, recs: readonly Rec[]): Program<Taken[]> {
  const taken: Taken[] = [];
  for (const rec of recs) {
    if (rec.row.salt === null) continue;
    if (scope.source !== undefined && rec.row.source !== scope.source) continue;
    const causes = yield* causesOf(world, rec, scope);
    taken.push(...takeBack(world, rec, scope, causes));
  }
  return taken;
}

function* causesOf(world: World, rec: Rec, { run }: RollbackScope): Program<Map<number, CauseOf>> {
  if (run === undefined) return new Map();
  const numbers = new Set(world.opened(rec).versions.flatMap(({ seq }) => causeOfEvent(rec, seq) ?? []));
  return yield* ask((reads) => reads.causes([...numbers]));
}

const causeOfEvent = (rec: Rec, seq: number) => rec.events.find((event) => event.seq === seq)?.cause;

function takeBack(
  world: World,
  rec: Rec,
  scope: RollbackScope,
  causes: ReadonlyMap<number, CauseOf>,
): Taken[] {
  const before = world.stateAfter(rec);
  const fields = scope.field === undefined ? Object.keys(before?.claims ?? {}) : [scope.field];
  const taken: Taken[] = [];
  // Without a time or a run, what holds now is meant, and not what held before.
  const runsMax = scope.since === undefined && scope.run === undefined ? 1 : RUNS_MAX;
  for (const field of fields) {
    const first = before?.claims[field];
    for (let run = 0; run < runsMax; run += 1) {
      const claim = world.stateAfter(rec)?.claims[field];
      if (claim === undefined || !isMeant(rec, claim, scope, causes)) break;
      retract(world, rec, {
        field,
        value: canonicalJson(claim.value),
        runStart: claim.changedAt,
        hold: scope.hold,
      });
    }
    const last = world.stateAfter(rec)?.claims[field];
    if (first === undefined || first.claim === last?.claim) continue;
    taken.push({ rec, field });
  }
  return taken;
}

/** By the event that began the value: later ones only repeat it. */
function isMeant(
  rec: Rec,
  claim: FieldClaim,
  { since, run }: RollbackScope,
  causes: ReadonlyMap<number, CauseOf>,
): boolean {
  const event = rec.events.find(({ seq }) => seq === claim.seq);
  if (event === undefined) return false;
  if (since !== undefined && event.at <= Date.parse(since)) return false;
  return run === undefined || causes.get(event.cause)?.run === run;
}

function retract(world: World, rec: Rec, retraction: Retraction): void {
  world.keepPrior(world.profileOf(rec));
  const opened = world.opened(rec);
  rec.opened = { ...opened, retractions: [...opened.retractions, retraction] };
  world.draft.statement('retract', rec.row, world.keyOf(rec), { field: retraction.field, retraction });
}
