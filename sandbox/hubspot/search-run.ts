/** Runs a search over what the search index holds: the matching rows in order, the first ten thousand of them kept for paging. */
import { invalid } from './hub-error.ts';
import { comparable, groupsOf, type Filter, type Group, type Predicate } from './search-filter.ts';
import { indexOfEntry, isLive, type Entry, type Table } from './table.ts';

export const RESULTS_MAX = 10_000;
const CACHED_MAX = 8;

export interface Search {
  readonly filterGroups: readonly { readonly filters: readonly Filter[] }[];
  readonly sort: { readonly propertyName: string; readonly descending: boolean } | undefined;
  readonly query: string | undefined;
}

export interface Matches {
  readonly total: number;
  readonly rows: readonly Entry[];
}

/** The last results, so that the next page of a search does not run it again. A change of the index makes them void. */
export class SearchCache {
  private readonly kept = new Map<string, Matches>();

  run(table: Table, search: Search): Matches {
    const key = JSON.stringify([table.name, table.indexVersion, search]);
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    const made = runSearch(table, search);
    if (this.kept.size >= CACHED_MAX) this.kept.delete(this.kept.keys().next().value ?? '');
    this.kept.set(key, made);
    return made;
  }
}

interface Found {
  readonly entry: Entry;
  readonly key: number | string;
}

function runSearch(table: Table, search: Search): Matches {
  const groups = groupsOf(table, search.filterGroups);
  const words = wordsPredicate(table, search.query);
  const { sort } = search;
  const spec = sort === undefined ? table.property('hs_object_id') : table.property(sort.propertyName);
  if (spec === undefined) throw invalid(`Invalid sort: ${sort?.propertyName ?? ''}`);
  const rows = candidates(table, groups, words);
  // Rows come by stamp, so that the sort that extracts ask for costs nothing.
  if (spec.system === 'modified' && sort?.descending !== true) return firstOf(rows);
  const read = table.reader(spec.name);
  const isNumber = spec.type === 'number' || spec.type === 'datetime' || spec.type === 'date';
  const found: Found[] = [];
  for (const entry of rows) {
    if (spec.system === 'id') found.push({ entry, key: indexOfEntry(entry) });
    else if (spec.system === 'modified') found.push({ entry, key: table.stampOf(entry) });
    else {
      const value = read(entry);
      const none = isNumber ? Number.NEGATIVE_INFINITY : '';
      const key =
        value === null || value === '' ? none : isNumber ? comparable(spec, value) : value.toLowerCase();
      found.push({ entry, key });
    }
  }
  const sign = sort?.descending === true ? -1 : 1;
  found.sort((a, b) => sign * (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return { total: found.length, rows: found.slice(0, RESULTS_MAX).map(({ entry }) => entry) };
}

function firstOf(rows: Iterable<Entry>): Matches {
  const kept: Entry[] = [];
  let total = 0;
  for (const entry of rows) {
    if (kept.length < RESULTS_MAX) kept.push(entry);
    total++;
  }
  return { total, rows: kept };
}

function* candidates(table: Table, groups: readonly Group[], words: Predicate): Generator<Entry> {
  const from = Math.min(...groups.map((group) => group.from));
  const until = Math.max(...groups.map((group) => group.until));
  const none = groups.length === 0;
  const fromMs = none || from === Number.NEGATIVE_INFINITY ? 0 : from;
  const untilMs = none ? Number.POSITIVE_INFINITY : until;
  for (const entry of table.between(fromMs, untilMs, table.indexed)) {
    if (!isLive(entry) || !words(entry)) continue;
    if (none || groups.some((group) => isInGroup(table, group, entry))) yield entry;
  }
}

function isInGroup(table: Table, group: Group, entry: Entry): boolean {
  const stamp = table.stampOf(entry);
  return stamp >= group.from && stamp < group.until && group.rest.every((matches) => matches(entry));
}

function wordsPredicate(table: Table, query: string | undefined): Predicate {
  if (query === undefined || query.trim() === '') return () => true;
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const readers = table.spec.searchable.map((name) => table.reader(name));
  return (entry) => {
    const text = readers
      .map((read) => read(entry) ?? '')
      .join(' ')
      .toLowerCase();
    return words.every((word) => text.includes(word));
  };
}
