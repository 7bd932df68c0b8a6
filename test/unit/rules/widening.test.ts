import { expect, test } from '@jest/globals';
import { assert, integer, property } from 'fast-check';
import { keepWidened, widen } from '../../../rules/widening.ts';
import type { FieldType, ObjectSchema } from '../../../schemas/object-schema.ts';

function schemaOf(type: FieldType): ObjectSchema {
  const field = {
    name: 'A',
    column: 'a',
    type,
    sourceType: 'x',
    nullable: true,
    calculated: false,
    custom: false,
  };
  return { object: 'O', table: 'o', key: 'Id', stamp: null, deleted: null, fields: [field], hash: 'h' };
}
const decimal = (precision: number, scale: number): FieldType => ({ kind: 'decimal', precision, scale });
const typeOf = (schema: ObjectSchema) => schema.fields[0]?.type;

test.each([
  [decimal(18, 2), { integerDigits: 1, scale: 5 }, decimal(21, 5)],
  [decimal(4, 2), { integerDigits: 9, scale: 1 }, decimal(11, 2)],
  [decimal(18, 2), { integerDigits: 3, scale: 1 }, decimal(18, 2)],
  [decimal(30, 2), { integerDigits: 10, scale: 20 }, decimal(30, 2)],
  [{ kind: 'string' } as const, { integerDigits: 10, scale: 20 }, { kind: 'string' }],
])('%j with %j becomes %j', (type, need, wanted) => {
  expect(typeOf(widen(schemaOf(type), [{ field: 'A', ...need }]))).toEqual(wanted);
});

test('an unchanged schema keeps its hash, a widened one does not', () => {
  const schema = schemaOf(decimal(18, 2));
  expect(widen(schema, [])).toBe(schema);
  expect(widen(schema, [{ field: 'A', integerDigits: 1, scale: 1 }]).hash).toBe('h');
  expect(widen(schema, [{ field: 'A', integerDigits: 1, scale: 3 }]).hash).not.toBe('h');
});

test('law: widening keeps room for what fitted before, is idempotent, and outlasts the next describe', () => {
  const digits = integer({ min: 1, max: 12 });
  assert(
    property(digits, digits, digits, digits, (integers, scale, needIntegers, needScale) => {
      const described = schemaOf(decimal(integers + scale, scale));
      const need = [{ field: 'A', integerDigits: needIntegers, scale: needScale }];
      const wider = widen(described, need);
      const type = typeOf(wider);
      if (type?.kind !== 'decimal') throw new Error('a decimal stays one');
      expect(type.scale).toBe(Math.max(scale, needScale));
      expect(type.precision - type.scale).toBe(Math.max(integers, needIntegers));
      expect(widen(wider, need)).toBe(wider);
      expect(typeOf(keepWidened(described, wider))).toEqual(type);
    }),
  );
});
