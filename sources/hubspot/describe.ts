import { z } from 'zod';
import { createHash } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import { snakeCase, warehouseNames } from '../../rules/naming.ts';
import type { Field, ObjectSchema } from '../../schemas/object-schema.ts';
import { pairOf, pairSchema } from './associations.ts';
import type { HubspotClient } from './client.ts';
import { DELETED_FIELD, fieldNameOf, KEY_FIELD, STAMP_FIELD, stampProperty } from './records.ts';
import { fieldType } from './types.ts';

const propertySchema = z.object({
  name: z.string(),
  type: z.string(),
  calculated: z.boolean().nullish(),
  hubspotDefined: z.boolean().nullish(),
  archived: z.boolean().nullish(),
});
export type Property = z.infer<typeof propertySchema>;

const propertiesSchema = z.object({ results: z.array(propertySchema) });

export async function describeObject(
  client: HubspotClient,
  object: string,
  choice: Choice = {},
): Promise<ObjectSchema> {
  if (pairOf(object) !== undefined) return pairSchema(object);
  const path = client.path('crm/properties', encodeURIComponent(object));
  const answer = propertiesSchema.safeParse(await client.json({ method: 'GET', path })).data;
  if (answer === undefined) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `the properties of ${object} are not in the documented form`);
  }
  return toObjectSchema(object, answer.results, choice);
}

interface Choice {
  include?: readonly string[] | undefined;
  exclude?: readonly string[] | undefined;
}

/** What stands beside the properties always stays: nothing can be merged without it. */
export function toObjectSchema(
  object: string,
  properties: readonly Property[],
  choice: Choice = {},
): ObjectSchema {
  if (properties.length === 0) {
    throw new HeadwaterError('OBJECT_UNKNOWN', `HubSpot has no properties of ${object}`);
  }
  // A dot would be a path; HubSpot makes no such names.
  const usable = properties.filter(({ name, archived }) => archived !== true && !name.includes('.'));
  const wanted = usable.filter(({ name }) => {
    if (choice.include !== undefined && !choice.include.includes(name)) return false;
    return choice.exclude?.includes(name) !== true;
  });
  const beside = besideFields(object);
  // Columns are named over all properties, so that leaving one out never renames another.
  const columns = warehouseNames([
    ...beside.map(({ name }) => name),
    ...usable.map(({ name }) => fieldNameOf(name)),
  ]);
  const fields = [
    ...beside,
    ...wanted.map((property) => ({
      name: fieldNameOf(property.name),
      type: fieldType(property),
      sourceType: property.type,
      nullable: true,
      calculated: property.calculated === true,
      custom: property.hubspotDefined !== true,
    })),
  ].map((field): Field => ({ ...field, column: columns.get(field.name) ?? snakeCase(field.name) }));
  const body = {
    object,
    table: snakeCase(object),
    key: KEY_FIELD,
    stamp: STAMP_FIELD,
    deleted: DELETED_FIELD,
    fields,
  };
  return { ...body, hash: createHash('sha256').update(JSON.stringify(body)).digest('hex') };
}

function besideFields(object: string): Omit<Field, 'column'>[] {
  const field = (name: string, kind: 'string' | 'boolean' | 'timestamp', sourceType: string) => ({
    name,
    type: { kind },
    sourceType,
    nullable: name !== KEY_FIELD && name !== STAMP_FIELD,
    calculated: false,
    custom: false,
  });
  return [
    field(KEY_FIELD, 'string', 'id'),
    field('createdAt', 'timestamp', 'datetime'),
    field('updatedAt', 'timestamp', 'datetime'),
    field(DELETED_FIELD, 'boolean', 'bool'),
    field('archivedAt', 'timestamp', 'datetime'),
    field(STAMP_FIELD, 'timestamp', `later of ${stampProperty(object)} and archivedAt`),
  ];
}
