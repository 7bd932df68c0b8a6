/** Associations over the wire. Version 3 names types by words, version 4 and the dated versions by ids with labels. */
import { inputsOf, listOf, objectOf, optionalText, textOf, type Json } from './body.ts';
import type { TypeOfLink } from './associations.ts';
import { sendBatch } from './batch-api.ts';
import type { Exchange } from '../exchange.ts';
import type { Hub } from './hub.ts';
import { HubError, invalid, notFound } from './hub-error.ts';
import { byIdOrProperty } from './lookup.ts';
import { indexOfEntry, type Table } from './table.ts';

const READ_INPUTS_MAX = 1000;
const WRITE_INPUTS_MAX = 2000;
const LIST_LIMIT_DEFAULT = 500;
const LIST_LIMIT_MAX = 500;

type Tables = readonly [Table, Table];

export async function answerAssociationLabels(
  exchange: Exchange,
  hub: Hub,
  [from, to]: Tables,
): Promise<void> {
  const results = typesOf(hub, from, to).map(({ category, typeId, label }) => ({ category, typeId, label }));
  await exchange.sendJson(200, { results });
}

function typesOf(hub: Hub, from: Table, to: Table): readonly TypeOfLink[] {
  const types = hub.store.associations.typesBetween(from.name, to.name);
  if (types === undefined) throw invalid(`No association types are defined from ${from.name} to ${to.name}.`);
  return types;
}

export async function answerAssociationBatch(
  exchange: Exchange,
  hub: Hub,
  tables: Tables,
  action: string,
  version: string,
): Promise<void> {
  const body = await exchange.json();
  const isOld = version === 'v3';
  if (action === 'read') await answerRead(exchange, hub, tables, body, isOld);
  else if (action === 'create' || action === 'associate/default')
    await answerCreate(exchange, hub, tables, body, isOld);
  else if (action === 'archive' || action === 'labels/archive')
    await answerArchive(exchange, hub, tables, body);
  else throw notFound();
}

async function answerRead(
  exchange: Exchange,
  hub: Hub,
  tables: Tables,
  body: Json,
  isOld: boolean,
): Promise<void> {
  const [from, to] = tables;
  typesOf(hub, from, to);
  const results: Json[] = [];
  const errors: Json[] = [];
  for (const input of inputsOf(body, READ_INPUTS_MAX)) {
    const id = textOf(input['id'], 'id');
    const entry = byIdOrProperty(from, id, undefined, false);
    const linked = entry === undefined ? [] : linkedTo(hub, tables, indexOfEntry(entry));
    if (linked.length === 0) {
      errors.push(noneError(from, to, id));
      continue;
    }
    const after = Number(optionalText(input['after'], 'after') ?? 0);
    const end = after + hub.behaviour.associationPageRowsMax;
    const next = linked[end] === undefined ? {} : { paging: { next: { after: String(end), link: '' } } };
    const page = linked.slice(after, end);
    // The record answers with the id that it has now: after a merge that is another one than was asked for.
    const owner = { id: from.idOf(indexOfEntry(entry!)) };
    results.push({
      from: owner,
      to: page.map((one) => (isOld ? oldForm(hub, tables, one) : newForm(one))).flat(),
      ...next,
    });
  }
  await sendBatch(exchange, hub, results, errors);
}

interface LinkedId {
  readonly id: string;
  readonly types: readonly TypeOfLink[];
}

/** The records on the other side that are neither archived nor gone. */
function linkedTo(hub: Hub, [from, to]: Tables, index: number): readonly LinkedId[] {
  return hub.store.associations.of(from.name, index, to.name).flatMap(({ index: other, types }) => {
    const id = to.idOf(other);
    return byIdOrProperty(to, id, undefined, false) === undefined ? [] : [{ id, types }];
  });
}

const newForm = ({ id, types }: LinkedId): readonly Json[] => [
  {
    toObjectId: id,
    associationTypes: types.map(({ category, typeId, label }) => ({ category, typeId, label })),
  },
];

/**
 * A type by its older name. Where there is a primary company, the plain name belongs to that one and the unlabelled type has
 * a suffix.
 */
export function oldTypeName(hub: Hub, from: Table, to: Table, { label }: TypeOfLink): string {
  const plain = `${from.spec.singular}_to_${to.spec.singular}`;
  if (label === 'Primary') return plain;
  if (label !== null) return label.toLowerCase().replaceAll(' ', '_');
  return typesOf(hub, from, to).some((type) => type.label === 'Primary') ? `${plain}_unlabeled` : plain;
}

const oldForm = (hub: Hub, [from, to]: Tables, { id, types }: LinkedId): readonly Json[] =>
  types.map((type) => ({ id, type: oldTypeName(hub, from, to, type) }));

const noneError = (from: Table, to: Table, id: string): Json => ({
  status: 'error',
  category: 'OBJECT_NOT_FOUND',
  subCategory: 'crm.associations.NO_ASSOCIATIONS_FOUND',
  message: `No ${to.spec.singular} is associated with ${from.spec.singular} ${id}.`,
  context: { fromObjectId: [id], fromObjectType: [from.spec.singular], toObjectType: [to.spec.singular] },
});

function pairOf(hub: Hub, [from, to]: Tables, input: Json): readonly [number, number] {
  const side = (table: Table, name: string): number => {
    const given = input[name];
    const id = textOf(
      Array.isArray(given) ? objectOf(given[0], name)['id'] : objectOf(given, name)['id'],
      `${name}.id`,
    );
    const entry = byIdOrProperty(table, id, undefined, false);
    if (entry === undefined) throw notFound(`${table.spec.labels.singular} ${id} does not exist`);
    return indexOfEntry(entry);
  };
  typesOf(hub, from, to);
  return [side(from, 'from'), side(to, 'to')];
}

function typeIdsOf(hub: Hub, [from, to]: Tables, types: readonly unknown[]): readonly number[] {
  const known = typesOf(hub, from, to);
  return types.map((type) => {
    const id = Number(objectOf(type, 'types')['associationTypeId']);
    if (!known.some(({ typeId }) => typeId === id))
      throw invalid(`Association type ${id} is not valid here.`);
    return id;
  });
}

async function answerCreate(
  exchange: Exchange,
  hub: Hub,
  tables: Tables,
  body: Json,
  isOld: boolean,
): Promise<void> {
  const [from, to] = tables;
  const results = inputsOf(body, WRITE_INPUTS_MAX).map((input) => {
    const [a, b] = pairOf(hub, tables, input);
    const ids = typeIdsOf(hub, tables, listOf(input['types'], 'types'));
    hub.store.associations.add(from.name, a, to.name, b, ids);
    const [fromId, toId] = [from.idOf(a), to.idOf(b)];
    if (isOld) return { from: { id: fromId }, to: { id: toId }, type: textOf(input['type'] ?? '', 'type') };
    return {
      fromObjectTypeId: from.spec.objectTypeId,
      fromObjectId: fromId,
      toObjectTypeId: to.spec.objectTypeId,
      toObjectId: toId,
      labels: labelsOf(hub, tables, a, b),
    };
  });
  await sendBatch(exchange, hub, results, [], 201);
}

function labelsOf(hub: Hub, [from, to]: Tables, index: number, other: number): readonly string[] {
  const linked = hub.store.associations.of(from.name, index, to.name).find((one) => one.index === other);
  return (linked?.types ?? []).flatMap(({ label }) => label ?? []);
}

async function answerArchive(exchange: Exchange, hub: Hub, tables: Tables, body: Json): Promise<void> {
  const [from, to] = tables;
  for (const input of inputsOf(body, WRITE_INPUTS_MAX)) {
    const [a] = pairOf(hub, tables, { ...input, to: firstOf(input['to']) });
    const given =
      input['types'] === undefined ? undefined : typeIdsOf(hub, tables, listOf(input['types'], 'types'));
    const others = Array.isArray(input['to']) ? input['to'] : [input['to']];
    for (const other of others) {
      const index = to.indexOf(textOf(objectOf(other, 'to')['id'], 'to.id'));
      if (index !== undefined) hub.store.associations.remove(from.name, a, to.name, index, given);
    }
  }
  await exchange.sendNothing(204);
}

const firstOf = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value);

/** /{type}/{id}/associations/{toType}[/{toId}] and the same with default: one record's list, and one pair to make or break. */
export async function answerRecordAssociations(
  exchange: Exchange,
  hub: Hub,
  from: Table,
  parts: readonly string[],
  version: string,
): Promise<void> {
  const [id = '', , ...rest] = parts;
  const isDefault = rest[0] === 'default';
  const [toName = '', toId] = isDefault ? rest.slice(1) : rest;
  const to = hub.store.find(toName, hub.portalId);
  if (to === undefined) throw invalid(`Unable to infer object type from: ${toName}`);
  const entry = byIdOrProperty(from, id, undefined, false);
  if (entry === undefined) throw notFound();
  const index = indexOfEntry(entry);
  if (toId === undefined) {
    await answerRecordList(exchange, hub, [from, to], index, version);
    return;
  }
  const other = byIdOrProperty(to, toId, undefined, false);
  if (other === undefined) throw notFound();
  if (exchange.method === 'DELETE') {
    hub.store.associations.remove(from.name, index, to.name, indexOfEntry(other));
    await exchange.sendNothing(204);
  } else if (exchange.method === 'PUT') {
    const text = isDefault ? '' : await exchange.text();
    const types: unknown = text === '' ? [] : JSON.parse(text);
    const ids = typeIdsOf(hub, [from, to], listOf(types, 'types'));
    hub.store.associations.add(from.name, index, to.name, indexOfEntry(other), ids);
    await exchange.sendJson(isDefault ? 200 : 201, {
      fromObjectTypeId: from.spec.objectTypeId,
      fromObjectId: Number(from.idOf(index)),
      toObjectTypeId: to.spec.objectTypeId,
      toObjectId: Number(to.idOf(indexOfEntry(other))),
      labels: labelsOf(hub, [from, to], index, indexOfEntry(other)),
    });
  } else throw new HubError(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
}

async function answerRecordList(
  exchange: Exchange,
  hub: Hub,
  tables: Tables,
  index: number,
  version: string,
): Promise<void> {
  const limit = Math.min(LIST_LIMIT_MAX, Number(exchange.params.get('limit') ?? LIST_LIMIT_DEFAULT));
  const after = Number(exchange.params.get('after') ?? 0);
  const linked = linkedTo(hub, tables, index);
  const isOld = version === 'v3';
  const results = linked
    .slice(after, after + limit)
    .flatMap((one) => (isOld ? oldForm(hub, tables, one) : newForm(one)));
  const next =
    linked[after + limit] === undefined
      ? {}
      : { paging: { next: { after: String(after + limit), link: '' } } };
  await exchange.sendJson(200, { results, ...next });
}
