/** Records one by one: list, read, create, update, archive, merge, erase. */
import { isObject, listOf, objectOf, optionalText, textOf, type Json } from './body.ts';
import type { Exchange } from '../exchange.ts';
import { oldTypeName } from './associations-api.ts';
import { byIdOrProperty, checkedValues, refuseDouble } from './lookup.ts';
import type { Hub } from './hub.ts';
import { HubError, invalid, notFound } from './hub-error.ts';
import type { Value } from './property.ts';
import { recordWriter, wantedProperties, type RecordWriter } from './render.ts';
import { ID_STEP, isArchived, isLive, indexOfEntry, type Entry, type Table } from './table.ts';

const ARCHIVE_MS = 90 * 86_400_000;
const LIST_LIMIT_DEFAULT = 10;
const LIST_LIMIT_MAX = 100;
const LIST_LIMIT_WITH_HISTORY_MAX = 50;

/** Query parameters that are lists come as one text with commas or as several of the same name. */
const listParam = (exchange: Exchange, name: string): readonly string[] =>
  exchange.params.getAll(name).flatMap((text) => text.split(',').filter((part) => part !== ''));

function writerFor(exchange: Exchange, hub: Hub, table: Table): RecordWriter {
  const history = listParam(exchange, 'propertiesWithHistory');
  const write = recordWriter({
    table,
    properties: wantedProperties(table, [...listParam(exchange, 'properties'), ...history]),
    withHistory: history.filter((name) => table.property(name) !== undefined),
  });
  const others = listParam(exchange, 'associations').map((name) => {
    const other = hub.store.find(name, hub.portalId);
    if (other === undefined) throw invalid(`Unable to infer object type from: ${name}`);
    return other;
  });
  if (others.length === 0) return write;
  return (entry) => ({ ...write(entry), ...associationsOf(hub, table, entry, others) });
}

/** The short form in which lists and reads show associations: by type's plural name, ids with the type's name. */
function associationsOf(hub: Hub, table: Table, entry: Entry, others: readonly Table[]): Json {
  const found = others.flatMap((other) => {
    const linked = hub.store.associations.of(table.name, indexOfEntry(entry), other.name);
    if (linked.length === 0) return [];
    const results = linked.flatMap(({ index, types }) =>
      types.map((one) => ({ id: other.idOf(index), type: oldTypeName(hub, table, other, one) })),
    );
    return [[other.name.replaceAll('_', ' '), { results }] as const];
  });
  return found.length === 0 ? {} : { associations: Object.fromEntries(found) };
}

export async function answerObjects(exchange: Exchange, hub: Hub, table: Table): Promise<void> {
  if (exchange.method === 'POST') {
    const body = await exchange.json();
    const id = createOne(hub, table, body);
    const entry = table.entry(table.indexOf(id)!)!;
    await exchange.sendJson(201, createdAnswer(table, body, entry));
  } else if (exchange.method === 'GET') await answerList(exchange, hub, table);
  else throw new HubError(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
}

export function createdAnswer(table: Table, body: Json, entry: Entry): Json {
  const names = Object.keys(isObject(body['properties']) ? body['properties'] : {});
  return recordWriter({ table, properties: wantedProperties(table, names), withHistory: [] })(entry);
}

/** Creates a record with its associations; returns its id. */
export function createOne(hub: Hub, table: Table, body: Json): string {
  const values = checkedValues(table, objectOf(body['properties'] ?? {}, 'properties'));
  refuseDouble(table, values, undefined);
  const links = listOf(body['associations'], 'associations').map((one) => {
    const given = objectOf(one, 'associations');
    const to = textOf(objectOf(given['to'], 'to')['id'], 'to.id');
    const ids = listOf(given['types'], 'types').map((type) =>
      Number(objectOf(type, 'types')['associationTypeId']),
    );
    const other = hub.store.tables.find((candidate) =>
      hub.store.associations
        .typesBetween(table.name, candidate.name)
        ?.some(({ typeId }) => ids.includes(typeId)),
    );
    const index = other?.indexOf(to);
    if (other === undefined || index === undefined)
      throw invalid(`One of the associations is not valid: ${to}`);
    return { other, index, ids };
  });
  const id = hub.data.create(table.name, values);
  for (const { other, index, ids } of links)
    hub.store.associations.add(table.name, table.indexOf(id)!, other.name, index, ids);
  return id;
}

async function answerList(exchange: Exchange, hub: Hub, table: Table): Promise<void> {
  const withHistory = exchange.params.has('propertiesWithHistory');
  const max = withHistory ? LIST_LIMIT_WITH_HISTORY_MAX : LIST_LIMIT_MAX;
  const limit = Number(exchange.params.get('limit') ?? LIST_LIMIT_DEFAULT);
  if (!Number.isInteger(limit) || limit < 1 || limit > max)
    throw invalid(`Invalid limit ${limit}: it must be between 1 and ${max}.`);
  const after = exchange.params.get('after') ?? '0';
  if (!/^\d{1,15}$/.test(after)) throw invalid(`Invalid after: ${after}`);
  const wanted = exchange.params.get('archived') === 'true' ? isArchived : isLive;
  const write = writerFor(exchange, hub, table);
  const results: Json[] = [];
  let next: string | undefined;
  const first = Math.max(0, Math.ceil((Number(after) - table.spec.idBase) / ID_STEP));
  // Archived records are changed ones, so that only these need a look.
  const indexes =
    wanted === isArchived
      ? archivedIndexes(table, first, hub.store.clock.now())
      : countingFrom(first, table.next);
  for (const index of indexes) {
    const entry = table.entry(index);
    if (entry === undefined || !wanted(entry)) continue;
    if (results.length === limit) {
      next = table.idOf(index);
      break;
    }
    results.push(write(entry));
  }
  const link = `https://api.hubapi.com${exchange.path}?limit=${limit}&after=${next}`;
  await exchange.sendJson(200, {
    results,
    ...(next === undefined ? {} : { paging: { next: { after: next, link } } }),
  });
}

function* countingFrom(first: number, end: number): Generator<number> {
  for (let index = first; index < end; index++) yield index;
}

/** An archived record can be listed and restored for 90 days. */
function archivedIndexes(table: Table, first: number, now: number): number[] {
  const found: number[] = [];
  for (const row of table.live.rows.values())
    if (row.index >= first && isArchived(row) && row.archivedAt! > now - ARCHIVE_MS) found.push(row.index);
  return found.toSorted((a, b) => a - b);
}

export async function answerObject(exchange: Exchange, hub: Hub, table: Table, id: string): Promise<void> {
  const idProperty = exchange.params.get('idProperty') ?? undefined;
  const archived = exchange.params.get('archived') === 'true';
  const entry = byIdOrProperty(table, id, idProperty, archived);
  if (exchange.method === 'DELETE') {
    // A record that is not there is already archived: no error.
    if (entry !== undefined) hub.data.archive(table.name, indexOfEntry(entry));
    await exchange.sendNothing(204);
    return;
  }
  if (entry === undefined) throw notFound();
  if (exchange.method === 'PATCH') {
    const body = await exchange.json();
    const index = updateOne(hub, table, entry, body);
    await exchange.sendJson(200, createdAnswer(table, body, table.entry(index)!));
  } else if (exchange.method === 'GET') await exchange.sendJson(200, writerFor(exchange, hub, table)(entry));
  else throw new HubError(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
}

export function updateOne(hub: Hub, table: Table, entry: Entry, body: Json): number {
  const values = checkedValues(table, objectOf(body['properties'] ?? {}, 'properties'));
  const index = indexOfEntry(entry);
  refuseDouble(table, values, index);
  refuseByRule(hub, table, values);
  hub.data.update(table.name, index, triggered(hub, table, values));
  return index;
}

function refuseByRule({ behaviour }: Hub, table: Table, values: Record<string, Value>): void {
  for (const { object, field, matches, message } of behaviour.validations) {
    const value = object === table.name ? (values[field] ?? null) : null;
    if (value === null || new RegExp(matches).test(value)) continue;
    const errors = [{ message, code: 'VALIDATION_RULE', context: { propertyName: [field] } }];
    throw invalid(`Property values were not valid: ${message}`, { errors });
  }
}

function triggered({ behaviour }: Hub, table: Table, values: Record<string, Value>): Record<string, Value> {
  const kept = { ...values };
  for (const { object, field, to } of behaviour.triggers) {
    const value = object === table.name ? (kept[field] ?? null) : null;
    if (value !== null) kept[field] = to === 'upper' ? value.toUpperCase() : value.toLowerCase();
  }
  return kept;
}

export async function answerMerge(exchange: Exchange, hub: Hub, table: Table): Promise<void> {
  if (!table.spec.mergeable) throw invalid(`Merging ${table.name} is not supported.`);
  const body = await exchange.json();
  const ids = ['primaryObjectId', 'objectIdToMerge'].map((name) => textOf(body[name], name));
  const entries = ids.map((id) => byIdOrProperty(table, id, undefined, false));
  if (entries.some((entry) => entry === undefined)) throw notFound();
  const [primary, other] = entries.map((entry) => indexOfEntry(entry!));
  if (primary === other) throw invalid('A record cannot be merged with itself.');
  const id = hub.data.merge(table.name, primary!, other!);
  const entry = table.entry(table.indexOf(id)!)!;
  const properties = wantedProperties(table, [...table.spec.defaults, 'hs_merged_object_ids']);
  await exchange.sendJson(200, recordWriter({ table, properties, withHistory: [] })(entry));
}

export async function answerErase(exchange: Exchange, hub: Hub, table: Table): Promise<void> {
  const body = await exchange.json();
  const id = textOf(body['objectId'], 'objectId');
  const idProperty = optionalText(body['idProperty'], 'idProperty');
  const entry = byIdOrProperty(table, id, idProperty, false) ?? byIdOrProperty(table, id, idProperty, true);
  if (entry !== undefined) hub.data.purge(table.name, indexOfEntry(entry));
  await exchange.sendNothing(204);
}
