import { expect, test } from '@jest/globals';
import { defineConflicts } from '../../../config/conflicts.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import { entitiesOf, mappingsOf, profilesSchema, rulesOf } from '../../../config/profiles.ts';
import { registeredKinds } from '../../../config/registered-kinds.ts';
import { mapTo } from '../../../mapping/mapping.ts';
import { contact, entities } from '../../../schemas/entities/index.ts';
import { defineEntity } from '../../../schemas/entities/entity.ts';
import { text } from '../../../schemas/entities/fields.ts';

const BASE = {
  connections: {},
  warehouse: { kind: 'duckdb', path: 'w.duckdb' },
};

function lines(more: Record<string, unknown>): string[] {
  const parsed = parseConfig({ ...BASE, ...more }, { file: 'f.ts', home: '/home', kinds: registeredKinds() });
  return parsed.ok ? [] : parsed.lines;
}

test('an empty part turns profiles on, with paths in the home', () => {
  const parsed = parseConfig(
    { ...BASE, profiles: {} },
    { file: 'f.ts', home: '/home', kinds: registeredKinds() },
  );
  expect(parsed).toMatchObject({ ok: true, config: { profiles: { path: '/home/claims.db', region: 'US' } } });
});

test.each([
  [{ profiles: { region: 'Germany' } }, 'region'],
  [{ profiles: { mappings: { 'crm.Contact': 'no' } } }, 'mapTo'],
  [{ profiles: { mappings: { Contact: 'off' } } }, '<connection>.<Object>'],
  [{ profiles: { mappings: { 'crm.Contact': 'off' } } }, 'names no connection'],
  [{ profiles: { writeBack: { contct: {} } } }, 'Did you mean contact?'],
  [{ profiles: { writeBack: { contact: { jobTitel: ['crm'] } } } }, 'Did you mean jobTitle?'],
  [{ profiles: { writeBack: { contact: { jobTitle: ['crm'] } } } }, 'names no connection'],
  [{ conflicts: { contct: defineConflicts({ profile: 'contct' }) } }, 'Did you mean contact?'],
  [
    {
      conflicts: {
        contact: defineConflicts({ profile: 'contact', fields: { emial: { prefer: [{ by: 'latest' }] } } }),
      },
    },
    'Did you mean email?',
  ],
])('a mistake is one line that says where and what: %j', (more, part) => {
  const found = lines(more);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(part);
  expect(found[0]).toMatch(/^f\.ts/);
});

test('an entity of the configuration needs no change of code', () => {
  const boat = defineEntity({
    name: 'boat',
    description: 'A boat.',
    shape: 'profile',
    fields: { name: text('Its name.') },
    identifiers: {},
  });
  const profiles = profilesSchema.parse({
    entities: [boat],
    mappings: { 'crm.Boat__c': mapTo(boat, { fields: { name: 'Name' } }), 'crm.Contact': 'off' },
  });
  expect(entitiesOf(profiles).get('boat')).toBe(boat);
  expect(entitiesOf(profiles).size).toBe(entities.size + 1);
  expect(rulesOf(profiles, {}).map(({ profile }) => profile)).toContain('boat');
  expect(mappingsOf(profiles, {}, 'crm', 'Boat__c')).toHaveLength(1);
  const ready = { Contact: [mapTo(contact, { fields: {} })], Lead: [mapTo(contact, { fields: {} })] };
  expect(mappingsOf(profiles, ready, 'crm', 'Contact')).toEqual([]);
  expect(mappingsOf(profiles, ready, 'crm', 'Lead')).toHaveLength(1);
});
