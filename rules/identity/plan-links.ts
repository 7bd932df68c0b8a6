import type { RecordRef } from '../../schemas/observation.ts';
import { compareText } from '../golden/values.ts';
import { partition, refKey, type LinkEvidence, type LinkInput } from './partition.ts';

/** A profile as it is now. `created` orders profiles by age (their internal ids do), the earliest least. */
export interface KnownProfile {
  id: string;
  created: number;
  records: readonly RecordRef[];
}

interface Reason {
  /** Such as `same email`; '' where nothing links. */
  rule: string;
  /** In words, without a personal value (I5). */
  evidence: string;
}

/**
 * create: a new profile of these records, taken out of `from` when a link was lost. join: they go into `profile`, out of `from`
 * when they were elsewhere. merge: all of `from` is now `into`, for ever an alias. review: a link that is not safe.
 */
export type LinkDecision =
  | ({ kind: 'create'; records: RecordRef[]; from: string | null } & Reason)
  | ({ kind: 'join'; profile: string; records: RecordRef[]; from: string | null } & Reason)
  | ({ kind: 'merge'; into: string; from: string } & Reason)
  | ({ kind: 'review' } & LinkEvidence);

export interface LinkPlan {
  /** Merges, joins, creations, reviews: applied in this order, each record ends in its cluster's profile. */
  decisions: LinkDecision[];
  /** Keys (`refKey`) of the records that are one profile each. */
  clusters: string[][];
  /** A tree per cluster: what `link` events record. */
  links: LinkEvidence[];
}

interface Cluster {
  keys: string[];
  links: LinkEvidence[];
  owner: string | null;
}

/**
 * From what is to what should be. The partition is a function of the records alone (see there); which profile id a cluster keeps
 * also depends on what exists: the earliest-created wins, and a profile that comes apart stays with the larger part.
 */
export function planLinks(input: LinkInput & { profiles: readonly KnownProfile[] }): LinkPlan {
  const { clusters: sets, links, refused } = partition(input);
  const refs = new Map(input.records.map(({ ref }) => [refKey(ref), ref]));
  const clusters = sets.map((keys): Cluster => ({ keys, links: [], owner: null }));
  const clusterOf = new Map(
    clusters.flatMap((cluster) => cluster.keys.map((key) => [key, cluster] as const)),
  );
  for (const link of links) clusterOf.get(refKey(link.a))?.links.push(link);

  const home = new Map<string, string>();
  for (const { id, records } of input.profiles) {
    for (const ref of records) if (clusterOf.has(refKey(ref))) home.set(refKey(ref), id);
  }
  const merged = assignOwners(input.profiles, clusterOf);
  const decisions = [...merged].map(([from, cluster]): LinkDecision => ({
    kind: 'merge',
    into: cluster.owner ?? from,
    from,
    ...reasonFor(cluster, (key) => home.get(key) === from),
  }));
  const moves = clusters.flatMap((cluster) =>
    cluster.owner === null
      ? [creation(cluster, refs, home)]
      : joins(cluster, cluster.owner, refs, home, merged),
  );
  const reviews = refused.map((link): LinkDecision => ({ kind: 'review', ...link }));
  const byKind = (kind: string) => moves.filter((move) => move.kind === kind);
  return {
    decisions: [...decisions, ...byKind('join'), ...byKind('create'), ...reviews],
    clusters: sets,
    links,
  };
}

/**
 * Oldest profile first: each takes, of the clusters with its records that nobody has yet, the one with most of them. One that
 * finds none is merged into the cluster with most of its records: the answer, by profile.
 */
function assignOwners(
  profiles: readonly KnownProfile[],
  clusterOf: ReadonlyMap<string, Cluster>,
): Map<string, Cluster> {
  const merged = new Map<string, Cluster>();
  const byAge = profiles.toSorted(
    (left, right) => left.created - right.created || compareText(left.id, right.id),
  );
  for (const { id, records } of byAge) {
    const counts = new Map<Cluster, number>();
    for (const ref of records) {
      const cluster = clusterOf.get(refKey(ref));
      if (cluster) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
    }
    const largestFirst = [...counts].toSorted(
      ([left, count], [right, other]) =>
        other - count || compareText(left.keys[0] ?? '', right.keys[0] ?? ''),
    );
    const [free] = largestFirst.find(([cluster]) => cluster.owner === null) ?? [];
    const [largest] = largestFirst[0] ?? [];
    if (free) free.owner = id;
    else if (largest) merged.set(id, largest);
  }
  return merged;
}

/** The records that come into a profile that exists, those of one profile together. */
function joins(
  cluster: Cluster,
  profile: string,
  refs: ReadonlyMap<string, RecordRef>,
  home: ReadonlyMap<string, string>,
  merged: ReadonlyMap<string, Cluster>,
): LinkDecision[] {
  const groups = new Map<string | null, string[]>();
  for (const key of cluster.keys) {
    const from = home.get(key) ?? null;
    if (from === profile || (from !== null && merged.get(from) === cluster)) continue;
    const group = groups.get(from);
    if (group) group.push(key);
    else groups.set(from, [key]);
  }
  return [...groups].map(([from, keys]) => ({
    kind: 'join',
    profile,
    records: keys.flatMap((key) => refs.get(key) ?? []),
    from,
    ...reasonFor(cluster, (key) => keys.includes(key)),
  }));
}

function creation(
  cluster: Cluster,
  refs: ReadonlyMap<string, RecordRef>,
  home: ReadonlyMap<string, string>,
): LinkDecision {
  const from = cluster.keys.map((key) => home.get(key)).find((id) => id !== undefined) ?? null;
  const records = cluster.keys.flatMap((key) => refs.get(key) ?? []);
  const apart = { rule: 'apart', evidence: 'nothing links them to their profile any more' };
  return { kind: 'create', records, from, ...(from === null ? reasonFor(cluster, () => true) : apart) };
}

/** A link that touches one of these records, those to others first. */
function reasonFor({ links }: Cluster, ours: (key: string) => boolean): Reason {
  const touching = links.filter(({ a, b }) => ours(refKey(a)) || ours(refKey(b)));
  const found = touching.find(({ a, b }) => ours(refKey(a)) !== ours(refKey(b))) ?? touching[0];
  return found
    ? { rule: found.rule, evidence: found.evidence }
    : { rule: '', evidence: 'no other record shares an identifier' };
}
