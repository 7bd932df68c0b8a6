import type { RecordRef } from '../../../schemas/observation.ts';
import { diffGolden } from '../../../rules/golden/diff.ts';
import type { ServedProfile, Supposed } from '../serving.ts';
import { aliasesOf } from './commands.ts';
import { instantOf } from './history.ts';
import { ask, type Program } from './program.ts';
import { golden, views } from './queries.ts';
import { referenceHash } from './references.ts';
import type { Context } from './world.ts';

export function* readServed(
  context: Context,
  pids: readonly number[],
  supposed: readonly Supposed[] = [],
): Program<ServedProfile[]> {
  const found: ServedProfile[] = [];
  const rows = yield* ask((reads) => reads.profiles(pids));
  const plain = yield* views(context, rows);
  const seenAs = supposed.length === 0 ? plain : yield* views(context, rows, supposed);
  for (const [index, seen] of seenAs.entries()) {
    const { row } = seen;
    const profile = golden(context, seen, context.nowMs());
    const before = plain[index];
    const changed =
      before === undefined || before === seen
        ? []
        : diffGolden(golden(context, before, context.nowMs()).fields, profile.fields);
    const isMerged = row.mergedInto !== null;
    const aliases = isMerged ? [] : yield* aliasesOf(row.pid);
    found.push({
      profile: { ...profile, deleted: profile.deleted || isMerged },
      aliases: aliases.map((pid) => context.vault.publicId(pid)),
      confirmedAt: seen.members
        .filter(({ state }) => state !== null)
        .map((member) => instantOf(member.row.confirmed)),
      unconfirmed: changed.map(({ field }) => field),
    });
  }
  return found;
}

/** Newest record first; each profile once. */
export function* readReferring(
  context: Context,
  entity: string,
  to: readonly RecordRef[],
  limit: number,
): Program<number[]> {
  const hashes = to.map(({ source, object, record }) =>
    referenceHash(context.vault, entity, `${source}:${object}:${record}`),
  );
  const found = yield* ask((reads) => reads.referrers(hashes, limit));
  const newest = found.toSorted((left, right) => right.rid - left.rid);
  return [...new Set(newest.map(({ pid }) => pid))].slice(0, limit);
}
