import { z } from 'zod';
import { goldenFieldSchema, goldenProfileSchema } from '../profile.ts';
import type { Entity } from './entity.ts';

/** JSON Schema (2020-12) of a profile of this entity, as it is read: each field's value has the entity's type, or null. */
export function profileJsonSchema(entity: Entity): Record<string, unknown> {
  const fields = Object.fromEntries(
    Object.entries(entity.fields).map(([name, { value, description, classification }]) => [
      name,
      goldenFieldSchema.extend({ value: value.nullable() }).meta({ description, classification }).optional(),
    ]),
  );
  const profile = goldenProfileSchema
    .extend({ entity: z.literal(entity.name), fields: z.strictObject(fields) })
    .meta({ title: entity.name, description: entity.description });
  return z.toJSONSchema(profile);
}
