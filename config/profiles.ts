import { z } from 'zod';
import type { Mapping } from '../mapping/mapping.ts';
import type { Entity } from '../schemas/entities/entity.ts';
import { isRecord } from './secrets.ts';

const isEntity = (value: unknown): value is Entity =>
  isRecord(value) && typeof value['name'] === 'string' && isRecord(value['fields']) && 'shape' in value;
const isMapping = (value: unknown): value is Mapping =>
  isRecord(value) &&
  isEntity(value['entity']) &&
  isRecord(value['fields']) &&
  typeof value['part'] === 'string';

const mappingSchema = z.custom<Mapping>(
  isMapping,
  'is not a mapping. Write mapTo(contact, { fields: { … } }).',
);

/** Golden profiles: which objects feed which shared schema. Present, even empty, it turns reconcile and publish on. */
export const profilesSchema = z.strictObject({
  /** Where telephone numbers without a country code are from (ISO 3166). Default 'US'. */
  region: z
    .string()
    .regex(/^[A-Z]{2}$/, "is not a country. Write two capitals such as 'US'.")
    .default('US'),
  /** Entities of your own, beside the shared ones; one of the same name replaces it. */
  entities: z
    .array(z.custom<Entity>(isEntity, 'is not an entity. Write defineEntity({ name, fields, … }).'))
    .default([]),
  /** By `connection.Object`. Ready mappings of standard objects are in force without being named; 'off' turns one off. */
  mappings: z
    .record(
      z.string().regex(/^[^.]+\.[^.]+$/, "is not an object. Write '<connection>.<Object>'."),
      z.union([z.literal('off'), mappingSchema, z.array(mappingSchema).min(1)]),
    )
    .default({}),
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
