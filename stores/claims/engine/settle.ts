import { diffGolden } from '../../../rules/golden/diff.ts';
import {
  asksReview,
  resolveProfile,
  type CompiledRules,
  type Resolved,
} from '../../../rules/golden/resolve.ts';
import type { ApplyReceipt } from '../claims.ts';
import { areFieldsChanged, isOneChanged } from './changed.ts';
import { instantOf } from './history.ts';
import { reviewId } from './links.ts';
import { ask, type Program, type ReviewRow } from './program.ts';
import type { Profile, Rec, World } from './world.ts';

/**
 * Versions and outbox rows, once per profile and transaction: only where the golden values, the links or the deletion are
 * other than before.
 */
export function* settle(world: World, receipt: ApplyReceipt): Program<void> {
  yield* loadToSettle(world);
  for (const profile of world.touched) {
    if (profile.row.mergedInto !== null) {
      if (profile.isNew) continue;
      world.ties.set(profile.row.pid, new Set());
      raise(world, profile);
      receipt.merged += 1;
    } else if (profile.isNew) {
      if (profile.members.size === 0) continue;
      begin(world, profile);
      receipt.created += 1;
    } else if (isChanged(world, profile) || world.marked.has(profile)) {
      raise(world, profile);
      receipt.changed += 1;
    }
  }
}

/** The logs of profiles that cannot be settled by what is stored beside the logs. */
function* loadToSettle(world: World): Program<void> {
  const recs: Rec[] = [];
  for (const profile of world.touched) {
    if (profile.row.mergedInto !== null) continue;
    const settled = profile.prior === null && (profile.isNew || isLinked(profile));
    if (settled && isPlain(profile.members, world.compiled(profile.row.entity))) continue;
    for (const rec of profile.members) if (!rec.isLoaded) recs.push(rec);
    for (const rec of profile.before) if (!rec.isLoaded) recs.push(rec);
  }
  if (recs.length > 0) yield* world.loadLogs(new Set(recs));
}

function isLinked({ before, members }: Profile): boolean {
  if (before.size !== members.size) return true;
  for (const rec of before) if (!members.has(rec)) return true;
  return false;
}

function begin(world: World, profile: Profile): void {
  const { row, members } = profile;
  const [only] = members;
  const compiled = world.compiled(row.entity);
  const simple = members.size === 1 && only?.row.events === 1;
  if (simple) row.deleted = only.row.deleted;
  else if (isPlain(members, compiled)) noteLinked(world, profile, compiled);
  else note(world, profile, world.resolved(profile));
  world.draft.newProfiles.push(row);
  world.draft.count(`profiles:${row.entity}`, 1);
  raise(world, profile);
}

export function raise(world: World, { row, isNew }: Profile): void {
  const { draft } = world;
  row.version += 1;
  row.seq = draft.head.seq;
  row.at = draft.at;
  if (!isNew) draft.profiles.add(row);
  draft.head.position += 1;
  draft.outbox.push({
    position: draft.head.position,
    pid: row.pid,
    version: row.version,
    seq: row.seq,
    at: row.at,
  });
}

function isChanged(world: World, profile: Profile): boolean {
  const { members, prior: kept } = profile;
  const linked = isLinked(profile);
  const compiled = world.compiled(profile.row.entity);
  const [only] = members;
  if (kept === null && !linked && members.size === 1 && only !== undefined)
    return isOneChanged(world, profile, only, compiled);
  if (kept === null && linked && isPlain(members, compiled)) {
    noteLinked(world, profile, compiled);
    return true;
  }
  if (kept === null && !linked && !asksAnyReview(compiled)) {
    const changed = areFieldsChanged(world, profile, compiled);
    if (changed === true) noteContested(world, profile);
    if (changed !== null) return changed;
  }
  const after = world.resolved(profile);
  const was = profile.row.deleted;
  note(world, profile, after);
  if (linked || was !== after.deleted) return true;
  const prior = kept ?? resolvedBefore(world, profile, compiled);
  return diffGolden(prior.fields, after.fields).length > 0;
}

/** Records of one version each, in which nobody asked to be told of ties: what is noted of them can be seen without opening. */
function isPlain(members: ReadonlySet<Rec>, compiled: CompiledRules): boolean {
  if (asksAnyReview(compiled)) return false;
  for (const { row } of members) if (row.events !== 1 || row.head === null) return false;
  return true;
}

function asksAnyReview({ defaults, fields }: CompiledRules): boolean {
  if (defaults.rule.onTie === 'review') return true;
  for (const { rule } of fields.values()) if (rule.onTie === 'review') return true;
  return false;
}

function noteLinked(world: World, profile: Profile, compiled: CompiledRules): void {
  const { row, members } = profile;
  let gone = 0;
  for (const rec of members) if (rec.row.deleted) gone += 1;
  row.deleted = compiled.rules.deletes.golden === 'any' ? gone > 0 : gone === members.size;
  row.contested = mayContest(members) && !row.deleted;
  if (!profile.isNew) world.draft.profiles.add(row);
}

function noteContested(world: World, { row, members }: Profile): void {
  const contested = mayContest(members) && !row.deleted;
  if (row.contested === contested) return;
  row.contested = contested;
  world.draft.profiles.add(row);
}

/** A field is contested between sources; whether one really is, whoever reads the profile sees. */
function mayContest(members: ReadonlySet<Rec>): boolean {
  const [first, ...others] = members;
  return others.some(({ row }) => row.source !== first?.row.source);
}

function resolvedBefore(world: World, { before }: Profile, compiled: CompiledRules): Resolved {
  const states = [...before].flatMap((rec) => world.stateBefore(rec) ?? []);
  return resolveProfile(states, world.overrides(before), compiled, instantOf(world.draft.at));
}

/** What is stored beside the log so that it can be looked for; and ties that a person shall decide. */
export function note(world: World, profile: Profile, resolved: Resolved): void {
  const { row } = profile;
  const golden = Object.entries(resolved.fields);
  const contested = !resolved.deleted && golden.some(([, field]) => field.contested);
  if (row.contested !== contested || row.deleted !== resolved.deleted) {
    row.contested = contested;
    row.deleted = resolved.deleted;
    if (!profile.isNew) world.draft.profiles.add(row);
  }
  const compiled = world.compiled(row.entity);
  const ties = new Set<string>();
  for (const [field, { tied }] of golden) {
    if (tied && asksReview(compiled, field)) ties.add(putUp(world, profile, field));
  }
  world.ties.set(row.pid, ties);
}

/** The id of the review. */
function putUp(world: World, profile: Profile, field: string): string {
  const candidates = [...profile.members].flatMap((rec) => {
    const claim = world.stateAfter(rec)?.claims[field];
    return claim === undefined ? [] : [{ rid: rec.row.rid, claim: claim.claim }];
  });
  candidates.sort((left, right) => left.rid - right.rid);
  const id = reviewId('tie', profile.row.pid, field, ...candidates.map(({ claim }) => claim));
  world.draft.reviews.push({
    id,
    kind: 'tie',
    entity: profile.row.entity,
    pid: profile.row.pid,
    field,
    candidates,
    evidence: `the rule of ${field} finds several claims equal`,
    openedAt: world.draft.at,
    state: 'open',
    decision: null,
  });
  return id;
}

/** The decision of a tie that ended by itself. */
const ENDED = 'ended';

/**
 * Leaves out what was put up before, decided or not; the number of those that are new. A tie that has ended is closed, and opened
 * again when it comes back.
 */
export function* newReviews(world: World): Program<number> {
  const { draft } = world;
  const pids = new Set(draft.reviews.map(({ pid }) => pid));
  const open = world.ties.size === 0 ? 0 : ((yield* ask((reads) => reads.counts())).get('open reviews') ?? 0);
  if (open > 0) for (const pid of world.ties.keys()) pids.add(pid);
  if (pids.size === 0) return 0;
  const stored = yield* ask((reads) => reads.reviews([...pids]));
  const known = new Set(stored.filter(({ decision }) => decision !== ENDED).map(({ id }) => id));
  const fresh = new Map(
    draft.reviews.filter(({ id }) => !known.has(id)).map((review) => [review.id, review]),
  );
  const ended = stored.filter(
    ({ id, pid, kind, state }) =>
      kind === 'tie' && state === 'open' && world.ties.get(pid)?.has(id) === false,
  );
  draft.reviews.splice(0, draft.reviews.length, ...fresh.values(), ...ended.map(closed));
  draft.count('open reviews', fresh.size - ended.length);
  return fresh.size;
}

export function closed(review: ReviewRow): ReviewRow {
  return { ...review, state: 'resolved', decision: ENDED };
}
