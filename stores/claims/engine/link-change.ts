import type { Cause, LinkChange } from '../claims.ts';
import { finish, type Done } from './commands.ts';
import { refOf } from './history.ts';
import { ask, type Program } from './program.ts';
import { newWorld, type Context, type Rec } from './world.ts';

/**
 * The links of these profiles, decided anew by the guards in force: what was decided by others before comes apart or together (I1).
 * The writes need not be made: then it is a preview.
 */
export function* relinkProfiles(
  context: Context,
  pids: readonly number[],
  cause: Cause,
): Program<Done<LinkChange[]>> {
  const rows = yield* ask((reads) => reads.profiles(pids));
  const world = yield* newWorld(context, cause, null, new Set(rows.map(({ entity }) => entity)));
  yield* world.load(rows.filter(({ mergedInto }) => mergedInto === null).map(({ pid }) => pid));
  for (const profile of [...world.profiles.values()]) if (profile.members.size > 0) world.replan.add(profile);
  const { writes } = yield* finish(world, null);
  const homes = new Map<Rec, number>();
  for (const { row, before } of world.profiles.values()) for (const rec of before) homes.set(rec, row.pid);
  const changes: LinkChange[] = [];
  for (const { row, members } of world.profiles.values()) {
    for (const rec of members) {
      const home = homes.get(rec);
      if (home === undefined || home === row.pid || rec.row.record === null) continue;
      const from = context.vault.publicId(home);
      // A profile that is only about to be made has no id that anybody could look up.
      const to = world.draft.newProfiles.includes(row) ? null : context.vault.publicId(row.pid);
      changes.push({ entity: row.entity, ref: refOf(rec.row), from, to });
    }
  }
  return { writes, result: changes };
}
