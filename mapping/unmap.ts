import type { EntityField } from '../schemas/entities/entity.ts';
import type { ClaimValue } from '../schemas/observation.ts';
import { converter } from './convert.ts';
import type { FieldSource, Mapping, SourceValue } from './mapping.ts';
import type { PhoneNormaliser } from './normalise.ts';

export type Unmapped =
  /** Fields by the source's names. */
  | { ok: true; values: Record<string, SourceValue> }
  /** In words that repeat no value (I5). */
  | { ok: false; reason: string };

/** Whether a mapping can be followed backwards for this field at all. */
export function isWritable(mapping: Mapping, field: string): boolean {
  const from = Object.hasOwn(mapping.fields, field) ? mapping.fields[field] : undefined;
  if (from === undefined) return false;
  return typeof from === 'string' || !('constant' in from || ('make' in from && from.undo === undefined));
}

/**
 * What the source has to hold so that the mapping makes this value of it. A translated choice goes back to its first name; what
 * the translation does not list stays as it is, as on the way here.
 */
export function unmap(mapping: Mapping, source: string, field: string, value: ClaimValue): Unmapped {
  const from = Object.hasOwn(mapping.fields, field) ? mapping.fields[field] : undefined;
  const about = mapping.entity.fields[field];
  if (from === undefined || about === undefined || !isWritable(mapping, field)) {
    return { ok: false, reason: 'nothing of this source makes it in a way that can be reversed' };
  }
  if (typeof from === 'string') return { ok: true, values: { [from]: plain(about, value) } };
  if ('make' in from) return undone(from, value);
  if ('refersTo' in from) return referred(from, source, value);
  if ('values' in from) {
    const [name] = Object.entries(from.values).find(([, translated]) => translated === value) ?? [];
    return { ok: true, values: { [from.from]: name ?? plain(about, value) } };
  }
  return { ok: false, reason: 'it is the same for every record' };
}

function undone(from: Extract<FieldSource, { make: unknown }>, value: ClaimValue): Unmapped {
  const given = from.undo?.(value) ?? [];
  if (given.length !== from.from.length) return { ok: false, reason: 'its mapping does not undo this value' };
  return { ok: true, values: Object.fromEntries(from.from.map((name, at) => [name, given[at] ?? null])) };
}

function referred(
  { from, refersTo }: Extract<FieldSource, { refersTo: unknown }>,
  source: string,
  value: ClaimValue,
): Unmapped {
  if (value === null || value === '') return { ok: true, values: { [from]: null } };
  const [, of, object, id] = /^([^:]+):([^:]+):(.+)$/.exec(typeof value === 'string' ? value : '') ?? [];
  if (id === undefined || of !== source)
    return { ok: false, reason: 'it refers to a record of another system' };
  const expected = typeof refersTo === 'string' ? refersTo : refersTo(id);
  if (object !== expected) return { ok: false, reason: `it does not refer to a ${expected}` };
  return { ok: true, values: { [from]: id } };
}

/** Lists are one text with semicolons in CRMs. */
function plain({ column }: EntityField, value: ClaimValue): SourceValue {
  if (value === null) return null;
  if (column === 'json' && Array.isArray(value)) return value.map(textOf).join(';');
  return typeof value === 'object' ? JSON.stringify(value) : value;
}

const textOf = (value: ClaimValue) => (typeof value === 'string' ? value : JSON.stringify(value));

export type Checked = { ok: true; value: ClaimValue } | { ok: false; reason: string };

/** A value as somebody gives it, in the form that the entity keeps; null empties the field. */
export function checked(field: EntityField, given: ClaimValue, phone: PhoneNormaliser): Checked {
  if (given === null) return { ok: true, value: null };
  // A list comes back from a CRM as one text, without order and repetition.
  const value = converter(field, phone)(Array.isArray(given) ? given.map(textOf).join(';') : given);
  if (value === null || value === '') return { ok: true, value: null };
  const parsed = field.value.safeParse(value);
  if (parsed.success) return { ok: true, value };
  return { ok: false, reason: parsed.error.issues[0]?.message ?? 'does not fit its schema' };
}
