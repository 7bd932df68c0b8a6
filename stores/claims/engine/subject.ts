import type { Identifier, RecordRef } from '../../../schemas/observation.ts';
import type { Cause, Subject } from '../claims.ts';
import type { Done } from './commands.ts';
import { aliasesOf, worldOf } from './commands.ts';
import { refOf } from './history.ts';
import { HOLDERS_MAX, identifiersOf } from './identifiers.ts';
import { ask, type Program } from './program.ts';
import { currentProfile } from './queries.ts';
import { newWorld, type Context, type Rec, type World } from './world.ts';

/** What its records ever said, in every version: the values that may find the subject anywhere else. */
function saidBy(world: World, members: Iterable<Rec>): Identifier[] {
  const found = new Map<string, Identifier>();
  for (const rec of members) {
    for (const { h = [] } of world.contents(rec))
      for (const [kind, value] of h) found.set(`${kind}\0${value}`, { kind, value });
  }
  return [...found.values()];
}

/**
 * Hashes of identifiers that no other record has. A switchboard's number belongs to nobody alone: keeping it out would keep
 * out everybody who shares it.
 */
export function* exclusive(
  context: Context,
  entity: string,
  identifiers: readonly Identifier[],
  own: ReadonlySet<number>,
): Program<string[]> {
  const hashes = identifiersOf(context.vault, context, entity, identifiers).map(({ hash }) => hash);
  const shared = new Set<string>();
  for (const { hash, rid } of yield* ask((reads) => reads.hits(hashes, HOLDERS_MAX))) {
    if (!own.has(rid)) shared.add(hash);
  }
  return hashes.filter((hash) => !shared.has(hash));
}

/** Everything that one erasure takes; nothing is written. Null: there is no such profile. */
export function* subjectOf(context: Context, id: string, cause: Cause): Program<Subject | null> {
  if ((yield* currentProfile(context, id)) === null) return null;
  const { vault } = context;
  const { world, profile } = yield* worldOf(context, id, cause);
  const living = [...profile.members].filter(({ row }) => row.record !== null);
  const aliases = yield* aliasesOf(profile.row.pid);
  const own = [profile.row.pid, ...aliases];
  const formerly = new Set<number>();
  for (const { events } of living) for (const { pid } of events) if (pid !== null) formerly.add(pid);
  for (const pid of own) formerly.delete(pid);
  return {
    entity: profile.row.entity,
    profiles: own.map((pid) => vault.publicId(pid)),
    records: living.map(({ row }) => refOf(row)),
    identifiers: saidBy(world, living),
    formerly: [...formerly].map((pid) => vault.publicId(pid)),
    events: living.reduce((sum, { events }) => sum + events.length, 0),
    newest: Math.max(0, ...living.map(({ row }) => row.stamp).filter(Number.isFinite)),
  };
}

/** Keeps these out from now on, before anything of them is removed: what is read meanwhile does not land. */
export function* suppress(
  context: Context,
  refs: readonly RecordRef[],
  subjects: readonly Pick<Subject, 'entity' | 'records' | 'identifiers'>[],
  cause: Cause,
): Program<Done<void>> {
  const { vault } = context;
  const world = yield* newWorld(context, cause, null, []);
  for (const { source, object, record } of refs)
    world.draft.suppress.push(vault.subjectHash(source, object, record));
  for (const { entity, records, identifiers } of subjects) {
    const own = new Set<number>();
    for (const { source, object, record } of records) {
      world.draft.suppress.push(vault.subjectHash(source, object, record));
      const row = yield* ask((reads) => reads.recordByRef(source, object, record));
      if (row !== null) own.add(row.rid);
    }
    world.draft.suppress.push(...(yield* exclusive(context, entity, identifiers, own)));
  }
  return { writes: world.draft.finish(), result: undefined };
}
