import type { Identifier, RecordRef } from '../../schemas/observation.ts';
import { compareText } from '../golden/values.ts';
import { Clusters } from './clusters.ts';
import { CLUSTER_MAX, isBlocked, recordsMax, type LinkGuards } from './guards.ts';

/** A record with what may link it. Identifier values may be keyed hashes: they are only compared (I5). */
export interface LinkRecord {
  ref: RecordRef;
  identifiers: readonly Identifier[];
}

/** Two records that are one by somebody's word: an operator, or the source that merged them. */
export interface StatedLink {
  a: RecordRef;
  b: RecordRef;
  by: 'operator' | 'source';
}

export interface LinkInput {
  /** Every record that an unblocked identifier or a stated link connects with the ones in question, over any number of steps. */
  records: readonly LinkRecord[];
  stated?: readonly StatedLink[];
  /** Never in one profile. */
  apart?: readonly { a: RecordRef; b: RecordRef }[];
  guards?: LinkGuards;
  /**
   * How many records hold an identifier, by `identifierKey`, where not all of its holders are in `records`: those beyond the
   * limit need not be read.
   */
  holders?: ReadonlyMap<string, number>;
}

/** Two records, the rule that would link them, and why in words without a personal value (I5). */
export interface LinkEvidence {
  a: RecordRef;
  b: RecordRef;
  rule: string;
  evidence: string;
}

export interface Partition {
  /** Keys of the records that are one profile each. */
  clusters: string[][];
  /** The links that made them: a tree per cluster, so that taking one out splits it. */
  links: LinkEvidence[];
  /** Links that are not safe; a person decides. */
  refused: LinkEvidence[];
}

interface Edge extends LinkEvidence {
  left: string;
  right: string;
  /** A person or the source said so: no limit on the size. */
  stated: boolean;
}

/** `salesforce:Contact:003…`; ids hold no colon but the record's may. */
export function refKey({ source, object, record }: RecordRef): string {
  return `${source}:${object}:${record}`;
}

export function identifierKey({ kind, value }: Identifier): string {
  return `${kind}:${value}`;
}

/**
 * I1: which records are one profile, a pure function of the sets given. Links are tried in one fixed order (said by an operator,
 * by the source, then by identifiers), and one that would bring together what shall stay apart, or make too large a profile, is
 * refused; so the order of arrival changes nothing. An identifier over its limit links none of its records, and where the last
 * one passes the limit, a profile that it held together comes apart again.
 */
export function partition(input: LinkInput): Partition {
  const { records, apart = [], guards = {} } = input;
  const clusterMax = guards.clusterMax ?? CLUSTER_MAX;
  const refs = new Map(records.map(({ ref }) => [refKey(ref), ref]));
  const clusters = new Clusters(refs.keys());
  for (const { a, b } of apart) clusters.keepApart(refKey(a), refKey(b));
  const links: LinkEvidence[] = [];
  const refused = new Map<string, Edge>();
  for (const edge of edgesOf(input, refs)) {
    const [left, right] = [clusters.rootOf(edge.left), clusters.rootOf(edge.right)];
    if (left === undefined || right === undefined || left === right) continue;
    const why = clusters.areApart(left, right)
      ? 'an operator keeps records of both sides apart'
      : !edge.stated && clusters.size(left) + clusters.size(right) > clusterMax
        ? `the profile would have more than ${clusterMax} records`
        : undefined;
    if (why === undefined) {
      clusters.unite(left, right);
      links.push(linkOf(edge));
    } else {
      refused.set(`${edge.left} ${edge.right}`, { ...edge, evidence: `${edge.evidence}, but ${why}` });
    }
  }
  // Another road may have brought the two together after all.
  const open = [...refused.values()].filter(
    ({ left, right }) => clusters.rootOf(left) !== clusters.rootOf(right),
  );
  return { clusters: clusters.sets(), links, refused: open.map(linkOf) };
}

function linkOf({ a, b, rule, evidence }: Edge): LinkEvidence {
  return { a, b, rule, evidence };
}

function edgesOf(input: LinkInput, refs: ReadonlyMap<string, RecordRef>): Edge[] {
  const stated = (input.stated ?? []).map(({ a, b, by }): Edge => {
    const [left, right] = [refKey(a), refKey(b)];
    const evidence = by === 'operator' ? 'an operator says that they are one' : 'the source merged them';
    return orient({ a, b, left, right, rule: by, evidence, stated: true });
  });
  const said = stated.toSorted(
    (one, other) =>
      compareText(one.rule, other.rule) ||
      compareText(one.left, other.left) ||
      compareText(one.right, other.right),
  );
  return [...said, ...sharedIdentifiers(input, refs)];
}

function orient(edge: Edge): Edge {
  const { a, b, left, right } = edge;
  return left <= right ? edge : { ...edge, a: b, b: a, left: right, right: left };
}

function sharedIdentifiers(input: LinkInput, refs: ReadonlyMap<string, RecordRef>): Edge[] {
  const { guards = {}, holders } = input;
  const byIdentifier = new Map<string, { kind: string; keys: Set<string> }>();
  for (const { ref, identifiers } of input.records) {
    for (const identifier of identifiers) {
      if (isBlocked(identifier, guards)) continue;
      const key = identifierKey(identifier);
      const found = byIdentifier.get(key) ?? { kind: identifier.kind, keys: new Set() };
      found.keys.add(refKey(ref));
      byIdentifier.set(key, found);
    }
  }
  const shared = [...byIdentifier].filter(([key, { kind, keys }]) => {
    const count = Math.max(keys.size, holders?.get(key) ?? 0);
    return keys.size > 1 && count <= recordsMax(kind, guards);
  });
  return shared
    .toSorted(([left], [right]) => compareText(left, right))
    .flatMap(([, { kind, keys }]) => pairs([...keys].toSorted(), kind, refs));
}

/** Every pair, not a chain: when one pair is refused, the others that share the identifier still find each other. */
function pairs(keys: readonly string[], kind: string, refs: ReadonlyMap<string, RecordRef>): Edge[] {
  const evidence = `same ${kind}, held by ${keys.length} records`;
  return keys.flatMap((left, index) =>
    keys.slice(index + 1).flatMap((right) => {
      const [a, b] = [refs.get(left), refs.get(right)];
      return a && b ? [{ a, b, left, right, rule: `same ${kind}`, evidence, stated: false }] : [];
    }),
  );
}
