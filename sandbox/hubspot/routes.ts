/**
 * Where a path leads. HubSpot has two layouts of the same API: numbered versions stand after the product (/crm/v3/objects/contacts), dated
 * ones after the API's name (/crm/objects/2026-03/contacts).
 */
import {
  answerAssociationBatch,
  answerAssociationLabels,
  answerRecordAssociations,
} from './associations-api.ts';
import { answerBatch } from './batch-api.ts';
import type { Exchange } from '../exchange.ts';
import type { Hub } from './hub.ts';
import { HubError, invalid, notFound } from './hub-error.ts';
import { answerErase, answerMerge, answerObject, answerObjects } from './objects-api.ts';
import { answerProperties, answerSchemas } from './properties-api.ts';
import { answerAccount, answerOwners, answerPipelines } from './reference-api.ts';
import { answerSearch } from './search-api.ts';
import type { Table } from './table.ts';

const NUMBERED = /^v([1-4])$/;
const DATED = /^20\d{2}-(?:03|09)(?:-beta)?$/;

export interface Route {
  /** crm.objects, crm-object-schemas, oauth, account-info … */
  readonly api: string;
  readonly version: string;
  readonly parts: readonly string[];
}

/** Undefined for a path in neither layout. */
export function routeOf(path: string): Route | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const [product = '', second = '', third = ''] = parts;
  if (product === 'crm') {
    if (NUMBERED.test(second)) return { api: `crm.${third}`, version: second, parts: parts.slice(3) };
    if (DATED.test(third)) return { api: `crm.${second}`, version: third, parts: parts.slice(3) };
    return undefined;
  }
  const isVersion = NUMBERED.test(second) || DATED.test(second);
  return isVersion ? { api: product, version: second, parts: parts.slice(2) } : undefined;
}

/** A kind of call for the statistics: "search contacts", "batch/read contacts", "list contacts" … */
export function callKind(method: string, route: Route | undefined): string {
  if (route === undefined) return `${method} other`;
  const [type = '', ...rest] = route.parts;
  if (route.api !== 'crm.objects') return `${method} ${route.api}`;
  if (rest.includes('associations')) return `associations ${type}`;
  if (rest.length === 0) return `${method === 'GET' ? 'list' : method} ${type}`;
  return /^(?:batch|search|merge|gdpr-delete)$/.test(rest[0]!)
    ? `${rest.join('/')} ${type}`
    : `${method} record ${type}`;
}

export const isSearch = (route: Route | undefined): boolean =>
  route?.api === 'crm.objects' && route.parts[1] === 'search';

export async function answerApi(exchange: Exchange, hub: Hub, route: Route): Promise<void> {
  hub.store.settle();
  const [first, ...rest] = route.parts.map(decoded);
  switch (route.api) {
    case 'crm.objects':
      return answerType(exchange, hub, tableOf(hub, first), rest, route);
    case 'crm.associations':
      return answerAssociations(exchange, hub, [first ?? '', ...rest], route);
    case 'crm.properties':
      return answerProperties(exchange, hub, tableOf(hub, first), rest);
    case 'crm.pipelines':
      return answerPipelines(exchange, tableOf(hub, first), rest);
    case 'crm.owners':
      return answerOwners(exchange, first);
    case 'crm.schemas':
      return answerSchemas(exchange, hub, first === undefined ? [] : [first, ...rest]);
    case 'crm-object-schemas':
      if (first !== 'schemas') throw notFound();
      return answerSchemas(exchange, hub, rest);
    case 'account-info':
    case 'integrations':
      return answerAccount(exchange, hub, [first ?? '', ...rest]);
    default:
      throw notFound();
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid('The path is not valid.');
  }
}

function tableOf(hub: Hub, name: string | undefined): Table {
  const table = name === undefined ? undefined : hub.store.find(name, hub.portalId);
  if (table === undefined) throw invalid(`Unable to infer object type from: ${name ?? ''}`);
  return table;
}

function onlyPost(exchange: Exchange): void {
  if (exchange.method !== 'POST') throw new HubError(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
}

async function answerType(
  exchange: Exchange,
  hub: Hub,
  table: Table,
  parts: readonly string[],
  route: Route,
): Promise<void> {
  const [first, second, third] = parts;
  if (first === undefined) await answerObjects(exchange, hub, table);
  else if (
    second === 'associations' ||
    (first !== 'batch' && third !== undefined && parts[2] === 'associations')
  )
    await answerRecordAssociations(exchange, hub, table, parts, route.version);
  else if (first === 'search' || first === 'merge' || first === 'gdpr-delete') {
    onlyPost(exchange);
    if (first === 'search') await answerSearch(exchange, hub, table, await exchange.json());
    else if (first === 'merge') await answerMerge(exchange, hub, table);
    else await answerErase(exchange, hub, table);
  } else if (first === 'batch') {
    onlyPost(exchange);
    await answerBatch(exchange, hub, table, second ?? '');
  } else if (second === undefined) await answerObject(exchange, hub, table, first);
  else throw notFound();
}

async function answerAssociations(
  exchange: Exchange,
  hub: Hub,
  parts: readonly string[],
  route: Route,
): Promise<void> {
  const [from, to, ...rest] = parts;
  const tables = [tableOf(hub, from), tableOf(hub, to)] as const;
  const action = rest.join('/');
  if (action === 'labels' || action === 'types') await answerAssociationLabels(exchange, hub, tables);
  else if (rest[0] === 'batch') {
    onlyPost(exchange);
    await answerAssociationBatch(exchange, hub, tables, action.slice('batch/'.length), route.version);
  } else throw notFound();
}
