/** Definitions of properties, their groups, and the schemas of custom object types. */
import { inputsOf, textOf } from './body.ts';
import type { Exchange } from '../exchange.ts';
import { sendBatch, BATCH_INPUTS_MAX } from './batch-api.ts';
import { PORTAL_ID } from './catalog.ts';
import type { Hub } from './hub.ts';
import { HubError, notFound } from './hub-error.ts';
import { LINKS } from './links.ts';
import type { PropertySpec, PropertyType } from './property.ts';
import type { Table } from './table.ts';

const DEFINED_AT = '2020-06-30T15:57:37.247Z';
const TYPES: readonly PropertyType[] = ['string', 'number', 'date', 'datetime', 'enumeration', 'bool'];

export function definitionOf(table: Table, spec: PropertySpec, archived = false): Record<string, unknown> {
  return {
    updatedAt: DEFINED_AT,
    createdAt: DEFINED_AT,
    name: spec.name,
    label: spec.label,
    type: spec.type,
    fieldType: spec.fieldType,
    description: '',
    groupName: groupOf(table),
    options: spec.options.map((option, n) => ({ ...option, displayOrder: n, hidden: false })),
    displayOrder: -1,
    calculated: spec.calculated,
    externalOptions: spec.name === 'hubspot_owner_id',
    ...(spec.name === 'hubspot_owner_id' ? { referencedObjectType: 'OWNER' } : {}),
    archived,
    hasUniqueValue: spec.hasUniqueValue,
    hidden: false,
    hubspotDefined: spec.hubspotDefined,
    modificationMetadata: {
      archivable: !spec.hubspotDefined,
      readOnlyDefinition: spec.hubspotDefined,
      readOnlyValue: spec.readOnly,
    },
    formField: !spec.readOnly,
    dataSensitivity: 'non_sensitive',
  };
}

const groupOf = (table: Table): string => `${table.spec.singular.replace('_', '')}information`;

/** /crm/properties/{type}… */
export async function answerProperties(
  exchange: Exchange,
  hub: Hub,
  table: Table,
  parts: readonly string[],
): Promise<void> {
  const [first, second] = parts;
  if (first === 'groups') {
    const group = { name: groupOf(table), label: 'Information', displayOrder: 0, archived: false };
    if (second === undefined) await exchange.sendJson(200, { results: [group] });
    else if (second === group.name) await exchange.sendJson(200, group);
    else throw notFound();
  } else if (first === 'batch' && second === 'read') {
    const names = inputsOf(await exchange.json(), BATCH_INPUTS_MAX).map((input) =>
      textOf(input['name'], 'name'),
    );
    await sendBatch(
      exchange,
      hub,
      names.flatMap((name) => table.property(name) ?? []).map((one) => definitionOf(table, one)),
    );
  } else if (first === undefined && exchange.method === 'POST') await answerCreate(exchange, hub, table);
  else if (first === undefined) {
    const archived = exchange.params.get('archived') === 'true';
    const list = archived ? table.archivedProperties() : table.properties();
    await exchange.sendJson(200, { results: list.map((one) => definitionOf(table, one, archived)) });
  } else await answerOne(exchange, hub, table, first);
}

async function answerCreate(exchange: Exchange, hub: Hub, table: Table): Promise<void> {
  const body = await exchange.json();
  const name = textOf(body['name'], 'name');
  const type = TYPES.find((one) => one === body['type']);
  if (type === undefined)
    throw new HubError(400, 'VALIDATION_ERROR', `Invalid type: ${String(body['type'])}`);
  if (table.property(name) !== undefined)
    throw new HubError(409, 'OBJECT_ALREADY_EXISTS', `Property ${name} already exists.`);
  hub.data.addProperty(table.name, name, type);
  await exchange.sendJson(201, definitionOf(table, table.property(name)!));
}

async function answerOne(exchange: Exchange, hub: Hub, table: Table, name: string): Promise<void> {
  const spec = table.property(name);
  if (spec === undefined) throw notFound(`Property ${name} does not exist`);
  if (exchange.method === 'DELETE') {
    if (spec.hubspotDefined) throw new HubError(400, 'VALIDATION_ERROR', `${name} cannot be archived.`);
    hub.data.setPropertyArchived(table.name, spec.name, true);
    await exchange.sendNothing(204);
  } else await exchange.sendJson(200, definitionOf(table, spec));
}

/** /crm-object-schemas/schemas…: custom object types only, as long as nobody asks for another by name. */
export async function answerSchemas(exchange: Exchange, hub: Hub, parts: readonly string[]): Promise<void> {
  const [name] = parts;
  if (name === undefined) {
    const custom = hub.store.tables.filter((table) => table.spec.custom);
    await exchange.sendJson(200, { results: custom.map(schemaOf) });
    return;
  }
  const table = hub.store.find(name, hub.portalId);
  if (table === undefined) throw notFound(`Unable to infer object type from: ${name}`);
  await exchange.sendJson(200, schemaOf(table));
}

function schemaOf(table: Table): Record<string, unknown> {
  const { spec } = table;
  const unique = table.properties().filter((one) => one.hasUniqueValue);
  return {
    id: spec.objectTypeId.split('-')[1],
    objectTypeId: spec.objectTypeId,
    fullyQualifiedName: spec.custom ? `p${PORTAL_ID}_${spec.name}` : spec.singular.toUpperCase(),
    name: spec.custom ? spec.name : spec.singular.toUpperCase(),
    labels: spec.labels,
    archived: false,
    createdAt: DEFINED_AT,
    updatedAt: DEFINED_AT,
    metaType: spec.custom ? 'PORTAL_SPECIFIC' : 'HUBSPOT',
    primaryDisplayProperty: spec.primaryDisplay,
    secondaryDisplayProperties: [],
    requiredProperties: unique.map((one) => one.name),
    searchableProperties: spec.searchable,
    properties: table.properties().map((one) => definitionOf(table, one)),
    associations: LINKS.filter((one) => one.from === spec.name || one.to === spec.name).map((one) => ({
      id: String(one.from === spec.name ? one.typeId : one.backTypeId),
      name: `${one.from}_to_${one.to}`,
      fromObjectTypeId: spec.objectTypeId,
      toObjectTypeId: one.from === spec.name ? one.to : one.from,
    })),
  };
}
