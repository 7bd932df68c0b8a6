import { hash as sha } from 'node:crypto';
import { planLinks, type KnownProfile, type LinkDecision } from '../../../rules/identity/plan-links.ts';
import {
  identifierKey,
  refKey,
  type LinkRecord,
  type StatedLink,
} from '../../../rules/identity/partition.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import type { RecordRef } from '../../../schemas/observation.ts';
import { refOf } from './history.ts';
import { currentIdentifiers, loadHolders } from './identifiers.ts';
import { ask, type Edge, type Program, type ReviewRow } from './program.ts';
import type { Profile, Rec, World } from './world.ts';

/** More records than this are never looked at for one decision: an identifier that so many share is over any limit. */
const CLOSURE_RECORDS_MAX = 5_000;

interface Closure {
  records: Map<Rec, { hash: string; kind: string }[]>;
  edges: Edge[];
  holders: Map<string, number>;
}

/** Decides the links of every profile that asked for it, from all that is connected with it over any number of steps (I1). */
export function* relink(world: World): Program<void> {
  if (world.replan.size === 0) return;
  const closure = yield* closureOf(world, world.replan);
  const recs = [...closure.records.keys()];
  const byRef = new Map(recs.map((rec) => [refKey(refOf(rec.row)), rec]));
  const byRid = new Map(recs.map((rec) => [rec.row.rid, rec]));
  const refsOf = ({ a, b }: Edge): [RecordRef, RecordRef][] => {
    const [left, right] = [byRid.get(a), byRid.get(b)];
    return left === undefined || right === undefined ? [] : [[refOf(left.row), refOf(right.row)]];
  };
  const profiles = new Set(recs.map((rec) => world.profileOf(rec)));
  const { decisions } = planLinks({
    records: [...closure.records].map(([rec, identifiers]): LinkRecord => ({
      ref: refOf(rec.row),
      identifiers: identifiers.map(({ hash, kind }) => ({ kind, value: hash })),
    })),
    stated: closure.edges.flatMap((edge) =>
      edge.kind === 'apart'
        ? []
        : refsOf(edge).map(([a, b]): StatedLink => ({
            a,
            b,
            by: edge.kind === 'link' ? 'operator' : 'source',
          })),
    ),
    apart: closure.edges.flatMap((edge) =>
      edge.kind === 'apart' ? refsOf(edge).map(([a, b]) => ({ a, b })) : [],
    ),
    guards: world.context.guards,
    holders: closure.holders,
    profiles: [...profiles].map(({ row, members }): KnownProfile => ({
      id: String(row.pid),
      created: row.pid,
      records: [...members].filter(({ row: { record } }) => record !== null).map((rec) => refOf(rec.row)),
    })),
  });
  for (const profile of profiles) if (profile.row.guarded) setGuarded(world, profile, false);
  for (const decision of decisions) yield* follow(world, decision, byRef);
}

function* follow(world: World, decision: LinkDecision, byRef: ReadonlyMap<string, Rec>): Program<void> {
  const recsOf = (refs: readonly RecordRef[]) => refs.flatMap((ref) => byRef.get(refKey(ref)) ?? []);
  const profile = (id: string): Profile => {
    const found = world.profiles.get(Number(id));
    if (found === undefined) throw new HeadwaterError('INTERNAL', 'a link decision names an unknown profile');
    return found;
  };
  if (decision.kind === 'merge') {
    const from = profile(decision.from);
    // Of a profile that comes apart at the same time, the joins below move what goes elsewhere.
    const into = profile(decision.into);
    world.merge(into, from, decision.rule);
  } else if (decision.kind === 'join') {
    for (const rec of recsOf(decision.records))
      world.move(rec, profile(decision.profile), 'link', decision.rule);
  } else if (decision.kind === 'create') {
    const recs = recsOf(decision.records);
    const target = yield* homeOf(world, recs);
    for (const rec of recs) world.move(rec, target, 'unlink', decision.rule);
  } else {
    review(world, decision, byRef);
  }
}

/** I1 needs no profile to keep its id, but people do: what was merged away comes back under the id it had. */
function* homeOf(world: World, recs: readonly Rec[]): Program<Profile> {
  const [first] = recs.toSorted((left, right) => left.row.rid - right.row.rid);
  if (first === undefined) throw new HeadwaterError('INTERNAL', 'a profile of no records was to be made');
  yield* world.loadMembers([first.row.home]);
  const home = world.profiles.get(first.row.home);
  if (home !== undefined && home.row.mergedInto !== null && home.members.size === 0) {
    home.row.mergedInto = null;
    world.draft.count(`profiles:${home.row.entity}`, 1);
    return home;
  }
  return world.newProfile(first.row.entity);
}

function setGuarded(world: World, profile: Profile, guarded: boolean): void {
  profile.row.guarded = guarded;
  world.draft.profiles.add(profile.row);
}

function review(
  world: World,
  { a, b, evidence }: Extract<LinkDecision, { kind: 'review' }>,
  byRef: ReadonlyMap<string, Rec>,
): void {
  const [left, right] = [byRef.get(refKey(a)), byRef.get(refKey(b))];
  if (left === undefined || right === undefined) return;
  for (const rec of [left, right]) setGuarded(world, world.profileOf(rec), true);
  const [low, high] = left.row.rid < right.row.rid ? [left, right] : [right, left];
  world.draft.reviews.push({
    id: reviewId('link', low.row.rid, high.row.rid),
    kind: 'link',
    entity: low.row.entity,
    pid: low.row.pid,
    field: null,
    candidates: [low, high].map(({ row: { rid, headId } }) => ({ rid, claim: headId })),
    evidence,
    openedAt: world.draft.at,
    state: 'open',
    decision: null,
  });
}

/** The same case has the same id, so it is put up once. Holds internal numbers only. */
export function reviewId(kind: ReviewRow['kind'], ...of: (number | string)[]): string {
  return `r_${sha('sha256', [kind, ...of].join('|'), 'hex').slice(0, 20)}`;
}

/** Members, then holders of their identifiers and their stated partners, then those profiles' members, until nothing is new. */
function* closureOf(world: World, seeds: ReadonlySet<Profile>): Program<Closure> {
  const records: Closure['records'] = new Map();
  const edges = new Map<string, Edge>();
  const holders = new Map<string, number>();
  let wave = new Set([...seeds].flatMap(({ members }) => [...members]));
  while (wave.size > 0) {
    const recs = [...wave].filter((rec) => !records.has(rec) && rec.row.record !== null);
    wave = new Set();
    if (recs.length === 0) break;
    yield* world.loadLogs(recs);
    for (const rec of recs) records.set(rec, currentIdentifiers(world, rec));
    if (records.size > CLOSURE_RECORDS_MAX) {
      throw new HeadwaterError('INTERNAL', `more than ${CLOSURE_RECORDS_MAX} records hang together`);
    }
    const found = recs.flatMap((rec) => records.get(rec) ?? []);
    const pids = new Set<number>();
    const rids = new Set<number>();
    yield* loadHolders(world, new Set(found.map(({ hash }) => hash)), pids);
    for (const { hash, kind } of found) {
      const all = world.holders.get(hash) ?? new Set();
      holders.set(identifierKey({ kind, value: hash }), all.size);
      if (all.size <= world.limitOf(kind)) for (const rid of all) rids.add(rid);
    }
    for (const edge of yield* edgesOf(world, recs)) {
      edges.set(`${edge.a} ${edge.b} ${edge.kind}`, edge);
      if (edge.kind === 'apart') continue;
      rids.add(edge.a).add(edge.b);
    }
    const unknown = [...rids].filter((rid) => !world.byId.has(rid));
    for (const row of yield* ask((reads) => reads.recordsById(unknown))) pids.add(row.pid);
    yield* world.loadMembers(pids);
    const reached = [...rids].flatMap((rid) => world.byId.get(rid) ?? []);
    yield* world.loadMembers(reached.map(({ row }) => row.pid).filter((pid) => pid !== 0));
    // A profile is one decision: with one of its records, all of them are looked at.
    for (const rec of reached) for (const member of world.profileOf(rec).members) wave.add(member);
  }
  return { records, edges: [...edges.values()], holders };
}

function* edgesOf(world: World, recs: readonly Rec[]): Program<Edge[]> {
  const { newEdges, goneEdges, head } = world.draft;
  const rids = recs.map(({ row }) => row.rid);
  const stored = head.edges === 0 ? [] : yield* ask((reads) => reads.edges(rids));
  const fresh = newEdges.filter(({ a, b }) => rids.includes(a) || rids.includes(b));
  const gone = new Set(goneEdges.map(({ a, b, kind }) => `${a} ${b} ${kind}`));
  return [...stored, ...fresh].filter(({ a, b, kind }) => !gone.has(`${a} ${b} ${kind}`));
}
