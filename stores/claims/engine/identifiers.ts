import { isBlocked } from '../../../rules/identity/guards.ts';
import type { Identifier } from '../../../schemas/observation.ts';
import type { Vault } from '../vault.ts';
import { ask, type Program } from './program.ts';
import type { Context, World } from './world.ts';

/** How many holders of an identifier are read; beyond its limit it links nothing, so more need not be known. */
export const HOLDERS_MAX = 200;

export function identifiersOf(
  vault: Vault,
  context: Context,
  entity: string,
  identifiers: readonly Identifier[],
): { hash: string; kind: string }[] {
  const found: { hash: string; kind: string }[] = [];
  for (const identifier of identifiers) {
    if (isBlocked(identifier, context.guards)) continue;
    const hash = vault.identifierHash(entity, identifier.kind, identifier.value);
    if (!found.some((other) => other.hash === hash)) found.push({ hash, kind: identifier.kind });
  }
  return found;
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
