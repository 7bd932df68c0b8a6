import type { Field, FieldType, ObjectSchema } from '../schemas/object-schema.ts';

/** Digits that a decimal can hold in every warehouse. */
export const DECIMAL_DIGITS_MAX = 38;

/** What the values of a decimal field need beyond what the source described. */
export interface Misfit {
  field: string;
  /** Digits before and after the point. */
  integerDigits: number;
  scale: number;
}

/**
 * Sources describe how a number is entered, not what is stored: an API may have written more digits after the point. The
 * column then gets as wide as its values, so that none is rounded and none is set aside. Fields that would need more than 38
 * digits stay as they are.
 */
export function widen(schema: ObjectSchema, misfits: readonly Misfit[]): ObjectSchema {
  const needs = new Map(misfits.map((misfit) => [misfit.field, misfit]));
  return withFields(schema, (field) => {
    const need = needs.get(field.name);
    if (need === undefined || field.type.kind !== 'decimal') return field.type;
    return wider(field.type, {
      kind: 'decimal',
      precision: need.integerDigits + need.scale,
      scale: need.scale,
    });
  });
}

/** A field that was widened once stays so: the next describe tells the same narrow type again. */
export function keepWidened(described: ObjectSchema, known: ObjectSchema | undefined): ObjectSchema {
  const before = new Map(known?.fields.map((field) => [field.name, field.type]));
  return withFields(described, (field) => {
    const type = before.get(field.name);
    return field.type.kind === 'decimal' && type?.kind === 'decimal' ? wider(field.type, type) : field.type;
  });
}

type Decimal = Extract<FieldType, { kind: 'decimal' }>;

/** Holds all values of both; the first where no decimal can. */
function wider(first: Decimal, second: Decimal): Decimal {
  const scale = Math.max(first.scale, second.scale);
  const integerDigits = Math.max(first.precision - first.scale, second.precision - second.scale);
  if (integerDigits + scale > DECIMAL_DIGITS_MAX) return first;
  return { kind: 'decimal', precision: integerDigits + scale, scale };
}

/** Equal schemas keep equal hashes; a widened one says in its hash by what. */
function withFields(schema: ObjectSchema, typeOf: (field: Field) => FieldType): ObjectSchema {
  const changes: string[] = [];
  const fields = schema.fields.map((field) => {
    const type = typeOf(field);
    if (type === field.type || type.kind !== 'decimal' || field.type.kind !== 'decimal') return field;
    if (type.precision === field.type.precision && type.scale === field.type.scale) return field;
    changes.push(`${field.column}:${type.precision},${type.scale}`);
    return { ...field, type };
  });
  return changes.length === 0 ? schema : { ...schema, fields, hash: `${schema.hash}+${changes.join('+')}` };
}
