/** Single records over REST: read, create, edit, delete, and upsert by external id. */
import { ApiError, invalidField, notFound } from './api-error.ts';
import { wholeSecond } from '../clock.ts';
import type { Exchange } from '../exchange.ts';
import { NUMBER_TYPES, type FieldSpec } from './fields.ts';
import type { Value } from './makers.ts';
import type { Behaviour, Org } from './org.ts';
import { jsonRow } from './render.ts';
import { indexOfEntry, type Entry, type Table } from './table.ts';

const JSON_TYPE = 'application/json;charset=UTF-8';
const VERSION = '66.0';
const DIGITS_EXACT = Number.MAX_SAFE_INTEGER;

export async function answerCreate(exchange: Exchange, org: Org, table: Table): Promise<void> {
  if (!table.spec.flags.createable)
    throw new ApiError(405, 'METHOD_NOT_ALLOWED', "HTTP Method 'POST' not allowed");
  const values = await valuesOf(exchange, table, 'createable');
  for (const spec of table.fields()) {
    const needed = !spec.nillable && spec.createable && spec.type !== 'boolean' && spec.name !== 'OwnerId';
    if (needed && (values[spec.name] ?? null) === null) {
      throw new ApiError(400, 'REQUIRED_FIELD_MISSING', `Required fields are missing: [${spec.name}]`);
    }
  }
  const id = asCaller(exchange, org, () => org.data.create(table.name, values));
  await exchange.sendJson(201, { id, success: true, errors: [] });
}

export async function answerRecord(
  exchange: Exchange,
  org: Org,
  table: Table,
  id: string,
  version: string,
): Promise<void> {
  org.store.settle();
  const entry = liveEntry(table, id);
  const index = indexOfEntry(entry);
  if (exchange.method === 'GET' || exchange.method === 'HEAD') {
    const stamp = wholeSecond(table.stampOf(entry));
    exchange.setHeader('last-modified', new Date(stamp).toUTCString());
    const columns = columnsFor(exchange, table);
    const readers = columns.map((spec) => table.reader(spec.name));
    await exchange.sendText(200, JSON_TYPE, jsonRow({ table, columns, readers }, version)(entry));
  } else if (exchange.method === 'PATCH') {
    if (!table.spec.flags.updateable)
      throw new ApiError(405, 'METHOD_NOT_ALLOWED', "HTTP Method 'PATCH' not allowed");
    refuseIfModified(exchange, table, entry);
    const values = await valuesOf(exchange, table, 'updateable');
    refuseByRule(table, values, org.behaviour.validations);
    const saved = triggered(table, values, org.behaviour.triggers);
    asCaller(exchange, org, () => org.data.update(table.name, index, saved));
    await exchange.sendNothing(204);
  } else if (exchange.method === 'DELETE') {
    if (!table.spec.flags.deletable)
      throw new ApiError(405, 'METHOD_NOT_ALLOWED', "HTTP Method 'DELETE' not allowed");
    refuseIfModified(exchange, table, entry);
    asCaller(exchange, org, () => org.data.delete(table.name, index));
    await exchange.sendNothing(204);
  } else
    throw new ApiError(
      405,
      'METHOD_NOT_ALLOWED',
      `HTTP Method '${exchange.method}' not allowed. Allowed are HEAD,GET,PATCH,DELETE`,
    );
}

export async function answerExternal(
  exchange: Exchange,
  org: Org,
  table: Table,
  name: string,
  value: string,
  version: string,
): Promise<void> {
  const spec = table.fieldNamed(name);
  if (spec === undefined || !(spec.externalId || spec.name === 'Id'))
    throw notFound(`Provided external ID field does not exist or is not accessible: ${name}`);
  org.store.settle();
  const found = byExternalId(table, spec, value);
  if (exchange.method !== 'PATCH') {
    if (found === undefined) throw notFound();
    await answerRecord(exchange, org, table, table.idOf(indexOfEntry(found)), version);
    return;
  }
  const values = await valuesOf(exchange, table, found === undefined ? 'createable' : 'updateable');
  if (found === undefined) {
    const whole = { ...values, [spec.name]: value };
    const id = asCaller(exchange, org, () => org.data.create(table.name, whole));
    await exchange.sendJson(201, { id, success: true, errors: [], created: true });
    return;
  }
  const index = indexOfEntry(found);
  asCaller(exchange, org, () => org.data.update(table.name, index, values));
  await exchange.sendJson(200, { id: table.idOf(index), success: true, errors: [], created: false });
}

/** Change events name the API and, where it says so itself, the client. */
function asCaller<T>(exchange: Exchange, org: Org, work: () => T): T {
  const client = /\bclient=([^,]+)/.exec(exchange.header('sforce-call-options') ?? '')?.[1] ?? '';
  org.store.origin = `com/salesforce/api/rest/${VERSION};client=${client}`;
  try {
    return work();
  } finally {
    org.store.origin = '';
  }
}

/** Generated external ids hold their row's index, so a base row is found without a scan. */
function byExternalId(table: Table, spec: FieldSpec, value: string): Entry | undefined {
  const read = table.reader(spec.name);
  const isMatch = (entry: Entry | undefined): boolean =>
    entry !== undefined && !isDeleted(entry) && read(entry)?.toLowerCase() === value.toLowerCase();
  const guess = /^\w{3}-(\d{9})$/.exec(value)?.[1];
  const direct = guess === undefined ? undefined : table.entry(Number(guess));
  if (direct !== undefined && isMatch(direct)) return direct;
  for (const row of table.overlay.values()) if (isMatch(row)) return row;
  return undefined;
}

const isDeleted = (entry: Entry): boolean => typeof entry !== 'number' && entry.deletedAt !== null;

function liveEntry(table: Table, id: string): Entry {
  const index = table.indexOf(id);
  const entry = index === undefined ? undefined : table.entry(index);
  if (entry === undefined) throw notFound('Provided external ID field does not exist or is not accessible');
  if (isDeleted(entry)) throw new ApiError(404, 'ENTITY_IS_DELETED', 'entity is deleted');
  return entry;
}

function columnsFor(exchange: Exchange, table: Table): readonly FieldSpec[] {
  const asked = exchange.params.get('fields');
  if (asked === null) return table.fields();
  return asked.split(',').map((name) => {
    const spec = table.fieldNamed(name.trim());
    if (spec === undefined) throw invalidField(`No such column '${name}' on sobject of type ${table.name}`);
    return spec;
  });
}

/** Salesforce compares whole seconds, so two edits within one second cannot be told apart. */
function refuseIfModified(exchange: Exchange, table: Table, entry: Entry): void {
  const header = exchange.header('if-unmodified-since');
  if (header === undefined) return;
  const since = Date.parse(header);
  if (!Number.isNaN(since) && wholeSecond(table.stampOf(entry)) > since) {
    throw new ApiError(412, 'PRECONDITION_FAILED', 'The entity has been modified since the given time');
  }
}

/** Validation rules of the org: a value that does not match is refused with the rule's own words. */
function refuseByRule(table: Table, values: Record<string, Value>, rules: Behaviour['validations']): void {
  for (const { object, field, matches, message } of rules) {
    const value = object === table.name ? (values[field] ?? null) : null;
    if (value === null || new RegExp(matches).test(value)) continue;
    throw new ApiError(400, 'FIELD_CUSTOM_VALIDATION_EXCEPTION', message, {}, [field]);
  }
}

/** What a trigger of the org makes of a value before it is kept. */
function triggered(
  table: Table,
  values: Record<string, Value>,
  triggers: Behaviour['triggers'],
): Record<string, Value> {
  const kept = { ...values };
  for (const { object, field, to } of triggers) {
    const value = object === table.name ? (kept[field] ?? null) : null;
    if (value !== null) kept[field] = to === 'upper' ? value.toUpperCase() : value.toLowerCase();
  }
  return kept;
}

async function valuesOf(
  exchange: Exchange,
  table: Table,
  right: 'createable' | 'updateable',
): Promise<Record<string, Value>> {
  const values: Record<string, Value> = {};
  for (const [name, value] of Object.entries(await exchange.json())) {
    if (name === 'attributes') continue;
    const spec = table.fieldNamed(name);
    if (spec === undefined) throw invalidField(`No such column '${name}' on sobject of type ${table.name}`);
    if (!spec[right]) {
      const verb = right === 'createable' ? 'create' : 'update';
      throw new ApiError(
        400,
        'INVALID_FIELD_FOR_INSERT_UPDATE',
        `Unable to create/update fields: ${spec.name}. Please check the security settings of this field and verify that it is read/write for your profile or permission set (${verb}).`,
        {},
        [spec.name],
      );
    }
    values[spec.name] = storedValue(spec, value);
  }
  return values;
}

function storedValue(spec: FieldSpec, value: unknown): Value {
  if (value === null || value === '') return null;
  const wrong = new ApiError(
    400,
    'JSON_PARSER_ERROR',
    `Cannot deserialize a value for field ${spec.name} of type ${spec.type}`,
  );
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') throw wrong;
  const written = String(value);
  if (NUMBER_TYPES.has(spec.type)) {
    if (typeof value === 'boolean' || written.trim() === '' || Number.isNaN(Number(written))) throw wrong;
    if (typeof value === 'number' && Math.abs(value) > DIGITS_EXACT)
      return BigInt(Math.trunc(value)).toString();
    return written;
  }
  if (spec.type === 'boolean') {
    if (written !== 'true' && written !== 'false') throw wrong;
    return written;
  }
  if (spec.type === 'datetime') {
    const ms = Date.parse(written.replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
    if (Number.isNaN(ms)) throw wrong;
    return new Date(wholeSecond(ms)).toISOString();
  }
  if (spec.type === 'date') {
    if (!/^\d{4}-\d{2}-\d{2}/.test(written)) throw wrong;
    return written.slice(0, 10);
  }
  if (spec.length > 0 && written.length > spec.length) {
    throw new ApiError(
      400,
      'STRING_TOO_LONG',
      `${spec.label}: data value too large (max length=${spec.length})`,
    );
  }
  return written;
}
