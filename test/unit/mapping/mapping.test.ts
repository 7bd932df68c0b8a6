import { describe, expect, test } from '@jest/globals';
import { compileMapping } from '../../../mapping/compile.ts';
import { mapTo, type Mapping } from '../../../mapping/mapping.ts';
import { normaliseDomain, normaliseEmail, phoneNormaliser } from '../../../mapping/normalise.ts';
import { contact, entities, product } from '../../../schemas/entities/index.ts';
import type { ObjectSchema } from '../../../schemas/object-schema.ts';
import { sources } from '../../../sources/registry.ts';

const phone = phoneNormaliser('US');

function schemaOf(object: string, names: string[]): ObjectSchema {
  return {
    object,
    table: object.toLowerCase(),
    key: 'Id',
    stamp: 'SystemModstamp',
    deleted: null,
    fields: names.map((name) => ({
      name,
      column: name.toLowerCase(),
      type: { kind: 'string' },
      sourceType: 'string',
      nullable: true,
      calculated: false,
      custom: false,
    })),
    hash: 'h',
  };
}

function mapped(mapping: Mapping, row: Record<string, string | number | boolean | null>) {
  const compiled = compileMapping(mapping, 'crm', schemaOf('Contact', Object.keys(row)), phone);
  return { compiled, result: compiled.map(compiled.reads.map((name) => row[name] ?? null)) };
}

describe('mapping', () => {
  test('a mapping that was used has the hash of before: no record is observed again for nothing', () => {
    for (const [kind, { mappings = {} }] of Object.entries(sources)) {
      for (const [object, ready] of Object.entries(mappings)) {
        for (const one of ready) {
          const compiled = () => compileMapping(one, kind, schemaOf(object, ['Id', 'Email', 'email']), phone);
          const before = compiled();
          for (const { value } of Object.values(one.entity.fields)) value.safeParse('text');
          before.map(before.reads.map(() => '2001-02-03'));
          expect([object, compiled().hash]).toEqual([object, before.hash]);
        }
      }
    }
  });

  test('writes equal facts alike and finds identifiers', () => {
    const { result } = mapped(
      mapTo(contact, {
        fields: {
          email: 'Mail',
          phone: 'Tel',
          lifetimeValue: 'Value',
          interests: 'Topics',
          account: { from: 'Company', refersTo: 'Account' },
          firstName: { from: ['Name'], make: (name) => String(name).split(' ')[0] },
        },
      }),
      {
        Mail: ' Ann@Example.COM ',
        Tel: '(212) 736-5000',
        Value: '0012.500',
        Topics: 'Music;Chess;Music',
        Company: '001x',
        Name: 'Ann Bell',
      },
    );
    expect(result).toMatchObject({
      ok: true,
      fields: {
        email: 'ann@example.com',
        phone: '+12127365000',
        lifetimeValue: '12.5',
        interests: ['Chess', 'Music'],
        account: 'crm:Account:001x',
        firstName: 'Ann',
      },
      identifiers: [
        { kind: 'email', value: 'ann@example.com' },
        { kind: 'phone', value: '+12127365000' },
      ],
    });
  });

  test('a field that the source lacks makes no claim, one that is empty claims null', () => {
    const { compiled, result } = mapped(
      mapTo(contact, { fields: { email: 'Mail', firstName: 'Missing', lastName: 'Last' } }),
      { Mail: null, Last: 'Bell' },
    );
    expect(compiled.absent).toEqual(['Missing']);
    expect(result).toMatchObject({ ok: true, fields: { email: null, lastName: 'Bell' } });
    expect(result).not.toHaveProperty('fields.firstName');
  });

  test('what does not fit names field and reason, never the value', () => {
    const { result } = mapped(mapTo(contact, { fields: { email: 'Mail' } }), { Mail: 'nobody knows' });
    expect(result).toEqual({ ok: false, field: 'email', reason: 'is not an e-mail address' });
  });

  test('a changed function is a changed mapping', () => {
    const hash = (make: () => string) =>
      mapped(mapTo(product, { fields: { name: { from: ['A'], make } } }), { A: 'x' }).compiled.hash;
    expect(hash(() => 'one')).not.toBe(hash(() => 'two'));
    expect(hash(() => 'one')).toBe(hash(() => 'one'));
  });

  test.each(
    Object.entries(sources).flatMap(([kind, { mappings }]) =>
      Object.entries(mappings ?? {}).flatMap(([object, list]) =>
        list.map((mapping): [string, Mapping] => [`${kind}.${object} → ${mapping.entity.name}`, mapping]),
      ),
    ),
  )('%s names fields of its entity', (_name, mapping) => {
    const { fields } = entities.get(mapping.entity.name) ?? { fields: {} };
    expect(Object.keys(mapping.fields).filter((name) => !(name in fields))).toEqual([]);
  });
});

describe('normalisation', () => {
  test.each([
    ['Ann.Bell+x@Example.com', 'ann.bell+x@example.com'],
    ['ｆｕｌｌ@example.com', 'full@example.com'],
    ['n/a', null],
    ['a@', null],
  ])('e-mail %s', (given, expected) => expect(normaliseEmail(given)).toBe(expected));

  test.each([
    ['+49 30 901820', '+4930901820'],
    ['212-736-5000 ext. 12', '+12127365000'],
    ['0000000', null],
    ['555-0100', null],
    ['-1', null],
  ])('phone %s', (given, expected) => expect(phone(given)).toBe(expected));

  test.each([
    ['https://www.Example.com/about?x', 'example.com'],
    ['example.co.uk', 'example.co.uk'],
    ['nothing', null],
  ])('domain %s', (given, expected) => expect(normaliseDomain(given)).toBe(expected));
});
