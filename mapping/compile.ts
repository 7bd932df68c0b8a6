import { createHash } from 'node:crypto';
import type { Entity, EntityField } from '../schemas/entities/entity.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { ClaimValue, Identifier } from '../schemas/observation.ts';
import { converter, type Convert } from './convert.ts';
import type { FieldSource, Mapping, SourceValue } from './mapping.ts';
import type { PhoneNormaliser } from './normalise.ts';

export type Mapped =
  | {
      ok: true;
      fields: Record<string, ClaimValue>;
      identifiers: Identifier[];
      mergedInto: string | undefined;
      mergedFrom: string[] | undefined;
    }
  /** `reason` says what is wrong with the value without repeating it (I5). */
  | { ok: false; field: string; reason: string };

export interface CompiledMapping {
  entity: Entity;
  /** Object name in record references: `Contact`, or `Contact/consent` for a second mapping of one object. */
  object: string;
  /** Source fields that are read, in the order that `map` takes their values. */
  reads: readonly string[];
  /** Fields of the mapping that the source does not have (or hides): they make no claim. */
  absent: readonly string[];
  /** Changes when the mapping does: records are then observed again. */
  hash: string;
  map(values: readonly SourceValue[]): Mapped;
}

interface Step {
  target: string;
  field: EntityField;
  convert: Convert;
  inputs: readonly number[];
  read: (values: readonly SourceValue[]) => ClaimValue | undefined;
}

/** Fits a mapping to what the source really has. Throws nothing: what is absent is named and makes no claim. */
export function compileMapping(
  mapping: Mapping,
  source: string,
  schema: ObjectSchema,
  phone: PhoneNormaliser,
): CompiledMapping {
  const known = new Set(schema.fields.map(({ name }) => name));
  const reads: string[] = [];
  const position = (name: string): number => {
    const at = reads.indexOf(name);
    return at === -1 ? reads.push(name) - 1 : at;
  };
  const absent: string[] = [];
  const steps: Step[] = [];
  for (const [target, from] of Object.entries(mapping.fields)) {
    const field = mapping.entity.fields[target];
    if (field === undefined) continue;
    const missing = inputsOf(from).filter((name) => !known.has(name));
    if (missing.length > 0) absent.push(...missing);
    else steps.push(step(target, field, from, source, position, phone));
  }
  const optional = (name: string | undefined) =>
    name === undefined || !known.has(name) ? undefined : position(name);
  const mergedInto = optional(mapping.mergedInto);
  const mergedFrom = optional(mapping.mergedFrom);
  const identifierKinds = Object.entries(mapping.entity.identifiers);
  return {
    entity: mapping.entity,
    object: mapping.part === '' ? schema.object : `${schema.object}/${mapping.part}`,
    reads,
    absent: [...new Set(absent)],
    hash: hashOf(mapping, absent),
    map(values) {
      const fields: Record<string, ClaimValue> = {};
      for (const { target, field, convert, read } of steps) {
        const given = read(values);
        if (given === undefined) continue;
        const value = convert(given);
        if (value !== null && value !== '') {
          const parsed = field.value.safeParse(value);
          if (!parsed.success) return { ok: false, field: target, reason: reasonOf(parsed.error) };
        }
        fields[target] = value;
      }
      return {
        ok: true,
        fields,
        identifiers: identifiersOf(mapping.entity, identifierKinds, fields),
        mergedInto: textAt(values, mergedInto),
        mergedFrom: textAt(values, mergedFrom)?.split(';').filter(Boolean),
      };
    },
  };
}

function inputsOf(from: FieldSource): readonly string[] {
  if (typeof from === 'string') return [from];
  if ('constant' in from) return [];
  return typeof from.from === 'string' ? [from.from] : from.from;
}

function step(
  target: string,
  field: EntityField,
  from: FieldSource,
  source: string,
  position: (name: string) => number,
  phone: PhoneNormaliser,
): Step {
  const inputs = inputsOf(from).map(position);
  const convert = converter(field, phone);
  return { target, field, convert, inputs, read: reader(from, inputs, source) };
}

function reader(from: FieldSource, inputs: readonly number[], source: string): Step['read'] {
  const [first = 0] = inputs;
  if (typeof from === 'string') return (values) => values[first] ?? null;
  if ('constant' in from) return () => from.constant;
  if ('make' in from) return (values) => from.make(...inputs.map((at) => values[at] ?? null));
  if ('refersTo' in from) {
    return (values) => {
      const id = String(values[first] ?? '');
      if (id === '') return null;
      return `${source}:${typeof from.refersTo === 'string' ? from.refersTo : from.refersTo(id)}:${id}`;
    };
  }
  return (values) => {
    const value = values[first] ?? null;
    // A choice may be called `constructor`.
    const translated = Object.hasOwn(from.values, String(value)) ? from.values[String(value)] : undefined;
    return translated === undefined ? value : translated;
  };
}

/** Values of identifiers are compared exactly, so only normalised ones find anybody. */
function identifiersOf(
  entity: Entity,
  kinds: readonly [string, string | undefined][],
  fields: Record<string, ClaimValue>,
): Identifier[] {
  const found: Identifier[] = [];
  for (const [name, kind] of kinds) {
    const value = fields[name];
    if (kind === undefined || typeof value !== 'string' || value === '') continue;
    // A number that is not valid in its region stays a value, but it is no identifier.
    if (entity.fields[name]?.normal === 'phone' && !value.startsWith('+')) continue;
    found.push({ kind, value, field: name });
  }
  return found;
}

function textAt(values: readonly SourceValue[], at: number | undefined): string | undefined {
  const value = at === undefined ? null : (values[at] ?? null);
  return value === null || value === '' ? undefined : String(value);
}

/** The first line of what the schema says; zod's own texts name types, never values. */
function reasonOf(error: { issues: { message: string }[] }): string {
  return error.issues[0]?.message ?? 'does not fit its schema';
}

/** Functions by their text: a changed function is a changed mapping, whether or not anybody says so. */
function hashOf(mapping: Mapping, absent: readonly string[]): string {
  const text = JSON.stringify([mapping, absent], (_key, value: unknown) => {
    if (typeof value === 'function') return String(value);
    // A zod schema keeps what it has computed beside its definition, so its text changes with its first use.
    return typeof value === 'object' && value !== null && '_zod' in value ? 'schema' : value;
  });
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
