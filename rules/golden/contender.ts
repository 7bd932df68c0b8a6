import type { Instant } from '../../schemas/instant.ts';
import type { ClaimKind, ClaimValue, RecordRef } from '../../schemas/observation.ts';
import type { FieldClaim, RecordState } from './state.ts';
import { compareRefs, compareText, isBlank } from './values.ts';

/** One record's claim about a field, or about the fields of a group together. */
export interface Contender {
  state: RecordState;
  ref: RecordRef;
  value: ClaimValue;
  blank: boolean;
  changedAt: Instant;
  claim: string;
  kind: ClaimKind;
  confidence: number;
}

export function contenderOf(state: RecordState, claim: FieldClaim): Contender {
  const { value, changedAt, kind, confidence } = claim;
  return {
    state,
    ref: state.ref,
    value,
    blank: isBlank(value),
    changedAt,
    claim: claim.claim,
    kind,
    confidence,
  };
}

/**
 * A group's fields as one: as new as its newest part, as sure as its least sure one, blank when all parts are. Undefined when
 * the record says nothing about any of them.
 */
export function unitOf(state: RecordState, members: readonly string[]): Contender | undefined {
  const parts = members.flatMap((field) => {
    const claim = Object.hasOwn(state.claims, field) ? state.claims[field] : undefined;
    return claim ? [{ field, claim }] : [];
  });
  const [first] = parts;
  if (!first) return undefined;
  const newest = parts.reduce((best, { claim }) => {
    const later = compareText(best.changedAt, claim.changedAt) || compareText(best.claim, claim.claim);
    return later < 0 ? claim : best;
  }, first.claim);
  return {
    state,
    ref: state.ref,
    value: Object.fromEntries(parts.map(({ field, claim }) => [field, claim.value])),
    blank: parts.every(({ claim }) => isBlank(claim.value)),
    changedAt: newest.changedAt,
    claim: newest.claim,
    kind: parts.some(({ claim }) => claim.kind === 'inferred') ? 'inferred' : 'explicit',
    confidence: Math.min(...parts.map(({ claim }) => claim.confidence)),
  };
}

/** I1: total, newest first. Nothing that depends on the order of arrival is left to decide. */
export function newestFirst(left: Contender, right: Contender): number {
  return (
    compareText(right.changedAt, left.changedAt) ||
    compareText(right.state.version, left.state.version) ||
    compareText(right.claim, left.claim) ||
    compareRefs(right.ref, left.ref)
  );
}
