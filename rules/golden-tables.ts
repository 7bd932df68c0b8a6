import type { Entity, EntityField } from '../schemas/entities/entity.ts';
import type { ProfileEvent } from '../schemas/event.ts';
import type { FieldType } from '../schemas/object-schema.ts';
import type { ClaimValue } from '../schemas/observation.ts';
import type { GoldenProfile } from '../schemas/profile.ts';
import type { OwnTable } from '../schemas/own-table.ts';
import { warehouseNames } from './naming.ts';

/** One row by column name, as JSON. */
export type OwnRow = Record<string, ClaimValue>;

const STRING: FieldType = { kind: 'string' };
const TIMESTAMP: FieldType = { kind: 'timestamp' };
/** Of the claims store that a row is from. */
const EPOCH = { name: '_epoch', type: STRING };
const INTEGER: FieldType = { kind: 'integer' };
const BOOLEAN: FieldType = { kind: 'boolean' };
const JSON_TEXT: FieldType = { kind: 'json' };
/** Room for any amount: 28 digits before the point; behind it the analytical copy keeps ten. */
const DECIMAL: FieldType = { kind: 'decimal', precision: 38, scale: 10 };

const COLUMN_TYPES: Record<EntityField['column'], FieldType> = {
  string: STRING,
  boolean: BOOLEAN,
  integer: INTEGER,
  decimal: DECIMAL,
  double: { kind: 'double' },
  date: { kind: 'date' },
  timestamp: TIMESTAMP,
  json: JSON_TEXT,
};

interface GoldenTables {
  newest: OwnTable;
  versions: OwnTable;
}

/**
 * `golden.<entity>` holds the newest version of each profile, `golden.<entity>_versions` every one that was published; the view
 * `golden.<entity>_history` adds `valid_to` to it (SCD2).
 */
export function goldenTables(entity: Entity): GoldenTables {
  const names = columnNames(entity);
  const columns: OwnTable['columns'] = [
    { name: '_profile', type: STRING },
    ...Object.entries(entity.fields).map(([field, { column }]) => ({
      name: names.get(field) ?? field,
      type: COLUMN_TYPES[column],
    })),
    { name: '_version', type: INTEGER },
    { name: '_deleted', type: BOOLEAN },
    { name: '_merged_into', type: STRING },
    { name: '_sources', type: JSON_TEXT },
    { name: '_contested', type: JSON_TEXT },
    { name: '_records', type: INTEGER },
    { name: '_updated_at', type: TIMESTAMP },
    EPOCH,
  ];
  const versions = `${entity.name}_versions`;
  return {
    newest: { name: entity.name, columns, key: ['_profile'], version: '_version' },
    versions: {
      name: versions,
      columns,
      key: ['_profile', '_version'],
      version: null,
      history: { view: `${entity.name}_history`, of: '_profile', from: '_updated_at', order: '_version' },
    },
  };
}

/** Which profile each source record belongs to, now. */
goldenTables.identities = {
  name: 'identities',
  columns: [
    { name: 'entity', type: STRING },
    { name: 'source', type: STRING },
    { name: 'object', type: STRING },
    { name: 'record', type: STRING },
    { name: 'profile', type: STRING },
    { name: 'deleted', type: BOOLEAN },
    { name: 'seq', type: INTEGER },
    EPOCH,
  ],
  key: ['entity', 'source', 'object', 'record'],
  version: 'seq',
} satisfies OwnTable;

/** The event log, readable with SQL. */
goldenTables.events = {
  name: 'profile_events',
  columns: [
    { name: 'seq', type: INTEGER },
    { name: 'id', type: STRING },
    { name: 'kind', type: STRING },
    { name: 'profile', type: STRING },
    { name: 'entity', type: STRING },
    { name: 'source', type: STRING },
    { name: 'object', type: STRING },
    { name: 'record', type: STRING },
    { name: 'fields', type: JSON_TEXT },
    { name: 'source_ts', type: TIMESTAMP },
    { name: 'at', type: TIMESTAMP },
    { name: 'via', type: STRING },
    { name: 'run', type: STRING },
    { name: 'actor', type: STRING },
    { name: 'cause', type: STRING },
    { name: 'rules_hash', type: STRING },
    EPOCH,
  ],
  key: ['_epoch', 'seq'],
  version: null,
} satisfies OwnTable;

const namesOf = new WeakMap<Entity, Map<string, string>>();

function columnNames(entity: Entity): Map<string, string> {
  const known = namesOf.get(entity);
  if (known !== undefined) return known;
  const names = warehouseNames(Object.keys(entity.fields));
  namesOf.set(entity, names);
  return names;
}

export function goldenRow(entity: Entity, profile: GoldenProfile, epoch: string): OwnRow {
  const names = columnNames(entity);
  const row: OwnRow = {
    _profile: profile.profile,
    _version: profile.version,
    _deleted: profile.deleted,
    _merged_into: profile.mergedInto,
    _records: profile.records.filter(({ deleted }) => !deleted).length,
    _updated_at: profile.updatedAt,
    _epoch: epoch,
  };
  const sources: Record<string, ClaimValue> = {};
  const contested: string[] = [];
  for (const [field, golden] of Object.entries(profile.fields)) {
    const column = names.get(field);
    if (column === undefined) continue;
    row[column] = golden.value === '' && entity.fields[field]?.column !== 'string' ? null : golden.value;
    sources[column] = golden.ref?.source ?? golden.decidedBy;
    if (golden.contested) contested.push(column);
  }
  return { ...row, _sources: sources, _contested: contested.toSorted() };
}

export function identityRows(profile: GoldenProfile, epoch: string): OwnRow[] {
  return profile.records.map(({ source, object, record, deleted }) => ({
    entity: profile.entity,
    source,
    object,
    record,
    profile: profile.profile,
    deleted,
    seq: profile.seq,
    _epoch: epoch,
  }));
}

export function eventRow(event: ProfileEvent, epoch: string): OwnRow {
  return {
    seq: event.seq,
    id: event.id,
    kind: event.kind,
    profile: event.profile,
    entity: event.entity,
    source: event.ref?.source ?? null,
    object: event.ref?.object ?? null,
    record: event.ref?.record ?? null,
    fields: event.fields,
    source_ts: event.stamp,
    at: event.at,
    via: event.via,
    run: event.run,
    actor: event.actor,
    cause: event.cause,
    rules_hash: event.rulesHash,
    _epoch: epoch,
  };
}
