import { identical } from '../../../rules/golden/canonical.ts';
import { diffGolden } from '../../../rules/golden/diff.ts';
import { isGone, resolveProfile, type CompiledRules } from '../../../rules/golden/resolve.ts';
import type { RecordState } from '../../../rules/golden/state.ts';
import { instantOf } from './history.ts';
import type { Profile, Rec, World } from './world.ts';

/** A profile of one record: only the fields whose claim is another one can have another value. */
export function isOneChanged(world: World, profile: Profile, rec: Rec, compiled: CompiledRules): boolean {
  const [before, after] = [world.stateBefore(rec), world.stateAfter(rec)];
  if (after === null) return false;
  const deleted = isGone(after, compiled);
  const was = profile.row.deleted;
  profile.row.deleted = deleted;
  if (before === null || was !== deleted) return true;
  if (deleted) return false;
  const fields = changedFields(before, after, compiled);
  if (fields.size === 0) return false;
  const at = instantOf(world.draft.at);
  const overrides = world.opened(rec).overrides.filter(({ field }) => fields.has(field));
  const [left, right] = [before, after].map((state) =>
    resolveProfile([only(state, fields)], overrides, compiled, at),
  );
  return diffGolden(left?.fields ?? {}, right?.fields ?? {}).length > 0;
}

function changedFields(before: RecordState, after: RecordState, compiled: CompiledRules): Set<string> {
  const fields = new Set<string>();
  for (const field of Object.keys({ ...before.claims, ...after.claims })) {
    const [left, right] = [before.claims[field], after.claims[field]];
    const same =
      left !== undefined &&
      right !== undefined &&
      left.changedAt === right.changedAt &&
      left.kind === right.kind &&
      left.confidence === right.confidence &&
      identical(left.value, right.value);
    if (same) continue;
    fields.add(field);
    for (const member of compiled.fields.get(field)?.members ?? []) fields.add(member);
  }
  return fields;
}

function only(state: RecordState, fields: ReadonlySet<string>): RecordState {
  const claims = Object.fromEntries(Object.entries(state.claims).filter(([field]) => fields.has(field)));
  return { ...state, claims };
}

/**
 * The same for a profile of several records; null where more than single fields is other than before: a deletion, or the source's
 * version number, which decides between claims of one time.
 */
export function areFieldsChanged(
  world: World,
  { members }: Profile,
  compiled: CompiledRules,
): boolean | null {
  const fields = new Set<string>();
  const [before, after]: [RecordState[], RecordState[]] = [[], []];
  for (const rec of members) {
    const now = world.stateAfter(rec);
    const then = rec.added.length === 0 ? now : world.stateBefore(rec);
    if (now === null && then === null) continue;
    if (now === null || then === null || now.version !== then.version) return null;
    if (isGone(now, compiled) !== isGone(then, compiled)) return null;
    if (now !== then) for (const field of changedFields(then, now, compiled)) fields.add(field);
    before.push(then);
    after.push(now);
  }
  if (fields.size === 0) return false;
  const at = instantOf(world.draft.at);
  const overrides = world.overrides(members).filter(({ field }) => fields.has(field));
  const [left, right] = [before, after].map((states) =>
    resolveProfile(
      states.map((state) => only(state, fields)),
      overrides,
      compiled,
      at,
    ),
  );
  return diffGolden(left?.fields ?? {}, right?.fields ?? {}).length > 0;
}
