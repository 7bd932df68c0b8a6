import { hash as sha } from 'node:crypto';
import { diffGolden } from '../../../rules/golden/diff.ts';
import { resolveProfile, type CompiledRules } from '../../../rules/golden/resolve.ts';
import type { ConflictRules } from '../../../schemas/conflicts.ts';
import type { Cause, GoldenChange } from '../claims.ts';
import type { Done } from './commands.ts';
import type { Draft } from './draft.ts';
import { instantOf } from './history.ts';
import { ask, type Program } from './program.ts';
import { view } from './queries.ts';
import { newReviews, note, raise } from './settle.ts';
import { newWorld, type Context } from './world.ts';

/** Where the change of an entity's rules stands: profiles up to `after` are done, seen under each of the rules `from`. */
export interface RuleProgress {
  hash: string;
  from: number[];
  after: number;
  changed: number;
}

export const progressKey = (entity: string) => `rules:${entity}`;

/** Keys in one order, so that equal rules have one hash however they were written. */
export function rulesHash(rules: ConflictRules): string {
  return sha('sha256', JSON.stringify(inOrder(rules)), 'hex').slice(0, 16);
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, inner]) => [key, inOrder(inner)]),
  );
}

/** The first rules of an entity are no change: no profile was resolved by others before. */
export function* firstRules(context: Context, rules: ConflictRules, cause: Cause): Program<Done<void>> {
  const world = yield* newWorld(context, cause, null, []);
  const current = yield* ask((reads) => reads.rules(rules.profile));
  if (current === null) setRules(context, world.draft, rules);
  return { writes: world.draft.finish(), result: undefined };
}

function setRules(context: Context, draft: Draft, rules: ConflictRules): void {
  const hash = rulesHash(rules);
  const id = context.vault.observationId(`rule_change\0${rules.profile}\0${hash}\0${draft.head.seq + 1}`);
  const seq = draft.event('rule_change', null, id, null);
  draft.rules = { entity: rules.profile, hash, rules, seq, at: draft.at };
}

/** The event, unless these rules are in force; then whether profiles are left to do. */
export function* beginRules(
  context: Context,
  rules: ConflictRules,
  cause: Cause,
): Program<Done<RuleProgress | null>> {
  const world = yield* newWorld(context, cause, null, []);
  const current = yield* ask((reads) => reads.rules(rules.profile));
  const stored = yield* ask((reads) => reads.progress(progressKey(rules.profile)));
  const unfinished: RuleProgress | null = stored === null ? null : JSON.parse(stored);
  const hash = rulesHash(rules);
  if (current !== null && current.hash === hash) return { writes: world.draft.finish(), result: unfinished };
  setRules(context, world.draft, rules);
  const from = [...(unfinished?.from ?? []), ...(current === null ? [] : [current.seq])];
  const progress: RuleProgress = { hash, from, after: 0, changed: 0 };
  world.draft.progress = { key: progressKey(rules.profile), value: JSON.stringify(progress) };
  return { writes: world.draft.finish(), result: progress };
}

/** The next profiles, in one bounded transaction; the result is null when none is left. */
export function* continueRules(
  context: Context,
  entity: string,
  cause: Cause,
  limit: number,
): Program<Done<RuleProgress | null>> {
  const world = yield* newWorld(context, cause, null, [entity]);
  const stored = yield* ask((reads) => reads.progress(progressKey(entity)));
  if (stored === null) return { writes: world.draft.finish(), result: null };
  const progress: RuleProgress = JSON.parse(stored);
  const pids = yield* ask((reads) => reads.profilesAfter(progress.after, entity, limit));
  const last = pids.at(-1);
  if (last === undefined) {
    world.draft.progress = { key: progressKey(entity), value: null };
    return { writes: world.draft.finish(), result: progress };
  }
  const former = (yield* ask((reads) => reads.rulesAt(progress.from))).map((row) =>
    context.compile(entity, row),
  );
  yield* world.load(pids);
  for (const pid of pids) {
    const profile = world.profiles.get(pid);
    if (profile === undefined) continue;
    const after = world.resolved(profile);
    const was = profile.row.deleted;
    note(world, profile, after);
    const states = [...profile.members].flatMap((rec) => world.stateAfter(rec) ?? []);
    const differs = former.some((compiled) => {
      const before = resolveProfile(
        states,
        world.overrides(profile.members),
        compiled,
        instantOf(world.draft.at),
      );
      return before.deleted !== after.deleted || diffGolden(before.fields, after.fields).length > 0;
    });
    if (!differs && was === after.deleted) continue;
    progress.changed += 1;
    raise(world, profile);
  }
  yield* newReviews(world);
  progress.after = last;
  world.draft.progress = { key: progressKey(entity), value: JSON.stringify(progress) };
  return { writes: world.draft.finish(), result: progress };
}

/** What other rules would change in these profiles. The clock's skew is part of the rules, so records are folded for each. */
export function* previewPage(
  context: Context,
  compiled: CompiledRules,
  pids: readonly number[],
): Program<GoldenChange[]> {
  const changes: GoldenChange[] = [];
  const at = instantOf(context.nowMs());
  for (const row of yield* ask((reads) => reads.profiles(pids))) {
    const { states, overrides, compiled: current } = yield* view(context, row);
    const other = yield* view(context, row, undefined, compiled);
    const before = resolveProfile(states, overrides, current, at);
    const after = resolveProfile(other.states, other.overrides, compiled, at);
    const profile = context.vault.publicId(row.pid);
    for (const change of diffGolden(before.fields, after.fields)) {
      changes.push({ profile, entity: row.entity, ...change });
    }
  }
  return changes;
}
