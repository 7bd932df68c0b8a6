import type { Instant } from '../../schemas/instant.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import type { GoldenField } from '../../schemas/profile.ts';
import { choose } from './choose.ts';
import { combine, type CombineRule } from './combine.ts';
import { ruleOf, type CompiledRule, type CompiledRules } from './compile.ts';
import { contenderOf, unitOf, type Contender } from './contender.ts';
import { eligible, type Note } from './eligible.ts';
import type { FieldClaim, Override, RecordState } from './state.ts';
import { compareText, sameValue } from './values.ts';

export { asksReview, compileRules, type CompiledRules, type CustomRule } from './compile.ts';

export interface Resolved {
  deleted: boolean;
  /** Keys in their order as text. A field that no record reads, or whose rule takes no claim, is absent. */
  fields: Record<string, GoldenField>;
}

/**
 * I1: the golden record, a pure function of the set of record states, the overrides, the rules and `asOf` (which counts only
 * where a rule has a `maxAge`). A profile is deleted with all or any of its records; what the living ones say is still resolved.
 */
export function resolveProfile(
  states: readonly RecordState[],
  overrides: readonly Override[],
  compiled: CompiledRules,
  asOf: Instant,
): Resolved {
  const living = states.filter((state) => !isGone(state, compiled));
  const { golden } = compiled.rules.deletes;
  const deleted = living.length === 0 || (golden === 'any' && living.length < states.length);
  const [only] = living;
  const fields =
    only && living.length === 1 ? resolveOne(only, compiled, asOf) : resolveMany(living, compiled, asOf);
  return { deleted, fields: overrides.length === 0 ? fields : withOverrides(fields, overrides, living) };
}

/** Makes no claims: deleted, and where the rules say so, deleted once is deleted for ever. */
export function isGone(state: RecordState, { rules }: CompiledRules): boolean {
  return rules.deletes.undelete === 'never' ? state.everDeleted : state.deleted;
}

/** Nearly every profile: one record, no comparison. */
function resolveOne(state: RecordState, compiled: CompiledRules, asOf: Instant): Record<string, GoldenField> {
  const fields: Record<string, GoldenField> = {};
  for (const field of sortedKeys(state.claims)) {
    const claim = state.claims[field];
    if (claim === undefined) continue;
    const rule = ruleOf(compiled, field);
    const golden = rule.plain ? alone(state, claim, rule.alone) : resolveField(field, [state], rule, asOf);
    if (golden) fields[field] = golden;
  }
  return fields;
}

function resolveMany(
  states: readonly RecordState[],
  compiled: CompiledRules,
  asOf: Instant,
): Record<string, GoldenField> {
  const names = new Set(states.flatMap((state) => Object.keys(state.claims)));
  const fields: Record<string, GoldenField> = {};
  for (const field of [...names].toSorted()) {
    const golden = resolveField(field, states, ruleOf(compiled, field), asOf);
    if (golden) fields[field] = golden;
  }
  return fields;
}

/** One field of living records. `note` hears of each contender that goes out. */
export function resolveField(
  field: string,
  states: readonly RecordState[],
  compiled: CompiledRule,
  asOf: Instant,
  note?: Note,
): GoldenField | undefined {
  const { rule, members } = compiled;
  const contenders = members ? units(states, members) : claimants(states, field);
  const counting = eligible(contenders, compiled, asOf, note);
  if (counting.length === 0) return undefined;
  if ('combine' in rule) return combined(contenders, counting, rule, compiled, asOf);
  const dropped =
    counting.length === contenders.length
      ? []
      : contenders.filter((contender) => !counting.includes(contender));
  const choice = choose(counting, rule.prefer, dropped, note);
  if (!choice) return undefined;
  const { winner, decidedBy, tied } = choice;
  const claim = claimOf(winner.state, field);
  // The winning record's group stays whole: what it does not say is filled from no other.
  if (!claim) return undefined;
  const { value, changedAt, kind, confidence } = claim;
  return {
    value,
    ref: winner.ref,
    claim: claim.claim,
    kind,
    confidence,
    changedAt,
    decidedBy: members ? `group ${compiled.name}: ${decidedBy}` : decidedBy,
    contested: contests(members ? claimants(states, field) : contenders, value, winner.ref.source),
    tied,
  };
}

export function claimants(states: readonly RecordState[], field: string): Contender[] {
  const found: Contender[] = [];
  for (const state of states) {
    const claim = claimOf(state, field);
    if (claim) found.push(contenderOf(state, claim));
  }
  return found;
}

function units(states: readonly RecordState[], members: readonly string[]): Contender[] {
  return states.flatMap((state) => unitOf(state, members) ?? []);
}

function combined(
  contenders: readonly Contender[],
  counting: readonly Contender[],
  rule: CombineRule,
  compiled: CompiledRule,
  asOf: Instant,
): GoldenField {
  const { value, decidedBy } = combine(counting, rule, compiled.custom, asOf);
  const picks = ['any', 'all', 'max', 'min'].includes(rule.combine);
  return {
    value,
    ref: null,
    claim: null,
    kind: counting.some(({ kind }) => kind === 'inferred') ? 'inferred' : 'explicit',
    confidence: Math.min(...counting.map(({ confidence }) => confidence)),
    changedAt: counting.reduce((newest, { changedAt }) => (changedAt > newest ? changedAt : newest), ''),
    decidedBy,
    contested: picks && contests(contenders, value, null),
    tied: false,
  };
}

function alone(
  state: RecordState,
  { value, changedAt, claim, kind, confidence }: FieldClaim,
  decidedBy: string,
): GoldenField {
  return {
    value,
    ref: state.ref,
    claim,
    kind,
    confidence,
    changedAt,
    decidedBy,
    contested: false,
    tied: false,
  };
}

/** Another source says something else; a blank says nothing. */
function contests(contenders: readonly Contender[], value: ClaimValue, source: string | null): boolean {
  return contenders.some(
    (other) => !other.blank && other.ref.source !== source && !sameValue(other.value, value),
  );
}

/** An operator's word stands above all rules; of several the last one. */
function withOverrides(
  fields: Record<string, GoldenField>,
  overrides: readonly Override[],
  living: readonly RecordState[],
): Record<string, GoldenField> {
  const all = new Map(Object.entries(fields));
  for (const { field, value, id, at, pending } of overrides.toSorted(compareOverrides)) {
    all.set(field, {
      value,
      ref: null,
      claim: id,
      kind: 'explicit',
      confidence: 1,
      changedAt: at,
      decidedBy: pending === undefined ? 'override' : 'pending change',
      contested: contests(claimants(living, field), value, null),
      tied: false,
      ...(pending === undefined ? {} : { pending: true }),
    });
  }
  return Object.fromEntries([...all].toSorted(([left], [right]) => compareText(left, right)));
}

function compareOverrides(left: Override, right: Override): number {
  return left.seq - right.seq || compareText(left.at, right.at) || compareText(left.id, right.id);
}

function claimOf(state: RecordState, field: string): FieldClaim | undefined {
  return Object.hasOwn(state.claims, field) ? state.claims[field] : undefined;
}

/** Most records come with their keys in order, which costs less to see than to make. */
function sortedKeys(of: object): string[] {
  const keys = Object.keys(of);
  for (let index = 1; index < keys.length; index += 1) {
    if ((keys[index - 1] ?? '') > (keys[index] ?? '')) return keys.toSorted();
  }
  return keys;
}
