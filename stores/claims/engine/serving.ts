import type { RecordRef } from '../../../schemas/observation.ts';
import type { ServedProfile } from '../serving.ts';
import { aliasesOf } from './commands.ts';
import { instantOf } from './history.ts';
import { ask, type Program } from './program.ts';
import { golden, view } from './queries.ts';
import { referenceHash } from './references.ts';
import type { Context } from './world.ts';

export function* readServed(context: Context, pids: readonly number[]): Program<ServedProfile[]> {
  const found: ServedProfile[] = [];
  for (const row of yield* ask((reads) => reads.profiles(pids))) {
    const seen = yield* view(context, row);
    const profile = golden(context, seen, context.nowMs());
    const isMerged = row.mergedInto !== null;
    const aliases = isMerged ? [] : yield* aliasesOf(row.pid);
    found.push({
      profile: { ...profile, deleted: profile.deleted || isMerged },
      aliases: aliases.map((pid) => context.vault.publicId(pid)),
      confirmedAt: seen.members
        .filter(({ state }) => state !== null)
        .map((member) => instantOf(member.row.confirmed)),
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
