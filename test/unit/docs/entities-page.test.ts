import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { entities } from '../../../schemas/entities/index.ts';
import { profileJsonSchema } from '../../../schemas/entities/json-schema.ts';
import { ENTITIES_PAGE, entitiesPage } from '../../../scripts/entities-page.ts';

test('docs/entities.md is what `npm run docs:entities` makes', () => {
  expect(readFileSync(ENTITIES_PAGE, 'utf8')).toBe(entitiesPage());
});

describe('JSON Schema', () => {
  test.each([...entities.values()])('of $name has every field with its type', (entity) => {
    const schema = profileJsonSchema(entity);
    expect(schema).toMatchObject({
      title: entity.name,
      properties: { fields: { additionalProperties: false } },
    });
    const text = JSON.stringify(schema);
    for (const field of Object.keys(entity.fields)) expect(text).toContain(JSON.stringify(field));
  });
});
