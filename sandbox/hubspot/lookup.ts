/** Finding a record by its id or by a unique property, and checking values before they are written. */
import { conflict, invalid } from './hub-error.ts';
import { optionalText, type Json } from './body.ts';
import type { PropertySpec, Value } from './property.ts';
import { indexOfEntry, isArchived, isLive, type Entry, type Table } from './table.ts';

/** The record behind an id, or the one that it was merged into. */
export function byIdOrProperty(
  table: Table,
  id: string,
  idProperty: string | undefined,
  archived: boolean,
): Entry | undefined {
  const isWanted = archived ? isArchived : isLive;
  if (idProperty === undefined || idProperty === 'hs_object_id') {
    const index = table.indexOf(id);
    const entry = index === undefined ? undefined : table.resolved(index);
    return entry !== undefined && isWanted(entry) ? entry : undefined;
  }
  const spec = table.property(idProperty);
  if (spec === undefined || !spec.hasUniqueValue)
    throw invalid(`${idProperty} is not a unique property of ${table.name}.`);
  return byUnique(table, spec, id, isWanted);
}

/** Generated unique values hold a number that leads to their row, so that a base row is found without a scan. */
function byUnique(
  table: Table,
  spec: PropertySpec,
  value: string,
  isWanted: (entry: Entry) => boolean,
): Entry | undefined {
  const read = table.reader(spec.name);
  const wanted = value.toLowerCase();
  const isMatch = (entry: Entry | undefined): entry is Entry =>
    entry !== undefined && isWanted(entry) && read(entry)?.toLowerCase() === wanted;
  const changed = table.changedWith(wanted);
  const entry = changed === undefined ? undefined : table.entry(changed);
  if (isMatch(entry)) return entry;
  const number = /(\d+)(?:@.*)?$/.exec(wanted)?.[1];
  if (number === undefined) return undefined;
  for (const index of table.candidates(Number(number))) {
    const candidate = table.entry(index);
    if (isMatch(candidate)) return candidate;
  }
  return undefined;
}

export function refuseDouble(
  table: Table,
  values: Readonly<Record<string, Value>>,
  self: number | undefined,
): void {
  for (const spec of table.properties()) {
    const value = spec.hasUniqueValue ? (values[spec.name] ?? null) : null;
    if (value === null || value === '') continue;
    const other = byUnique(table, spec, value, isLive);
    if (other === undefined || indexOfEntry(other) === self) continue;
    const { singular } = table.spec.labels;
    throw conflict(`${singular} already exists. Existing ID: ${table.idOf(indexOfEntry(other))}`);
  }
}

/** The values as they are kept. Unknown properties, read-only ones and values of another type are refused together. */
export function checkedValues(table: Table, given: Json): Record<string, Value> {
  const values: Record<string, Value> = {};
  const errors: { readonly name: string; readonly error: string; readonly message: string }[] = [];
  for (const [name, value] of Object.entries(given)) {
    const spec = table.property(name);
    const text = optionalText(value, name) ?? null;
    if (spec === undefined) {
      errors.push({ name, error: 'PROPERTY_DOESNT_EXIST', message: `Property "${name}" does not exist` });
    } else if (spec.readOnly) {
      errors.push({ name, error: 'READ_ONLY_VALUE', message: `"${name}" is a read only property` });
    } else if (!isValid(spec, text)) {
      errors.push({
        name,
        error: `INVALID_${spec.type.toUpperCase()}`,
        message: `${name} was not a valid ${spec.type}.`,
      });
    } else values[spec.name] = text === '' ? null : kept(spec, text);
  }
  if (errors.length > 0) {
    const details = errors.map(({ name, error, message }) => ({
      message,
      code: error,
      context: { propertyName: [name] },
    }));
    throw invalid(`Property values were not valid: ${JSON.stringify(errors)}`, { errors: details });
  }
  return values;
}

function isValid(spec: PropertySpec, text: string | null): boolean {
  if (text === null || text === '') return true;
  if (spec.type === 'number') return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text);
  if (spec.type === 'bool') return text === 'true' || text === 'false';
  if (spec.type === 'datetime' || spec.type === 'date')
    return /^-?\d+$/.test(text) || !Number.isNaN(Date.parse(text));
  if (spec.type !== 'enumeration' || spec.options.length === 0) return true;
  return text.split(';').every((part) => part === '' || spec.options.some(({ value }) => value === part));
}

/** E-mails of contacts are kept in lower case when they are written through the API, times as ISO 8601. */
function kept(spec: PropertySpec, text: string | null): Value {
  if (text === null) return null;
  if (spec.name === 'email') return text.toLowerCase();
  if (spec.type !== 'datetime' && spec.type !== 'date') return text;
  const iso = new Date(/^-?\d+$/.test(text) ? Number(text) : Date.parse(text)).toISOString();
  return spec.type === 'date' ? iso.slice(0, 10) : iso;
}
