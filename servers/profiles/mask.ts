import { createHash } from 'node:crypto';
import type { ApiKey } from '../keys.ts';
import type { Model } from './model.ts';

const ID_CHARACTERS = 8;

/** What a key may see. */
export interface Sight extends Pick<ApiKey, 'sees' | 'entities' | 'consents'> {
  /** Fields that were asked for; null: all. */
  fields: ReadonlySet<string> | null;
  /** The same for whoever sees the same. */
  id: string;
}

export function maySee({ entities }: Pick<Sight, 'entities'>, entity: string): boolean {
  return entities === undefined || entities.includes(entity);
}

/** Two answers of one version may only share a tag when they show the same. */
export function sightId(sight: Sight, { denied }: Pick<Model, 'denied'>): string {
  return denied.length === 0 ? sight.id : idOf([sight.id, denied]);
}

function idOf(says: unknown): string {
  return createHash('sha256').update(JSON.stringify(says)).digest('base64url').slice(0, ID_CHARACTERS);
}

const whole = new WeakMap<ApiKey, Sight>();

/** `fields`: the only ones that were asked for. */
export function sightOf(key: ApiKey, fields?: readonly string[]): Sight {
  if (fields !== undefined) return makeSight(key, [...new Set(fields)].toSorted());
  let sight = whole.get(key);
  if (sight === undefined) {
    sight = makeSight(key, null);
    whole.set(key, sight);
  }
  return sight;
}

function makeSight({ sees, entities, consents }: ApiKey, fields: readonly string[] | null): Sight {
  return {
    sees,
    entities,
    consents,
    fields: fields === null ? null : new Set(fields),
    id: idOf([sees.toSorted(), consents.toSorted(), fields]),
  };
}
