import type { Observation } from '../../../schemas/observation.ts';
import type { Instant } from '../../../schemas/instant.ts';
import { CLUSTER_MAX } from '../../../rules/identity/guards.ts';
import type { ApplyReceipt, Cause } from '../claims.ts';
import type { Vault } from '../vault.ts';
import { identifierOf, parseContent, type Content } from './content.ts';
import type { Writes } from './draft.ts';
import { versionOf } from './history.ts';
import { currentIdentifiers, loadHolders } from './identifiers.ts';
import { relink } from './links.ts';
import type { Prepared } from './prepare.ts';
import { ask, type Program } from './program.ts';
import { referencesIn } from './references.ts';
import { newReviews, settle } from './settle.ts';
import { newWorld, type Context, type Profile, type Rec, type RecordName, type World } from './world.ts';

export interface Applied {
  writes: Writes;
  receipt: ApplyReceipt;
}

export const NOTHING_APPLIED: ApplyReceipt = {
  alreadyApplied: false,
  observed: 0,
  known: 0,
  suppressed: 0,
  created: 0,
  changed: 0,
  merged: 0,
  reviews: 0,
};

/** One transaction of an apply. I2: observed + known + suppressed = the observations given. */
export function* applyObservations(
  prepared: readonly Prepared[],
  cause: Cause,
  causeNumber: number | null,
  context: Context,
): Program<Applied> {
  const entities = new Set(prepared.map(({ observation }) => observation.entity));
  const world = yield* newWorld(context, cause, causeNumber, entities);
  const receipt = { ...NOTHING_APPLIED };
  const erased = yield* erasedAmong(world, prepared);
  const oids = yield* objectIds(prepared);
  const landing = prepared.filter((one) => {
    const suppressed = erased.size > 0 && hashesOf(context.vault, one).some((hash) => erased.has(hash));
    if (suppressed) receipt.suppressed += 1;
    return !suppressed;
  });
  yield* loadFor(world, landing, oids);
  for (const one of landing) {
    const oid = oids.get(objectKey(one.observation)) ?? 0;
    if (yield* land(world, one, oid)) receipt.observed += 1;
    else receipt.known += 1;
  }
  yield* relink(world);
  yield* settle(world, receipt);
  receipt.reviews = yield* newReviews(world);
  return { writes: world.draft.finish(), receipt };
}

const objectKey = ({ entity, ref }: Observation) => `${entity}\0${ref.source}\0${ref.object}`;

function* objectIds(prepared: readonly Prepared[]): Program<Map<string, number>> {
  const oids = new Map<string, number>();
  for (const { observation } of prepared) {
    const key = objectKey(observation);
    if (oids.has(key)) continue;
    const { entity, ref } = observation;
    oids.set(key, yield* ask((reads) => reads.objectId(entity, ref.source, ref.object)));
  }
  return oids;
}

function* erasedAmong(world: World, prepared: readonly Prepared[]): Program<ReadonlySet<string>> {
  if (world.draft.head.suppressed === 0) return new Set();
  const hashes = prepared.flatMap((one) => hashesOf(world.context.vault, one));
  return yield* ask((reads) => reads.suppressed(hashes));
}

/** What an erased subject is known by: its record, or an identifier. */
function hashesOf(vault: Vault, { observation: { ref }, identifiers }: Prepared): string[] {
  return [vault.subjectHash(ref.source, ref.object, ref.record), ...identifiers.map(({ hash }) => hash)];
}

/** Records named, holders of their identifiers, and every profile these are in. */
function* loadFor(
  world: World,
  landing: readonly Prepared[],
  oids: ReadonlyMap<string, number>,
): Program<void> {
  const keys = landing.map(({ observation }) => ({
    oid: oids.get(objectKey(observation)) ?? 0,
    record: observation.ref.record,
  }));
  const rows = yield* ask((reads) => reads.records(keys));
  const [changed, pids] = [new Set<number>(), new Set<number>()];
  const hashes = new Set<string>();
  for (const [index, one] of landing.entries()) {
    const row = rows[index] ?? null;
    // Nearly every known observation is its record's newest version: nothing else need be loaded for it.
    if (row !== null && row.headId === one.id) {
      world.addLoaded(row);
      continue;
    }
    if (row !== null) changed.add(row.pid);
    for (const { hash } of one.identifiers) hashes.add(hash);
  }
  yield* loadHolders(world, hashes, pids);
  yield* world.loadMembers([...changed, ...pids]);
  yield* world.load(changed);
}

/** False for a version that is there already. */
export function* land(world: World, one: Prepared, oid: number): Program<boolean> {
  const { observation, id } = one;
  const { entity, ref } = observation;
  const known = world.rec(oid, ref.record);
  // A second observation of a record whose first was its newest version: its profile was not loaded before.
  if (known !== undefined && !known.isNew && known.row.headId !== id) yield* world.load([known.row.pid]);
  if (known !== undefined && hasVersion(known, id)) {
    yield* repeat(world, known, one);
    return false;
  }
  const { source, object, record } = ref;
  const rec = known ?? world.newRecord({ oid, entity, source, object, record }, one.ahead?.salt);
  const content = parseContentOf(one);
  const first = rec.isNew && rec.added.length === 0;
  const same = !first && saysTheSame(world, rec, content);
  const before = first ? [] : same ? one.identifiers : currentIdentifiers(world, rec);
  const confirmed = Date.parse(observation.confirmedAt);
  const kind = observation.deleted ? 'tombstone' : rec.row.deleted ? 'undelete' : 'observe';
  const seq = world.draft.event(kind, rec.row, id, bodyOf(world, rec, one), confirmed);
  for (const hash of referencesIn(
    world.context.vault,
    world.context.references,
    entity,
    observation.fields,
  )) {
    world.draft.references.push({ hash, rid: rec.row.rid });
  }
  rec.added.push({ version: versionOf(id, seq, content, world.cause.at, observation.confirmedAt), content });
  raiseHead(world, rec, one, seq, confirmed);
  const now = first || same ? one.identifiers : currentIdentifiers(world, rec);
  world.touched.add(yield* followIdentifiers(world, rec, before, now));
  yield* stateMerges(world, rec, observation, oid);
  return true;
}

/** What was sealed ahead is of use only under the salt that its record has. */
function bodyOf(world: World, rec: Rec, { ahead, text, id }: Prepared): Uint8Array {
  if (ahead !== null && ahead.salt === rec.row.salt) return ahead.body;
  return world.context.vault.seal(world.keyOf(rec), text, id);
}

/** Times are compared as texts in the fold, so the fields can be shared with the observation. */
function parseContentOf({ observation, text }: Prepared): Content {
  const { deleted, fields, identifiers, inferred, stamp, times, version, mergedFrom, mergedInto } =
    observation;
  // Absent is not null, and undefined is absent: the text is what counts.
  if (times !== undefined || inferred !== undefined || mergedFrom !== undefined) return parseContent(text);
  const content: Content = { f: fields, s: stamp, v: version };
  if (deleted) content.d = 1;
  if (identifiers.length > 0) content.h = identifiers.map(identifierOf);
  if (mergedInto !== undefined) content.m = mergedInto;
  return content;
}

function hasVersion({ row, added, events }: Rec, id: string): boolean {
  return (
    row.headId === id ||
    added.some(({ version }) => version.id === id) ||
    events.some((event) => event.id === id)
  );
}

/** A version that is there already: at most its confirmation moves. */
function* repeat(world: World, rec: Rec, one: Prepared): Program<void> {
  const { row } = rec;
  const { id, observation } = one;
  const confirmed = Date.parse(observation.confirmedAt);
  if (row.headId === id) {
    // I1: the newest time at which a read returned this version, by a join, so order and repetition change nothing.
    const news = confirmed > row.confirmed || (observation.rowHash ?? row.rowHash) !== row.rowHash;
    if (!news) return;
    row.confirmed = Math.max(row.confirmed, confirmed);
    row.rowHash = observation.rowHash ?? row.rowHash;
    world.draft.records.add(row);
    if (world.profiles.has(row.pid)) world.touched.add(world.profileOf(rec));
    return;
  }
  // A version that is confirmed later than another of the same moment becomes the one that counts.
  const before = currentIdentifiers(world, rec);
  confirmOlder(world, rec, id, observation.confirmedAt);
  yield* followIdentifiers(world, rec, before, currentIdentifiers(world, rec));
}

function confirmOlder(world: World, rec: Rec, id: string, confirmedAt: Instant): void {
  const confirmed = Date.parse(confirmedAt);
  const added = rec.added.find(({ version }) => version.id === id);
  const event = rec.events.find((candidate) => candidate.id === id);
  const seq = added?.version.seq ?? event?.seq ?? 0;
  world.draft.confirmations.push({ seq, confirmed });
  if (added !== undefined && confirmedAt > added.version.confirmedAt) {
    added.version.confirmedAt = confirmedAt;
  }
  if (event !== undefined && confirmed > (event.confirmed ?? 0)) {
    // What was so before this transaction stays; the record is resolved again with the later time.
    rec.added.push(...laterConfirmed(world, rec, id, confirmedAt));
    world.touched.add(world.profileOf(rec));
  }
}

/** Versions that all name the same identifiers have these, whichever of them counts. */
function saysTheSame(world: World, rec: Rec, { h: said }: Content): boolean {
  const text = JSON.stringify(said);
  return world.contents(rec).every(({ h }) => JSON.stringify(h) === text);
}

/** The fold joins versions of one id by their latest confirmation. */
function laterConfirmed(world: World, rec: Rec, id: string, confirmedAt: string): Rec['added'] {
  const { versions, contents } = world.opened(rec);
  const index = versions.findIndex((version) => version.id === id);
  const [version, content] = [versions[index], contents[index]];
  return version === undefined || content === undefined
    ? []
    : [{ version: { ...version, confirmedAt }, content }];
}

/** What is no longer the newest version keeps its last confirmation apart, if there was one after its first. */
function keepConfirmation(world: World, rec: Rec): void {
  const { head: seq, confirmed } = rec.row;
  if (seq === null) return;
  const event = rec.events.find((candidate) => candidate.seq === seq);
  if (event?.confirmed !== confirmed) world.draft.confirmations.push({ seq, confirmed });
}

/** The head only makes re-reads cheap; which version counts is the fold's decision. */
function raiseHead(
  world: World,
  rec: Rec,
  { id, observation }: Prepared,
  seq: number,
  confirmed: number,
): void {
  const { row } = rec;
  const { draft } = world;
  const stamp = Date.parse(observation.stamp);
  if (stamp < row.stamp) return;
  keepConfirmation(world, rec);
  row.head = seq;
  row.headId = id;
  row.stamp = stamp;
  row.confirmed = confirmed;
  row.deleted = observation.deleted;
  row.rowHash = observation.rowHash ?? null;
  draft.records.add(row);
}

/**
 * The common cases at once: nobody shares an identifier, or all that do are one profile, or a few that nothing keeps apart.
 * They give what the partition of all of these records would give; where that is not certain, it decides (I1).
 */
function linkByIdentifiers(world: World, rec: Rec, identifiers: Prepared['identifiers']): Profile {
  const { row } = rec;
  let profile = row.pid === 0 ? undefined : world.profileOf(rec);
  let certain = true;
  const found = new Set<Profile>();
  for (const { hash, kind } of identifiers) {
    const holders = holdersOf(world, hash);
    if (holders.has(row.rid)) continue;
    holders.add(row.rid);
    world.draft.holdIdentifier(hash, row.rid);
    const limit = world.limitOf(kind);
    if (holders.size > limit + 1) continue;
    if (holders.size === limit + 1) certain = false;
    for (const rid of holders) {
      const other = world.byId.get(rid);
      if (other !== undefined && rid !== row.rid) found.add(world.profileOf(other));
    }
  }
  if (profile !== undefined) found.add(profile);
  if (certain && isSafe(world, found, rec.row.pid === 0 ? 1 : 0)) {
    const [oldest, ...others] = [...found].toSorted((left, right) => left.row.pid - right.row.pid);
    const target = oldest ?? world.newProfile(row.entity);
    if (row.pid === 0) enter(rec, target);
    for (const other of others) world.merge(target, other, 'same identifier');
    return target;
  }
  profile ??= world.newProfile(row.entity);
  if (row.pid === 0) enter(rec, profile);
  for (const other of [...found, profile]) world.replan.add(other);
  return profile;
}

function* followIdentifiers(
  world: World,
  rec: Rec,
  before: Prepared['identifiers'],
  now: Prepared['identifiers'],
): Program<Profile> {
  yield* dropIdentifiers(world, rec, before, now);
  const pids = new Set<number>();
  yield* loadHolders(
    world,
    now.map(({ hash }) => hash),
    pids,
  );
  yield* world.loadMembers(pids);
  return linkByIdentifiers(world, rec, now);
}

/** I1: links follow what records say now. Whoever was found by a value that is gone is looked at anew, in all directions. */
function* dropIdentifiers(
  world: World,
  rec: Rec,
  before: Prepared['identifiers'],
  now: Prepared['identifiers'],
): Program<void> {
  const gone = before.filter(({ hash }) => !now.some((one) => one.hash === hash)).map(({ hash }) => hash);
  if (gone.length === 0) return;
  const pids = new Set<number>();
  yield* loadHolders(world, gone, pids);
  yield* world.loadMembers(pids);
  for (const hash of gone) {
    const holders = holdersOf(world, hash);
    for (const rid of holders) {
      const other = world.byId.get(rid);
      if (other !== undefined) world.replan.add(world.profileOf(other));
    }
    holders.delete(rec.row.rid);
    world.draft.dropIdentifier(hash, rec.row.rid);
  }
}

function holdersOf(world: World, hash: string): Set<number> {
  const known = world.holders.get(hash);
  if (known !== undefined) return known;
  const none = new Set<number>();
  world.holders.set(hash, none);
  return none;
}

export function enter(rec: Rec, profile: Profile): void {
  rec.row.pid = profile.row.pid;
  rec.row.home = profile.row.pid;
  profile.members.add(rec);
}

function isSafe(world: World, found: ReadonlySet<Profile>, more: number): boolean {
  let size = more;
  for (const profile of found) {
    const { row, members } = profile;
    size += members.size;
    // Somebody in it was found by a value that is gone: merged away here, nobody would take it apart.
    if (row.guarded || world.replan.has(profile)) return false;
    for (const rec of members) if (rec.apart) return false;
  }
  return size <= (world.context.guards.clusterMax ?? CLUSTER_MAX);
}

/** The source's own merges: the loser and the winner are one, whether we have seen the other yet or not. */
function* stateMerges(world: World, rec: Rec, observation: Observation, oid: number): Program<void> {
  const { mergedInto, mergedFrom = [], entity, ref } = observation;
  const others = [...(mergedInto === undefined ? [] : [mergedInto]), ...mergedFrom];
  for (const record of others) {
    if (record === ref.record) continue;
    const other = yield* named(world, { oid, entity, source: ref.source, object: ref.object, record });
    world.draft.newEdges.push({
      a: Math.min(rec.row.rid, other.row.rid),
      b: Math.max(rec.row.rid, other.row.rid),
      kind: 'alias',
    });
    world.replan.add(world.profileOf(rec)).add(world.profileOf(other));
  }
}

/** A record by its name, made when nothing is known of it yet. */
function* named(world: World, key: RecordName): Program<Rec> {
  const known = world.rec(key.oid, key.record);
  if (known !== undefined) {
    if (!known.isNew) yield* world.loadMembers([known.row.pid]);
    return known;
  }
  const [row = null] = yield* ask((reads) => reads.records([{ oid: key.oid, record: key.record }]));
  if (row !== null) {
    yield* world.loadMembers([row.pid]);
    return world.addLoaded(row);
  }
  const rec = world.newRecord(key);
  const profile = world.newProfile(key.entity);
  enter(rec, profile);
  return rec;
}
