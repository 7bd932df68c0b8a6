import type { Criterion } from '../../schemas/conflicts.ts';
import type { Contender } from './contender.ts';
import { newestFirst } from './contender.ts';
import type { Note } from './eligible.ts';
import { compareText, compareValues, lengthOf, sameValue, valueKey } from './values.ts';

export interface Choice {
  winner: Contender;
  decidedBy: string;
  /** The chain left different values; the total order took one. */
  tied: boolean;
}

/**
 * A lexicographic chain: each criterion keeps the best of those that are left. What it still leaves open, the total order
 * decides. `contenders`: those that count; `dropped`: those that were left out before.
 */
export function choose(
  contenders: readonly Contender[],
  chain: readonly Criterion[],
  dropped: readonly Contender[],
  note?: Note,
): Choice | undefined {
  let left = contenders;
  const steps: { by: string; out: readonly Contender[] }[] = [];
  for (const criterion of chain) {
    if (left.length < 2) break;
    const best = keepBest(criterion, left);
    if (best.length === left.length) continue;
    const out = left.filter((contender) => !best.includes(contender));
    const [sample] = best;
    if (note && sample) for (const loser of out) note(loser, 'lost', whyLost(criterion, loser, sample));
    steps.push({ by: nameOf(criterion, sample), out });
    left = best;
  }
  const sorted = left.length < 2 ? left : left.toSorted(newestFirst);
  const [winner, ...rest] = sorted;
  if (!winner) return undefined;
  const differs = ({ value }: Contender) => !sameValue(value, winner.value);
  if (note) for (const loser of rest) note(loser, 'lost', whyAfterTie(differs(loser)));
  const tied = rest.some(differs);
  if (tied) return { winner, decidedBy: 'tie, the newest kept', tied };
  // Not the last step, but the last that made a difference: the others only picked among equal values.
  const decisive = steps.findLast(({ out }) => out.some(differs));
  const decidedBy = decisive?.by ?? undisputed(contenders.length + dropped.length, dropped.some(differs));
  return { winner, decidedBy, tied };
}

function undisputed(count: number, differed: boolean): string {
  if (count === 1) return 'only claim';
  return differed ? 'only value that counts' : 'all agree';
}

function keepBest(criterion: Criterion, left: readonly Contender[]): readonly Contender[] {
  const counts = criterion.by === 'frequency' ? frequencies(left) : undefined;
  let best: Contender[] = [];
  for (const contender of left) {
    const [leader] = best;
    const order = leader ? compareBy(criterion, contender, leader, counts) : 1;
    if (order > 0) best = [contender];
    else if (order === 0) best.push(contender);
  }
  return best;
}

type By = Exclude<Criterion['by'], 'source'>;
type Counts = ReadonlyMap<string, number> | undefined;

/** Positive when `a` is better. */
function compareBy(criterion: Criterion, a: Contender, b: Contender, counts: Counts): number {
  return criterion.by === 'source'
    ? placeIn(criterion.order, b) - placeIn(criterion.order, a)
    : BETTER[criterion.by](a, b, counts);
}

const BETTER: Record<By, (a: Contender, b: Contender, counts: Counts) => number> = {
  latest: (a, b) => compareText(a.changedAt, b.changedAt),
  earliest: (a, b) => compareText(b.changedAt, a.changedAt),
  kind: (a, b) => Number(a.kind === 'explicit') - Number(b.kind === 'explicit'),
  nonBlank: (a, b) => Number(b.blank) - Number(a.blank),
  longest: (a, b) => lengthOf(a.value) - lengthOf(b.value),
  confidence: (a, b) => a.confidence - b.confidence,
  frequency: (a, b, counts) => (counts?.get(valueKey(a.value)) ?? 0) - (counts?.get(valueKey(b.value)) ?? 0),
  max: (a, b) => sizes(a, b),
  min: (a, b) => sizes(a, b, -1),
};

/** A blank is neither great nor small: it loses both ways. */
function sizes(a: Contender, b: Contender, sign = 1): number {
  return a.blank || b.blank ? Number(b.blank) - Number(a.blank) : compareValues(a.value, b.value) * sign;
}

function frequencies(left: readonly Contender[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { value } of left) {
    const key = valueKey(value);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** A source that the rule does not list ranks last. */
function placeIn(sources: readonly string[], { ref }: Contender): number {
  const place = sources.indexOf(ref.source);
  return place < 0 ? sources.length : place;
}

const NAMES: Record<By, string> = {
  latest: 'latest',
  earliest: 'earliest',
  kind: 'explicit before inferred',
  nonBlank: 'not blank',
  longest: 'longest',
  confidence: 'highest confidence',
  frequency: 'most frequent',
  max: 'greatest value',
  min: 'least value',
};

function nameOf(criterion: Criterion, winner: Contender | undefined): string {
  return criterion.by === 'source' ? `source ${winner?.ref.source ?? ''}` : NAMES[criterion.by];
}

function whyLost(criterion: Criterion, loser: Contender, best: Contender): string {
  if (criterion.by !== 'source') return LOST[criterion.by](loser, best);
  return criterion.order.includes(loser.ref.source)
    ? `The rule puts ${best.ref.source} before ${loser.ref.source}.`
    : `The rule does not list ${loser.ref.source}, so ${best.ref.source} comes first.`;
}

const LOST: Record<By, (loser: Contender, best: Contender) => string> = {
  latest: (loser, best) => `Another claim is newer: ${best.changedAt}, this one ${loser.changedAt}.`,
  earliest: (loser, best) => `Another claim is older: ${best.changedAt}, this one ${loser.changedAt}.`,
  kind: () => 'It is inferred, and an explicit claim comes first.',
  nonBlank: () => 'It is blank, and another claim is not.',
  longest: (loser, best) =>
    `Another value is longer: ${lengthOf(best.value)}, this one ${lengthOf(loser.value)}.`,
  confidence: (loser, best) =>
    `Another claim is more certain: ${best.confidence}, this one ${loser.confidence}.`,
  frequency: () => 'More records say something else.',
  max: () => 'Another value is greater.',
  min: () => 'Another value is less.',
};

function whyAfterTie(differs: boolean): string {
  return differs
    ? 'The rule finds both equal; of equal claims the newest is kept, then the greater version and claim id.'
    : 'It says the same as the winner.';
}
