import { isSupportedCountry } from 'libphonenumber-js/max';
import { z } from 'zod';
import type { Mapping } from '../mapping/mapping.ts';
import type { ConflictRules } from '../schemas/conflicts.ts';
import { entities } from '../schemas/entities/index.ts';
import type { Entity } from '../schemas/entities/entity.ts';
import { API_SOURCE } from '../schemas/change.ts';
import { STANDARD_RULES } from './standard-rules.ts';
import { CLUSTER_MAX, type LinkGuards } from '../rules/identity/guards.ts';
import { nearest } from './nearest.ts';
import { durationSchema } from './quantities.ts';
import type { Mistake } from './mistakes.ts';
import { isRecord } from './secrets.ts';

const isEntity = (value: unknown): value is Entity =>
  isRecord(value) && typeof value['name'] === 'string' && isRecord(value['fields']) && 'shape' in value;
const isMapping = (value: unknown): value is Mapping =>
  isRecord(value) &&
  isEntity(value['entity']) &&
  isRecord(value['fields']) &&
  typeof value['part'] === 'string';

const DAY_MS = 86_400_000;

const mappingSchema = z.custom<'off' | Mapping | Mapping[]>(
  (value) =>
    value === 'off' ||
    isMapping(value) ||
    (Array.isArray(value) && value.length > 0 && value.every(isMapping)),
  "is not a mapping. Write mapTo(contact, { fields: { … } }), a list of them, or 'off'.",
);

/** Golden profiles: which objects feed which shared schema. Present, even empty, it turns reconcile and publish on. */
export const profilesSchema = z.strictObject({
  /** Where telephone numbers without a country code are from (ISO 3166). Default 'US'. */
  region: z
    .string()
    .refine(isSupportedCountry, "is not a country. Write two capitals such as 'US'.")
    .default('US'),
  /** Entities of your own, beside the shared ones; one of the same name replaces it. */
  entities: z
    .array(z.custom<Entity>(isEntity, 'is not an entity. Write defineEntity({ name, fields, … }).'))
    .default([]),
  /** By `connection.Object`. Ready mappings of standard objects are in force without being named; 'off' turns one off. */
  mappings: z
    .record(
      z.string().regex(/^[^.]+\.[^.]+$/, "is not an object. Write '<connection>.<Object>'."),
      mappingSchema,
    )
    .default({}),
  /** What keeps one bad value from making one customer of many; applies to links that are decided from then on. */
  links: z
    .strictObject({
      /** Normalised values that identify nobody, such as 'info@example.com'. */
      blocked: z.array(z.string().min(1)).default([]),
      /** An identifier of this kind that more records share links none of them. Default 10. */
      recordsMax: z.record(z.string(), z.number().int().min(2)).default({}),
      /** A link that would make a larger profile waits for a person. Default 50. */
      clusterMax: z.number().int().min(2).max(1_000).default(CLUSTER_MAX),
    })
    .prefault({})
    .transform((links): LinkGuards => ({ ...links, blocked: new Set(links.blocked) })),
  /**
   * Systems of record: which connections a change of a field is written to, in this order, such as
   * `{ contact: { jobTitle: ['salesforce'] } }`. A field without one cannot be changed through the API.
   */
  writeBack: z
    .record(z.string(), z.record(z.string(), z.array(z.string().min(1)).min(1).max(10)))
    .default({}),
  /** How long records of an entity are kept after their newest version; then sweeps erase them. Default: for ever. */
  retention: z.record(z.string(), durationSchema({ msMin: DAY_MS })).default({}),
  /** Where claims and the event log lie, and the key that seals them (made at first use). */
  path: z.string().min(1).default('claims.db'),
  keyPath: z.string().min(1).default('claims.key'),
});
export type ProfilesConfig = z.output<typeof profilesSchema>;

/** Mappings of an object: the configuration's, else the source's ready ones; none when turned off. */
export function mappingsOf(
  profiles: ProfilesConfig,
  ready: Readonly<Record<string, readonly Mapping[]>>,
  connection: string,
  object: string,
): readonly Mapping[] {
  const chosen = profiles.mappings[`${connection}.${object}`];
  if (chosen === 'off') return [];
  if (chosen === undefined) return Object.hasOwn(ready, object) ? (ready[object] ?? []) : [];
  return Array.isArray(chosen) ? chosen : [chosen];
}

/** Shared schemas and the configuration's own; an own one replaces a shared one of its name. */
export function entitiesOf(profiles: Pick<ProfilesConfig, 'entities'>): ReadonlyMap<string, Entity> {
  return new Map([
    ...entities,
    ...profiles.entities.map((entity): [string, Entity] => [entity.name, entity]),
  ]);
}

/** One set of rules per entity: the configuration's, else the standard ones of a shared schema, else the newest claim. */
export function rulesOf(
  profiles: Pick<ProfilesConfig, 'entities'>,
  conflicts: Readonly<Record<string, ConflictRules>>,
): ConflictRules[] {
  return [...entitiesOf(profiles).keys()].map(
    (name) => conflicts[name] ?? STANDARD_RULES[name] ?? { ...NEWEST, profile: name },
  );
}

const NEWEST: Omit<ConflictRules, 'profile'> = {
  clock: { maxSkewMs: 300_000 },
  // What a person said comes before what a model computed.
  defaults: { prefer: [{ by: 'kind' }, { by: 'latest' }], blank: 'skip', onTie: 'stable' },
  fields: {},
  groups: {},
  deletes: { golden: 'all', undelete: 'newer-wins' },
};

/** Names in one part of the configuration that another part has to know. */
export function profileMistakes(config: {
  connections: Record<string, unknown>;
  conflicts: Readonly<Record<string, ConflictRules>>;
  profiles?: ProfilesConfig | undefined;
}): Mistake[] {
  const { profiles, conflicts, connections } = config;
  const known = entitiesOf(profiles ?? { entities: [] });
  const found: Mistake[] = [];
  for (const [name, rules] of Object.entries(conflicts)) {
    const entity = known.get(name);
    if (entity === undefined) {
      found.push({ path: ['conflicts', name], message: `is no entity. ${guessed(name, [...known.keys()])}` });
      continue;
    }
    const groups = Object.keys(rules.groups);
    const fields = [...Object.keys(entity.fields), ...groups];
    const named = [
      ...Object.keys(rules.fields).map((field) => ({ at: ['fields', field], field })),
      ...groups.flatMap((group) =>
        (rules.groups[group] ?? []).map((field, at) => ({ at: ['groups', group, String(at)], field })),
      ),
    ];
    for (const { at, field } of named) {
      if (fields.includes(field)) continue;
      found.push({
        path: ['conflicts', name, ...at],
        message: `is no field of ${name}. ${guessed(field, fields)}`,
      });
    }
  }
  found.push(...writeBackMistakes(profiles?.writeBack ?? {}, known, Object.keys(connections)));
  for (const name of Object.keys(profiles?.retention ?? {})) {
    if (known.has(name)) continue;
    const path = ['profiles', 'retention', name];
    found.push({ path, message: `is no entity. ${guessed(name, [...known.keys()])}` });
  }
  for (const [target, mapping] of Object.entries(profiles?.mappings ?? {})) {
    const [connection = ''] = target.split('.');
    const path = ['profiles', 'mappings', target];
    if (!Object.hasOwn(connections, connection)) {
      const names = Object.keys(connections);
      found.push({ path, message: `names no connection. ${guessed(connection, names)}` });
    }
    if (mapping === 'off') continue;
    for (const one of Array.isArray(mapping) ? mapping : [mapping]) {
      for (const field of Object.keys(one.fields)) {
        const fields = Object.keys(one.entity.fields);
        if (!fields.includes(field))
          found.push({
            path: [...path, field],
            message: `is no field of ${one.entity.name}. ${guessed(field, fields)}`,
          });
      }
    }
  }
  return found;
}

function writeBackMistakes(
  writeBack: ProfilesConfig['writeBack'],
  known: ReadonlyMap<string, Entity>,
  connections: readonly string[],
): Mistake[] {
  const found: Mistake[] = [];
  if (connections.includes(API_SOURCE)) {
    const message = 'is the source of what callers of the profile API say. Choose another name.';
    found.push({ path: ['connections', API_SOURCE], message });
  }
  for (const [name, fields] of Object.entries(writeBack)) {
    const path = ['profiles', 'writeBack', name];
    const entity = known.get(name);
    if (entity === undefined) {
      found.push({ path, message: `is no entity. ${guessed(name, [...known.keys()])}` });
      continue;
    }
    for (const [field, systems] of Object.entries(fields)) {
      const names = Object.keys(entity.fields);
      if (!names.includes(field)) {
        found.push({ path: [...path, field], message: `is no field of ${name}. ${guessed(field, names)}` });
        continue;
      }
      for (const [at, system] of systems.entries()) {
        if (connections.includes(system)) continue;
        const message = `names no connection. ${guessed(system, connections)}`;
        found.push({ path: [...path, field, String(at)], message });
      }
    }
  }
  return found;
}

function guessed(name: string, known: readonly string[]): string {
  const guess = nearest(name, known);
  return guess === undefined ? `Known here: ${known.slice(0, 40).join(', ')}.` : `Did you mean ${guess}?`;
}
