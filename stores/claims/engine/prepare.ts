import type { Observation } from '../../../schemas/observation.ts';
import type { Vault } from '../vault.ts';
import { contentOf } from './content.ts';
import { identifiersOf } from './identifiers.ts';
import type { Context } from './world.ts';

/** An observation with all that can be computed before the store is asked. */
export interface Prepared {
  observation: Observation;
  /** Canonical: what is hashed and sealed. */
  text: string;
  id: string;
  identifiers: { hash: string; kind: string }[];
  /** Sealed for a record that is new with it, under this salt. */
  ahead: { salt: string; body: Uint8Array } | null;
}

/** What the observation's id is a hash of, before its text. */
export function idPrefix({ entity, ref }: Observation): string {
  return `${entity}\0${ref.source}\0${ref.object}\0${ref.record}\0`;
}

export function prepare(vault: Vault, context: Context, observation: Observation): Prepared {
  const { entity, identifiers } = observation;
  const text = contentOf(observation);
  return {
    observation,
    text,
    id: vault.observationId(idPrefix(observation) + text),
    identifiers: identifiersOf(vault, context, entity, identifiers),
    ahead: null,
  };
}
