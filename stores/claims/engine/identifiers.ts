import { orderVersions } from '../../../rules/golden/fold.ts';
import { isBlocked } from '../../../rules/identity/guards.ts';
import type { Identifier } from '../../../schemas/observation.ts';
import type { Vault } from '../vault.ts';
import { ask, type Program } from './program.ts';
import type { IdentifierText } from './content.ts';
import type { Context, Rec, World } from './world.ts';

/** How many holders of an identifier are read; beyond its limit it links nothing, so more need not be known. */
export const HOLDERS_MAX = 200;

/** What an identifier's hash is made of; one per hash, blocked values left out. */
export function linkingOf(
  context: Context,
  entity: string,
  identifiers: readonly Identifier[],
): { said: string; kind: string }[] {
  const found: { said: string; kind: string }[] = [];
  for (const identifier of identifiers) {
    if (isBlocked(identifier, context.guards)) continue;
    const said = `${entity}\0${identifier.kind}\0${identifier.value}`;
    if (!found.some((other) => other.said === said)) found.push({ said, kind: identifier.kind });
  }
  return found;
}

export function identifiersOf(
  vault: Vault,
  context: Context,
  entity: string,
  identifiers: readonly Identifier[],
): { hash: string; kind: string }[] {
  return linkingOf(context, entity, identifiers).map(({ said, kind }) => ({
    hash: vault.identifierHashOf(said),
    kind,
  }));
}

/**
 * What finds a record now: per field what the newest version says that read it (I1). A corrected value no longer links; a field
 * that is hidden, deleted with the record, or not part of a partial read keeps what it said.
 */
export function currentIdentifiers(world: World, rec: Rec): { hash: string; kind: string }[] {
  const { versions } = world.opened(rec);
  const contents = world.contents(rec);
  const all = [...versions, ...rec.added.map(({ version }) => version)];
  const byId = new Map(all.map(({ id }, at) => [id, contents[at]]));
  const { vault } = world.context;
  const said = new Map<string, IdentifierText[]>();
  const { maxSkewMs } = world.compiled(rec.row.entity).rules.clock;
  for (const { id, fields } of orderVersions(all, maxSkewMs)) {
    const { h = [] } = byId.get(id) ?? {};
    for (const field of said.keys()) if (field in fields) said.set(field, []);
    const named = Map.groupBy(h, ([kind, , field]) => field ?? kind);
    for (const [field, texts] of named) said.set(field, texts);
  }
  const now = [...said.values()].flat().map(([kind, value]): Identifier => ({ kind, value }));
  return identifiersOf(vault, world.context, rec.row.entity, now).slice(0, HOLDERS_MAX);
}

/** The identifiers' records; the profiles that have to be loaded for them are added to `pids`. */
export function* loadHolders(world: World, hashes: Iterable<string>, pids: Set<number>): Program<void> {
  const unknown = [...hashes].filter((hash) => !world.holders.has(hash));
  if (unknown.length === 0) return;
  for (const hash of unknown) world.holders.set(hash, new Set());
  for (const { hash, rid, pid } of yield* ask((reads) => reads.hits(unknown, HOLDERS_MAX))) {
    world.holders.get(hash)?.add(rid);
    pids.add(pid);
  }
}
