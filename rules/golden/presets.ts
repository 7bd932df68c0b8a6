import type { FieldRule } from '../../schemas/conflicts.ts';

/** Rules that have a name in other systems, to be used as they are or with one part replaced. */

type PreferRule = Extract<FieldRule, { prefer: unknown }>;
type CombineRule = Exclude<FieldRule, PreferRule>;

/** The newest change wins, a deletion of the value too. */
export function lastWriteWins(): PreferRule {
  return { prefer: [{ by: 'latest' }], blank: 'clears', onTie: 'stable' };
}

/** Sources in this order; others last; blanks never win over a value. */
export function sourcePriority(order: string[]): PreferRule {
  return { prefer: [{ by: 'source', order }, { by: 'latest' }], blank: 'skip', onTie: 'stable' };
}

/** A person's word before a computed one, then the newest. */
export function explicitOverInferred(): PreferRule {
  return { prefer: [{ by: 'kind' }, { by: 'confidence' }, { by: 'latest' }], blank: 'skip', onTie: 'stable' };
}

/** What most records say, then the newest. */
export function mostFrequent(): PreferRule {
  return { prefer: [{ by: 'frequency' }, { by: 'latest' }], blank: 'skip', onTie: 'stable' };
}

/** Everything that any record says, each entry once. */
export function union(limit?: number): CombineRule {
  return { combine: 'union', blank: 'skip', onTie: 'stable', ...(limit === undefined ? {} : { limit }) };
}

export function max(): CombineRule {
  return { combine: 'max', blank: 'skip', onTie: 'stable' };
}

/** Of the sync rules that CRMs offer: this system's value, and the others' where it holds none. */
export function preferUnlessBlank(source: string): PreferRule {
  return sourcePriority([source]);
}

/** Of the sync rules that CRMs offer: this system's value, also where it holds none. */
export function always(source: string): PreferRule {
  return { where: [{ sources: [source] }], prefer: [{ by: 'latest' }], blank: 'clears', onTie: 'stable' };
}

/** Of the sync rules that CRMs offer: the newest change of these systems wins in both. */
export function twoWay(sources: string[]): PreferRule {
  return { where: [{ sources }], ...lastWriteWins() };
}

/** Of the sync rules that CRMs offer: a field that is not synced. The profile takes it from its own system alone. */
export function notSynced(ownSource: string): PreferRule {
  return always(ownSource);
}
