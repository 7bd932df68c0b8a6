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
  lines: RollbackLine[];
}

/** I4: adds events that take values back; nothing is changed or removed. A preview is the same, not written. */
export function* rollBack(
  context: Context,
  scope: RollbackScope,
  rids: readonly number[],
  cause: Cause,
): Program<Done<RolledBack>> {
  const rows = yield* ask((reads) => reads.recordsById(rids));
  const world = yield* newWorld(context, cause, null, new Set(rows.map(({ entity }) => entity)));
  yield* world.load(rows.map(({ pid }) => pid));
  const result: RolledBack = { retracted: 0, profiles: [], lines: [] };
  const profiles = new Set<number>();
  for (const { rid } of rows) {
    const rec = world.byId.get(rid);
    if (rec === undefined || rec.row.salt === null) continue;
    if (scope.source !== undefined && rec.row.source !== scope.source) continue;
    const causes = yield* causesOf(world, rec, scope);
    const lines = takeBack(world, rec, scope, causes);
    if (lines.length > 0) profiles.add(rec.row.pid);
    result.lines.push(...lines);
  }
  result.retracted = result.lines.length;
  result.profiles = [...profiles];
  return yield* finish(world, result);
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
): RollbackLine[] {
  const before = world.stateAfter(rec);
  const fields = scope.field === undefined ? Object.keys(before?.claims ?? {}) : [scope.field];
  const lines: RollbackLine[] = [];
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
    lines.push({
      profile: world.context.vault.publicId(rec.row.pid),
      ref: refOf(rec.row),
      field,
      before: first.value,
      after: last?.value ?? null,
    });
  }
  return lines;
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
