/** POST …/search: filters, one sort, pages of 200, and nothing beyond ten thousand results. */
import { filterOf, listOf, objectOf, optionalText, textOf, textsOf, type Json } from './body.ts';
import type { Exchange } from '../exchange.ts';
import type { Hub } from './hub.ts';
import { invalid } from './hub-error.ts';
import { recordWriter, wantedProperties } from './render.ts';
import { RESULTS_MAX, type Search } from './search-run.ts';
import type { Entry, Table } from './table.ts';

const LIMIT_DEFAULT = 10;
export const SEARCH_LIMIT_MAX = 200;
const QUERY_CHARS_MAX = 3000;

export async function answerSearch(exchange: Exchange, hub: Hub, table: Table, body: Json): Promise<void> {
  const limit = numberOf(body['limit'], 'limit', LIMIT_DEFAULT);
  const after = numberOf(body['after'], 'after', 0);
  if (limit < 1 || limit > SEARCH_LIMIT_MAX)
    throw invalid(`Invalid limit: ${limit}. It must be between 1 and ${SEARCH_LIMIT_MAX}.`);
  if (after >= RESULTS_MAX)
    throw invalid('The maximum number of results that can be paged through is 10000.');
  const search = searchOf(body);
  const { total, rows } = hub.searches.run(table, search);
  const names = textsOf(body['properties'], 'properties');
  const write = recordWriter({ table, properties: wantedProperties(table, names), withHistory: [] });
  const end = Math.min(after + limit, RESULTS_MAX);
  const page = altered(exchange, rows.slice(after, end));
  // The link to 10,000 is given although following it is refused.
  const paging = end < total ? { paging: { next: { after: String(end) } } } : {};
  await exchange.sendJson(200, { total, results: page.map(write), ...paging });
}

function searchOf(body: Json): Search {
  const filterGroups = listOf(body['filterGroups'], 'filterGroups').map((group) => ({
    filters: listOf(objectOf(group, 'filterGroups')['filters'], 'filters').map(filterOf),
  }));
  // Filters outside a group are taken as one.
  const loose = listOf(body['filters'], 'filters').map(filterOf);
  if (loose.length > 0) filterGroups.push({ filters: loose });
  const sorts = listOf(body['sorts'], 'sorts');
  if (sorts.length > 1) throw invalid('Only one sort is supported.');
  const query = optionalText(body['query'], 'query');
  if (query !== undefined && query.length > QUERY_CHARS_MAX)
    throw invalid(`The query is longer than ${QUERY_CHARS_MAX} characters.`);
  return { filterGroups, sort: sortOf(sorts[0]), query };
}

/** A sort is an object, or the property's name with a minus before it for descending. */
function sortOf(sort: unknown): Search['sort'] {
  if (sort === undefined) return undefined;
  if (typeof sort === 'string') {
    const descending = sort.startsWith('-');
    return { propertyName: descending ? sort.slice(1) : sort, descending };
  }
  const given = objectOf(sort, 'sorts');
  const direction = optionalText(given['direction'], 'direction') ?? 'ASCENDING';
  if (direction !== 'ASCENDING' && direction !== 'DESCENDING')
    throw invalid(`Invalid direction: ${direction}`);
  return {
    propertyName: textOf(given['propertyName'], 'propertyName'),
    descending: direction === 'DESCENDING',
  };
}

function numberOf(value: unknown, name: string, fallback: number): number {
  if (value === undefined || value === null || value === '') return fallback;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw invalid(`Invalid ${name}: ${JSON.stringify(value)}`);
  return number;
}

/** The faults that a search can have besides those of any answer. */
function altered(exchange: Exchange, rows: readonly Entry[]): readonly Entry[] {
  const { fault } = exchange;
  if (fault === undefined) return rows;
  if ('emptyOk' in fault) return [];
  if ('lastRowDropped' in fault) return rows.slice(0, -1);
  return 'shuffle' in fault ? rows.toReversed() : rows;
}
