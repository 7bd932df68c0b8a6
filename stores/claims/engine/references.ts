import type { Entity } from '../../../schemas/entities/entity.ts';
import { entities as sharedEntities } from '../../../schemas/entities/index.ts';
import type { ClaimValue } from '../../../schemas/observation.ts';
import type { Vault } from '../vault.ts';

/** Everything in a company has somebody responsible: a list of all that would be as long as the store. */
const NOT_FOLLOWED = 'employee';

/** Per entity the fields that say which record of another entity it belongs to. */
export type ReferenceFields = ReadonlyMap<string, readonly string[]>;

export function referenceFields(own: readonly Entity[]): ReferenceFields {
  const all = new Map([...sharedEntities.values(), ...own].map((entity) => [entity.name, entity]));
  return new Map(
    [...all].map(([name, { references = {} }]) => [
      name,
      Object.keys(references).filter((field) => references[field] !== NOT_FOLLOWED),
    ]),
  );
}

/** No identifier has an empty kind, so these hashes are never those of identifiers: a reference links nothing. */
export function referenceHash(vault: Vault, entity: string, to: string): string {
  return vault.identifierHashOf(`${entity}\0\0${to}`);
}

/** What the fields of one version refer to, each once. */
export function referencesIn(
  vault: Vault,
  references: ReferenceFields,
  entity: string,
  fields: Readonly<Record<string, ClaimValue>>,
): string[] {
  const hashes: string[] = [];
  for (const name of references.get(entity) ?? []) {
    const to = fields[name];
    if (typeof to !== 'string' || to === '') continue;
    const hash = referenceHash(vault, entity, to);
    if (!hashes.includes(hash)) hashes.push(hash);
  }
  return hashes;
}
