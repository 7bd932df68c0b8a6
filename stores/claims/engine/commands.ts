import { HeadwaterError } from '../../../rules/errors.ts';
import type { ClaimValue, Identifier, RecordRef } from '../../../schemas/observation.ts';
import type { ApplyReceipt, Cause } from '../claims.ts';
import { NOTHING_APPLIED } from './apply.ts';
import type { Writes } from './draft.ts';
import { endOverride, refOf } from './history.ts';
import { identifiersOf } from './identifiers.ts';
import { relink } from './links.ts';
import { ask, type Edge, type Program } from './program.ts';
import { currentProfile } from './queries.ts';
import { referencesIn } from './references.ts';
import { closed, newReviews, raise, settle } from './settle.ts';
import { exclusive } from './subject.ts';
import { newWorld, type Context, type Profile, type Rec, type World } from './world.ts';

export interface Done<T> {
  writes: Writes;
  result: T;
}

/** A merge chain is a tree; this many generations are looked at. */
const GENERATIONS_MAX = 64;

export function* finish<T>(world: World, result: T): Program<Done<T>> {
  const receipt: ApplyReceipt = { ...NOTHING_APPLIED };
  yield* relink(world);
  yield* settle(world, receipt);
  yield* newReviews(world);
  return { writes: world.draft.finish(), result };
}

/** The world with one profile loaded, by its public id or an alias. INPUT_INVALID when there is none. */
export function* worldOf(
  context: Context,
  id: string,
  cause: Cause,
): Program<{ world: World; profile: Profile }> {
  const row = yield* currentProfile(context, id);
  if (row === null) throw new HeadwaterError('INPUT_INVALID', 'there is no profile with this id');
  const world = yield* newWorld(context, cause, null, [row.entity]);
  yield* world.load([row.pid]);
  const profile = world.profiles.get(row.pid);
  if (profile === undefined) throw new HeadwaterError('INTERNAL', 'a profile vanished while it was read');
  return { world, profile };
}

/** The record that carries what is said of the profile: its oldest, so that an unmerge takes it along. */
export function anchor({ members }: Profile): Rec {
  const [first] = [...members]
    .filter(({ row }) => row.salt !== null)
    .toSorted((left, right) => left.row.rid - right.row.rid);
  if (first === undefined) throw new HeadwaterError('INPUT_INVALID', 'this profile has been erased');
  return first;
}

export function* override(
  context: Context,
  id: string,
  field: string,
  value: ClaimValue,
  cause: Cause,
): Program<Done<void>> {
  const { world, profile } = yield* worldOf(context, id, cause);
  setOverride(world, profile, field, value);
  return yield* finish(world, undefined);
}

export function setOverride(world: World, profile: Profile, field: string, value: ClaimValue): void {
  world.keepPrior(profile);
  const rec = anchor(profile);
  const seq = world.draft.statement('override', rec.row, world.keyOf(rec), { field, value });
  for (const member of profile.members) {
    const opened = world.opened(member);
    const overrides = endOverride(opened.overrides, field);
    if (member === rec) {
      const said = world.draft.events.at(-1)?.id ?? '';
      overrides.push({ field, value, id: said, seq, at: world.cause.at });
    }
    member.opened = { ...opened, overrides };
  }
}

export function* release(context: Context, id: string, field: string, cause: Cause): Program<Done<number>> {
  const { world, profile } = yield* worldOf(context, id, cause);
  world.keepPrior(profile);
  let released = 0;
  for (const rec of profile.members) {
    const opened = world.opened(rec);
    const retractions = opened.retractions.filter((other) => other.field !== field);
    const overrides = endOverride(opened.overrides, field);
    const ended = opened.retractions.length - retractions.length + opened.overrides.length - overrides.length;
    if (ended === 0) continue;
    released += ended;
    rec.opened = { ...opened, retractions, overrides };
    world.draft.statement('release', rec.row, world.keyOf(rec), { field });
  }
  return yield* finish(world, released);
}

/** A person's word: these are one, or never. */
export function* state(
  context: Context,
  kind: 'link' | 'apart',
  refs: readonly [RecordRef, RecordRef],
  cause: Cause,
): Program<Done<void>> {
  const [a, b] = [yield* recordOf(refs[0]), yield* recordOf(refs[1])];
  if (a.rid === b.rid) throw new HeadwaterError('INPUT_INVALID', 'a record cannot be linked with itself');
  if (a.entity !== b.entity) {
    throw new HeadwaterError('INPUT_INVALID', `one record is a ${a.entity}, the other a ${b.entity}`);
  }
  const world = yield* newWorld(context, cause, null, [a.entity]);
  yield* stateLink(world, kind, a.rid, b.rid, [a.pid, b.pid]);
  return yield* finish(world, undefined);
}

function* recordOf({ source, object, record }: RecordRef) {
  const row = yield* ask((reads) => reads.recordByRef(source, object, record));
  if (row === null) throw new HeadwaterError('INPUT_INVALID', 'one of the records is not known');
  return row;
}

function* stateLink(
  world: World,
  kind: 'link' | 'apart',
  left: number,
  right: number,
  pids: readonly number[],
): Program<void> {
  yield* world.load(pids);
  const [a, b] = [Math.min(left, right), Math.max(left, right)];
  const edge = (of: Edge['kind']): Edge => ({ a, b, kind: of });
  world.draft.goneEdges.push(edge(kind === 'link' ? 'apart' : 'link'));
  world.draft.newEdges.push(edge(kind));
  for (const rid of [a, b]) {
    const rec = world.byId.get(rid);
    if (rec === undefined) continue;
    const profile = world.profileOf(rec);
    world.touched.add(profile);
    world.replan.add(profile);
    const says = { why: 'operator', with: rid === a ? b : a };
    world.draft.statement(kind === 'link' ? 'link' : 'unlink', rec.row, world.keyOf(rec), says);
  }
}

/** tie: the claim's value stands as an override until it is released. link: as `link` and `unlink`. */
export function* resolveReview(
  context: Context,
  id: string,
  decision: string,
  cause: Cause,
): Program<Done<void>> {
  const review = yield* ask((reads) => reads.review(id));
  if (review === null || review.state === 'resolved') {
    throw new HeadwaterError('INPUT_INVALID', `there is no open review ${id}`);
  }
  const world = yield* newWorld(context, cause, null, [review.entity]);
  if (review.kind === 'link') {
    if (decision !== 'link' && decision !== 'apart') {
      throw new HeadwaterError('INPUT_INVALID', 'decide this review with link or apart');
    }
    const rids = review.candidates.map(({ rid }) => rid);
    const records = yield* ask((reads) => reads.recordsById(rids));
    const [left, right] = records;
    if (left === undefined || right === undefined) {
      throw new HeadwaterError('INPUT_INVALID', 'one of the records is not known any more');
    }
    yield* stateLink(world, decision, left.rid, right.rid, [left.pid, right.pid]);
  } else {
    yield* decideTie(world, review.pid, review.field ?? '', decision);
  }
  const done = yield* finish(world, undefined);
  const isClosed = done.writes.reviews.some((other) => other.id === id && other.state === 'resolved');
  done.writes.reviews = [
    ...done.writes.reviews.filter((other) => other.id !== id),
    { ...review, state: 'resolved', decision },
  ];
  // The decision ends the tie, so it is perhaps closed and counted already.
  if (!isClosed) world.draft.count('open reviews', -1);
  done.writes.empty = false;
  return done;
}

function* decideTie(world: World, pid: number, field: string, claim: string): Program<void> {
  yield* world.load([pid]);
  const profile = world.profiles.get(pid);
  if (profile === undefined) throw new HeadwaterError('INTERNAL', 'a review names an unknown profile');
  const found = [...profile.members]
    .map((rec) => world.stateAfter(rec)?.claims[field])
    .find((candidate) => candidate?.claim === claim);
  if (found === undefined) {
    throw new HeadwaterError('INPUT_INVALID', `no record of the profile makes the claim ${claim} any more`);
  }
  setOverride(world, profile, field, found.value);
}

/**
 * I5: shreds the key of every record. What is left are ciphertext that nobody can open, keyed hashes that keep the subject out,
 * and tombstones for whoever drains the outbox; the chain over the ciphertext still holds.
 */
export function* erase(
  context: Context,
  id: string,
  cause: Cause,
  keepOut: 'subject' | 'records' = 'subject',
): Program<Done<{ records: RecordRef[]; profiles: string[] }>> {
  const { world, profile } = yield* worldOf(context, id, cause);
  const { draft } = world;
  const { vault } = context;
  const records: RecordRef[] = [];
  const own = new Set([...profile.members].map(({ row }) => row.rid));
  for (const rec of profile.members) {
    const { row } = rec;
    if (row.record === null) continue;
    records.push(refOf(row));
    const said = world
      .contents(rec)
      .flatMap(({ h = [] }) => h.map(([kind, value]): Identifier => ({ kind, value })));
    const hashes = identifiersOf(vault, context, row.entity, said).map(({ hash }) => hash);
    draft.suppress.push(vault.subjectHash(row.source, row.object, row.record));
    if (keepOut === 'subject') draft.suppress.push(...(yield* exclusive(context, row.entity, said, own)));
    const references = world
      .contents(rec)
      .flatMap(({ f }) => referencesIn(vault, context.references, row.entity, f));
    draft.forget.push({ rid: row.rid, identifiers: hashes, references });
    draft.event('erase', row, vault.observationId(`erase\0${row.rid}`), null);
  }
  const aliases = yield* aliasesOf(profile.row.pid);
  const gone = [profile.row, ...(yield* ask((reads) => reads.profiles(aliases)))];
  for (const row of gone) {
    row.deleted = true;
    row.contested = false;
    raise(world, { row, isNew: false, before: new Set(), prior: null, members: new Set() });
  }
  const reviews = yield* ask((reads) => reads.reviews(gone.map(({ pid }) => pid)));
  const open = reviews.filter(({ state }) => state === 'open');
  draft.reviews.push(...open.map(closed));
  draft.count('open reviews', -open.length);
  const profiles = gone.map(({ pid }) => vault.publicId(pid));
  return { writes: draft.finish(), result: { records, profiles } };
}

export function* aliasesOf(pid: number): Program<number[]> {
  const all: number[] = [];
  let generation = [pid];
  for (let step = 0; step < GENERATIONS_MAX && generation.length > 0; step += 1) {
    const asked = generation;
    const found = yield* ask((reads) => reads.aliasesOf(asked));
    // I1: a back end may answer in any order, and what is told of them must not show which.
    generation = found.toSorted((left, right) => left - right);
    all.push(...generation);
  }
  return all;
}
