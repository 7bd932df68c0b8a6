// Part of erase: who the subject is in every store, and how much of it lies where. Values stay in this process (I5).
import { warehouseNames } from '../rules/naming.ts';
import type { RecordRef } from '../schemas/observation.ts';
import type { ErasedPlace, ErasurePreview } from '../schemas/erasure.ts';
import type { Subject } from '../stores/claims/claims.ts';
import type { PurgeRequest } from '../warehouses/warehouse.ts';
import type { Dependencies, Profiles } from './dependencies.ts';
import { objectNames } from './suppress.ts';

/** Windows of an object that may still have staged files. */
const WINDOWS_MAX = 100_000;

/** A shorter text stands in lines that are about somebody else. */
const TEXT_CHARACTERS_MIN = 6;

/** The records of one object, by their names in the source. */
export interface RawRecords {
  connection: string;
  object: string;
  records: string[];
}

export interface Closure {
  /** The named profile last: while it is there, the others can be found again after a crash. */
  subjects: Subject[];
  /** Records that share a profile with somebody else: these pairs have to be parted first. */
  splits: [RecordRef, RecordRef][];
  raw: RawRecords[];
}

const rawObject = (object: string) => object.split('/', 1)[0] ?? object;
const rawKey = ({ source, object, record }: RecordRef) => `${source}\0${rawObject(object)}\0${record}`;

/** The profile with what other entities were made of the same source records, such as their consent. Null: no such profile. */
export async function closureOf(profiles: Profiles, profile: string): Promise<Closure | null> {
  const { claims } = profiles;
  const start = await wholePerson(profiles, profile);
  if (start === null) return null;
  const own = new Set(start.records.map(rawKey));
  const seen = new Set(start.profiles);
  const subjects: Subject[] = [];
  const splits: Closure['splits'] = [];
  for (const { source, object, record } of start.records) {
    for (const name of objectNames(profiles, source, rawObject(object))) {
      const other = await claims.profileOf({ source, object: name, record });
      if (other === null || seen.has(other)) continue;
      const subject = await claims.subject(other);
      if (subject === null) continue;
      for (const id of [other, ...subject.profiles]) seen.add(id);
      const inside = subject.records.filter((ref) => own.has(rawKey(ref)));
      const outside = subject.records.filter((ref) => !own.has(rawKey(ref)));
      splits.push(...inside.flatMap((ref) => outside.map((apart): [RecordRef, RecordRef] => [ref, apart])));
      subjects.push(outside.length === 0 ? subject : partOf(subject, inside));
    }
  }
  subjects.push(start);
  return { subjects, splits, raw: byObject(subjects.flatMap(({ records }) => records)) };
}

/** Until they are parted, only these records are the subject's; the history of the profile they share goes as a whole. */
function partOf(subject: Subject, records: RecordRef[]): Subject {
  const formerly = [...subject.formerly, ...subject.profiles];
  return { ...subject, profiles: [], records, identifiers: [], formerly };
}

/** Whoever names a part, such as the consent of a record, means the person. */
async function wholePerson({ claims }: Profiles, profile: string): Promise<Subject | null> {
  const subject = await claims.subject(profile);
  const [first] = subject?.records ?? [];
  if (subject === null || first === undefined || !subject.records.every(({ object }) => object.includes('/')))
    return subject;
  const main = await claims.profileOf({ ...first, object: rawObject(first.object) });
  return main === null ? subject : ((await claims.subject(main)) ?? subject);
}

function byObject(records: readonly RecordRef[]): RawRecords[] {
  const groups = Map.groupBy(records, ({ source, object }) => `${source}\0${rawObject(object)}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const names = [...new Set(group.map(({ record }) => record))];
    return [{ connection: first.source, object: rawObject(first.object), records: names }];
  });
}

/** Everything in the warehouse that belongs to the subject, while the claims store still knows its records. */
export async function purgeRequestOf(
  { ledger }: Dependencies,
  { subjects, raw }: Closure,
): Promise<PurgeRequest> {
  const records: PurgeRequest['records'] = [];
  for (const { connection, object, records: names } of raw) {
    const schema = (await ledger.schema(connection, object))?.schema;
    const key = schema?.fields.find(({ name }) => name === schema.key)?.column ?? schema?.key ?? 'id';
    records.push({ connection, object, table: schema?.table ?? object, key, records: names });
  }
  const refs = subjects.flatMap((subject) => subject.records);
  const named = [...Map.groupBy(refs, ({ source, object }) => `${source}\0${object}`).values()].map(
    (group) => ({
      source: [group[0]?.source ?? ''],
      object: [group[0]?.object ?? ''],
      record: group.map(({ record }) => record),
    }),
  );
  return {
    records,
    texts: [
      ...raw.flatMap((one) => one.records),
      ...subjects.flatMap(({ identifiers }) => identifiers.map(({ value }) => value)),
    ].filter((text) => text.length >= TEXT_CHARACTERS_MIN),
    own: [
      ...named.map((where) => ({ table: 'identities', where })),
      ...named.map((where) => ({ table: 'profile_events', where, blank: ['fields', 'record'] })),
      ...goldenRows(subjects),
    ],
  };
}

/** Rows of golden profiles with their history, and the history of profiles that once held one of the records. */
export function goldenRows(
  subjects: readonly Pick<Subject, 'entity' | 'profiles' | 'formerly'>[],
): PurgeRequest['own'] {
  return subjects.flatMap(({ entity, profiles, formerly }) => [
    ...(profiles.length === 0 ? [] : [{ table: entity, where: { _profile: profiles } }]),
    ...(profiles.length + formerly.length === 0
      ? []
      : [{ table: `${entity}_versions`, where: { _profile: [...profiles, ...formerly] } }]),
  ]);
}

/** Windows of the subject's objects that were planned before a moment and whose files may hold it. */
export async function stagedWindows(
  { ledger, stage }: Dependencies,
  raw: readonly RawRecords[],
  before: string,
): Promise<string[]> {
  const staged = new Set((await stage.usage()).map(({ window }) => window));
  const found: string[] = [];
  for (const { connection, object } of raw) {
    for (const { id, createdAt } of await ledger.windows({ connection, object, limit: WINDOWS_MAX }))
      if (staged.has(id) && createdAt <= before) found.push(id);
  }
  return found;
}

/** The same count before and at the erasure: what the preview says is what happens. */
export async function countSubject(
  dependencies: Dependencies,
  profiles: Profiles,
  closure: Closure,
  before: string,
): Promise<ErasurePreview> {
  const { ledger, warehouse, lanes } = dependencies;
  const { subjects, raw } = closure;
  const request = await purgeRequestOf(dependencies, closure);
  const rows = await lanes('warehouse', () => warehouse.purge(request, { dryRun: true }));
  const windows = await stagedWindows(dependencies, raw, before);
  let reads = 0;
  for (const { connection, object } of raw)
    reads += await ledger.forgetReads(connection, object, { dryRun: true });
  const records = subjects.reduce((sum, subject) => sum + subject.records.length, 0);
  const events = subjects.reduce((sum, subject) => sum + subject.events, 0);
  const places: ErasedPlace[] = [
    { place: 'claims', what: 'records whose keys are shredded', count: records },
    { place: 'claims', what: 'events that nobody can read any more', count: events },
    ...rows.map(({ table, rows: count }) => ({
      place: table,
      what: table.endsWith('.profile_events') ? 'rows without values' : 'rows removed',
      count,
    })),
    { place: 'stage', what: 'windows whose files are removed', count: windows.length },
    { place: 'ledger', what: 'slices whose cursors are forgotten', count: reads },
  ];
  return {
    profiles: subjects.filter((subject) => subject.profiles.length > 0).length,
    records,
    sources: Object.fromEntries(raw.map((one) => [`${one.connection}.${one.object}`, one.records.length])),
    places: places.filter(({ count }) => count > 0),
    referring: await referring(dependencies, profiles, raw),
  };
}

/** Golden rows of other records that point at one of the subject's, by the references that entities declare. */
export function referenceRows(
  profiles: Pick<Profiles, 'entities'>,
  raw: readonly RawRecords[],
): PurgeRequest['own'] {
  const texts = raw.flatMap(({ connection, object, records }) =>
    records.map((record) => `${connection}:${object}:${record}`),
  );
  return [...profiles.entities.values()].flatMap(({ name, fields, references = {} }) => {
    const columns = warehouseNames(Object.keys(fields));
    return Object.keys(references).flatMap((field) => {
      const column = columns.get(field);
      // A person's consent goes with the person.
      return column === undefined || name === 'consent' ? [] : [{ table: name, where: { [column]: texts } }];
    });
  });
}

async function referring(
  { warehouse, lanes }: Dependencies,
  profiles: Profiles,
  raw: readonly RawRecords[],
): Promise<number> {
  const own = referenceRows(profiles, raw);
  const found = await lanes('warehouse', () =>
    warehouse.purge({ records: [], texts: [], own }, { dryRun: true }),
  );
  return found.reduce((sum, { rows }) => sum + rows, 0);
}
