import type { Instant } from '../../schemas/instant.ts';
import type { ConsideredClaim, GoldenField } from '../../schemas/profile.ts';
import { ruleOf, type CompiledRules } from './compile.ts';
import { newestFirst, contenderOf, type Contender } from './contender.ts';
import { claimants, isGone, resolveField, resolveProfile } from './resolve.ts';
import type { Override, RecordState } from './state.ts';

export interface Explanation {
  golden: GoldenField | null;
  /** The winner first, then what lost, was left out, was taken back or is deleted; newest first in each. */
  considered: ConsideredClaim[];
}

interface Verdict {
  outcome: ConsideredClaim['outcome'];
  why: string;
}

const PLACES: Record<ConsideredClaim['outcome'], number> = {
  won: 0,
  lost: 1,
  blank: 2,
  filtered: 3,
  retracted: 4,
  deleted: 5,
};

/** Why a field has its value, for a data steward: every claim about it with one sentence. Resolves by the same code as reading. */
export function explainField(
  field: string,
  states: readonly RecordState[],
  overrides: readonly Override[],
  compiled: CompiledRules,
  asOf: Instant,
): Explanation {
  const living = states.filter((state) => !isGone(state, compiled));
  const rule = ruleOf(compiled, field);
  const verdicts = new Map<RecordState, Verdict>();
  const resolved = resolveField(field, living, rule, asOf, ({ state }, outcome, why) =>
    verdicts.set(state, { outcome, why }),
  );
  const override = overrides
    .filter((candidate) => candidate.field === field)
    .toSorted((left, right) => left.seq - right.seq)
    .at(-1);
  const considered = claimants(living, field).map((contender) => {
    const verdict = verdicts.get(contender.state) ?? { outcome: 'won', why: whyWon(resolved) };
    return { contender, verdict: override ? underOverride(verdict, override) : verdict };
  });
  const golden = override ? resolveProfile(states, overrides, compiled, asOf).fields[field] : resolved;
  const rest = [...takenBack(living, field), ...deleted(states, field, compiled)];
  const lines = [...considered, ...rest].toSorted(
    (left, right) =>
      PLACES[left.verdict.outcome] - PLACES[right.verdict.outcome] ||
      newestFirst(left.contender, right.contender),
  );
  return { golden: golden ?? null, considered: lines.map(line) };
}

interface Line {
  contender: Contender;
  verdict: Verdict;
}

function line({ contender, verdict }: Line): ConsideredClaim {
  const { ref, claim, value, kind, confidence, changedAt } = contender;
  return { ref, claim, value, kind, confidence, changedAt, ...verdict };
}

function whyWon(golden: GoldenField | undefined): string {
  if (!golden) return 'It is in the record whose group survives.';
  const { decidedBy } = golden;
  if (golden.ref === null) return `It is part of the value: ${decidedBy}.`;
  const decided = decidedBy.replace(/^group [^:]+: /, '');
  const sentence = WON[decided] ?? `The rule puts ${golden.ref.source} first.`;
  return decided === decidedBy ? sentence : `Its record gives the whole group. ${sentence}`;
}

const WON: Record<string, string> = {
  'only claim': 'No other record says anything.',
  'only value that counts': 'It is the only value that the rule lets count.',
  'all agree': 'All records say the same.',
  latest: 'It is the newest.',
  earliest: 'It is the oldest.',
  'explicit before inferred': 'It is explicit, and others are inferred.',
  'not blank': 'It is not blank.',
  longest: 'It is the longest.',
  'highest confidence': 'It is the most certain.',
  'most frequent': 'Most records say so.',
  'greatest value': 'It is the greatest.',
  'least value': 'It is the least.',
  'tie, the newest kept': 'The rule finds several equal; the newest is kept.',
};

function underOverride({ outcome, why }: Verdict, { pending }: Override): Verdict {
  if (outcome !== 'won') return { outcome, why };
  const above = pending === undefined ? "An operator's value" : 'A change that waits for its systems';
  return { outcome: 'lost', why: `${above} stands above the rules. Without it: ${why}` };
}

function takenBack(living: readonly RecordState[], field: string): Line[] {
  return living.flatMap((state) => {
    const claim = Object.hasOwn(state.retracted, field) ? state.retracted[field] : undefined;
    const verdict = { outcome: 'retracted' as const, why: 'An operator took this value back.' };
    return claim ? [{ contender: contenderOf(state, claim), verdict }] : [];
  });
}

function deleted(states: readonly RecordState[], field: string, compiled: CompiledRules): Line[] {
  const gone = states.filter((state) => isGone(state, compiled));
  return claimants(gone, field).map((contender) => {
    const why = contender.state.deleted
      ? `Its record is deleted since ${contender.state.stamp}.`
      : 'Its record was deleted once, and the rules let no record come back.';
    return { contender, verdict: { outcome: 'deleted', why } };
  });
}
