import type { ClaimFilter } from '../../schemas/conflicts.ts';
import type { Instant } from '../../schemas/instant.ts';
import { addMs } from '../time.ts';
import type { CompiledRule } from './compile.ts';
import type { Contender } from './contender.ts';

/** Told about each contender that goes out, for `explain`; absent when nobody asks. */
export type Note = (contender: Contender, outcome: 'lost' | 'filtered' | 'blank', why: string) => void;

/**
 * The contenders that count: of the fallback groups the first that leaves any, blanks left out unless they may win. When all
 * that is left is blank, the first group's blanks count.
 */
export function eligible(
  contenders: readonly Contender[],
  { filters, rule }: CompiledRule,
  asOf: Instant,
  note?: Note,
): readonly Contender[] {
  let blanks: readonly Contender[] | undefined;
  for (const [index, filter] of filters.entries()) {
    const passing = pass(contenders, filter, asOf);
    if (passing.length === 0) continue;
    const counting = rule.blank === 'clears' ? passing : passing.filter(({ blank }) => !blank);
    if (counting.length > 0) {
      if (note) tell(contenders, passing, counting, filters, index, asOf, note);
      return counting;
    }
    blanks ??= passing;
  }
  const counting = blanks ?? [];
  if (note) {
    const at = Math.max(
      0,
      filters.findIndex((filter) => pass(contenders, filter, asOf).length > 0),
    );
    tell(contenders, counting, counting, filters, at, asOf, note);
  }
  return counting;
}

function pass(contenders: readonly Contender[], filter: ClaimFilter, asOf: Instant): readonly Contender[] {
  const { sources, kinds, maxAgeMs } = filter;
  if (!sources && !kinds && maxAgeMs === undefined) return contenders;
  const oldest = maxAgeMs === undefined ? '' : addMs(asOf, -maxAgeMs);
  return contenders.filter(
    ({ ref, kind, changedAt }) =>
      (!sources || sources.includes(ref.source)) && (!kinds || kinds.includes(kind)) && changedAt >= oldest,
  );
}

function tell(
  contenders: readonly Contender[],
  passing: readonly Contender[],
  counting: readonly Contender[],
  filters: readonly ClaimFilter[],
  index: number,
  asOf: Instant,
  note: Note,
): void {
  for (const contender of contenders) {
    if (counting.includes(contender)) continue;
    if (passing.includes(contender))
      note(contender, 'blank', 'It is blank, and a value wins over a blank here.');
    else note(contender, 'filtered', whyFiltered(contender, filters, index, asOf));
  }
}

function whyFiltered(
  contender: Contender,
  filters: readonly ClaimFilter[],
  index: number,
  asOf: Instant,
): string {
  const later = filters.findIndex((filter) => pass([contender], filter, asOf).length > 0);
  if (later > index) return `It is a fallback (group ${later + 1}), and group ${index + 1} has a claim.`;
  if (later >= 0) return `Its group ${later + 1} holds blanks only, so group ${index + 1} counts.`;
  const { sources, kinds, maxAgeMs } = filters[index] ?? {};
  if (sources && !sources.includes(contender.ref.source)) {
    return `The rule takes claims of ${sources.join(', ')} only.`;
  }
  if (kinds && !kinds.includes(contender.kind))
    return `It is ${contender.kind}; the rule takes ${kinds.join(', ')} only.`;
  return `It changed before ${addMs(asOf, -(maxAgeMs ?? 0))}, too long ago for the rule.`;
}
