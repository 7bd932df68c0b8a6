/** Writes records as HubSpot's JSON objects. */
import { instantText } from '../seeded.ts';
import { invalid } from './hub-error.ts';
import { indexOfEntry, type Entry, type Table } from './table.ts';

const PROPERTIES_MAX = 5000;

/** The wanted properties that exist, without doubles. Unknown names are passed over in silence, as HubSpot does. */
export function wantedProperties(table: Table, names: readonly string[] | undefined): readonly string[] {
  const { defaults, createdProperty, cursor } = table.spec;
  if (names === undefined || names.length === 0) return defaults;
  if (names.length > PROPERTIES_MAX) throw invalid(`too many properties: ${names.length}`);
  const always = [createdProperty, 'hs_object_id', cursor];
  const known = [...names, ...always].flatMap((name) => table.property(name.trim())?.name ?? []);
  return [...new Set(known)];
}

export interface RecordShape {
  readonly table: Table;
  readonly properties: readonly string[];
  readonly withHistory: readonly string[];
}

export type RecordWriter = (entry: Entry) => Record<string, unknown>;

export function recordWriter({ table, properties, withHistory }: RecordShape): RecordWriter {
  const readers = [...new Set([...properties, ...withHistory])].map(
    (name) => [name, table.reader(name)] as const,
  );
  return (entry) => {
    const values: Record<string, unknown> = {};
    for (const [name, read] of readers) values[name] = read(entry);
    const archivedAt = typeof entry === 'number' ? null : entry.archivedAt;
    return {
      id: table.idOf(indexOfEntry(entry)),
      properties: values,
      ...(withHistory.length === 0 ? {} : { propertiesWithHistory: historyOf(table, entry, withHistory) }),
      createdAt: instantText(table.createdOf(entry)),
      updatedAt: instantText(table.stampOf(entry)),
      archived: archivedAt !== null,
      ...(archivedAt === null ? {} : { archivedAt: instantText(archivedAt) }),
    };
  };
}

/** Newest first. A value that never changed has one version, from the record's creation. */
function historyOf(table: Table, entry: Entry, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    names.map((name) => {
      const kept = typeof entry === 'number' ? undefined : entry.history[name];
      const versions = kept ?? [{ value: table.reader(name)(entry), at: table.createdOf(entry) }];
      return [
        name,
        versions.map(({ value, at }) => ({
          value: value ?? '',
          timestamp: instantText(at),
          sourceType: kept === undefined ? 'IMPORT' : 'CRM_UI',
          sourceId: 'sandbox',
          updatedByUserId: 9_586_504,
        })),
      ];
    }),
  );
}
