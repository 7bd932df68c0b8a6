import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { compileMapping } from '../../../mapping/compile.ts';
import { mapTo, type Mapping } from '../../../mapping/mapping.ts';
import { phoneNormaliser } from '../../../mapping/normalise.ts';
import { checked, isWritable, unmap } from '../../../mapping/unmap.ts';
import { contact } from '../../../schemas/entities/index.ts';
import type { EntityField } from '../../../schemas/entities/entity.ts';
import type { ClaimValue } from '../../../schemas/observation.ts';
import { mappings as hubspot } from '../../../sources/hubspot/mappings.ts';
import { mappings as salesforce } from '../../../sources/salesforce/mappings.ts';

const phone = phoneNormaliser('US');
const READY = [...Object.values(salesforce).flat(), ...Object.values(hubspot).flat()];

/** Values as people and programs give them. */
const GIVEN: Record<EntityField['column'], fc.Arbitrary<ClaimValue>> = {
  string: fc.oneof(
    fc.constantFrom('Ada@Example.org', '(415) 555-2671', 'www.example.org/x', 'Customer', 'toString'),
    fc.string(),
  ),
  boolean: fc.boolean(),
  integer: fc.integer(),
  decimal: fc.constantFrom('12.50', '0', '-3', '9007199254740993.07'),
  double: fc
    .double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })
    .map((value) => Number(value.toFixed(3))),
  date: fc.constantFrom('2026-11-21', '1999-01-01'),
  timestamp: fc.constantFrom('2026-11-21T08:00:00.000Z', '2026-11-21T08:00:00+00'),
  json: fc.array(fc.constantFrom('a', 'b', 'c d')),
};

/** What the mapping makes of a row that holds these values and nothing else. */
function mapped(mapping: Mapping, values: Record<string, unknown>, field: string) {
  const fields = Object.keys(values).map((name) => ({
    ...{ name, column: name, sourceType: '', nullable: true, calculated: false, custom: false },
    type: { kind: 'string' as const },
  }));
  const schema = { object: 'X', table: 'x', key: 'Id', stamp: null, deleted: null, hash: '', fields };
  const compiled = compileMapping(mapping, 'crm', schema, phone);
  const done = compiled.map(compiled.reads.map((name) => readBack(values[name])));
  return done.ok ? done.fields[field] : done;
}

/** Empty texts and nothing are the same in a CRM. */
function readBack(value: unknown) {
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  return typeof value === 'string' && value !== '' ? value : null;
}

describe('the way back', () => {
  const ways = READY.flatMap((mapping) =>
    Object.keys(mapping.fields)
      .filter((field) => isWritable(mapping, field))
      .map((field) => ({ name: `${mapping.entity.name}.${field}`, mapping, field })),
  );
  test('there are ways back for most fields', () => {
    expect(ways.length).toBeGreaterThan(150);
  });

  test('what a source is told to hold, its mapping makes the same value of', () => {
    for (const { name, mapping, field } of ways) {
      const about = mapping.entity.fields[field];
      const from = mapping.fields[field];
      if (about === undefined || (typeof from === 'object' && 'refersTo' in from)) continue;
      fc.assert(
        fc.property(GIVEN[about.column], (given) => {
          const value = checked(about, given, phone);
          fc.pre(value.ok && !(typeof value.value === 'string' && /^\s|\s$/.test(value.value)));
          const back = unmap(mapping, 'crm', field, value.ok ? value.value : null);
          expect(back).toMatchObject({ ok: true });
          const seen = back.ok ? mapped(mapping, back.values, field) : back;
          expect([name, isEmpty(seen) ? null : seen]).toEqual([
            name,
            value.ok && !isEmpty(value.value) ? value.value : seen,
          ]);
        }),
        { numRuns: 15 },
      );
    }
  });

  const isEmpty = (value: unknown) =>
    value === null || value === '' || (Array.isArray(value) && value.length === 0);

  test('choices go back to their names, references to ids of their system alone, what is made of several needs an undo', () => {
    const mapping = mapTo(contact, {
      fields: {
        lifecycleStage: { from: 'stage', values: { customer: 'Customer' } },
        owner: { from: 'OwnerId', refersTo: (id) => (id.startsWith('q') ? 'Queue' : 'User') },
        firstName: { from: ['a', 'b'], make: (a, b) => `${String(a)} ${String(b)}` },
        lastName: {
          from: ['c', 'd'],
          make: (c, d) => `${String(c)} ${String(d)}`,
          undo: (value) => (typeof value === 'string' ? value.split(' ') : []),
        },
        leadSource: { constant: 'web' },
        interests: 'topics',
      },
    });
    const back = (field: string, value: ClaimValue) => unmap(mapping, 'crm', field, value);
    expect(back('lifecycleStage', 'Customer')).toEqual({ ok: true, values: { stage: 'customer' } });
    expect(back('lifecycleStage', 'VIP')).toEqual({ ok: true, values: { stage: 'VIP' } });
    expect(back('owner', 'crm:User:005')).toEqual({ ok: true, values: { OwnerId: '005' } });
    expect(back('owner', 'crm:User:q1')).toMatchObject({ ok: false });
    expect(back('owner', 'other:User:005')).toMatchObject({ ok: false });
    expect(back('owner', null)).toEqual({ ok: true, values: { OwnerId: null } });
    expect(back('firstName', 'x y')).toMatchObject({ ok: false });
    expect(back('lastName', 'x y')).toEqual({ ok: true, values: { c: 'x', d: 'y' } });
    expect(back('lastName', 'x')).toMatchObject({ ok: false });
    expect(back('leadSource', 'web')).toMatchObject({ ok: false });
    expect(back('interests', ['a', 'b'])).toEqual({ ok: true, values: { topics: 'a;b' } });
    expect(back('email', 'x')).toMatchObject({ ok: false });
  });

  test('I5: what does not fit is refused without being repeated', () => {
    const email = contact.fields.email;
    expect(checked(email, ' Ada@Example.ORG ', phone)).toEqual({ ok: true, value: 'ada@example.org' });
    expect(checked(email, 'secret value', phone)).toEqual({ ok: false, reason: 'is not an e-mail address' });
    expect(checked(contact.fields.visits, 'many', phone)).toMatchObject({ ok: false });
    expect(checked(contact.fields.birthday, '', phone)).toEqual({ ok: true, value: null });
  });
});
