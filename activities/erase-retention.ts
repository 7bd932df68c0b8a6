// After a run: records past the retention of their entity are erased, a bounded number at a time; the next sweep goes on.
import { fromMs } from '../rules/time.ts';
import type { Cause, Subject } from '../stores/claims/claims.ts';
import { onEachCopy } from './copies.ts';
import type { Dependencies, Profiles } from './dependencies.ts';
import { besideNobody } from './lanes.ts';
import { closureOf, purgeRequestOf, type RawRecords } from './erase-subject.ts';
import { objectNames } from './suppress.ts';

/** Records of each object that one sweep looks at: keeps it to some seconds. */
const RECORDS_MAX = 500;
/** Windows in which the objects of a connection are looked for. */
const WINDOWS_MAX = 10_000;

/**
 * A record goes when the newest version of everything its profile holds is past the limit. Only the records stay out
 * afterwards: the same customer in a new record may come back. Old bytes stay in free blocks of the warehouse until an erasure
 * by name writes it anew.
 */
export function overdueEraser(dependencies: Dependencies): (nowMs: number) => Promise<string> {
  /** Old rows, by object, whose profile is not old yet: they stay first in the order and are passed over. */
  const passed = new Map<string, number>();
  return async (nowMs) => {
    const { profiles, connections } = dependencies;
    if (profiles === undefined || profiles.retentionMs.size === 0) return '';
    let erased = 0;
    for (const connection of connections.keys()) {
      for (const object of await mappedObjects(dependencies, profiles, connection)) {
        const [main] = profiles.mappings(connection, object).filter(({ part }) => part === '');
        const keepMs = main === undefined ? undefined : profiles.retentionMs.get(main.entity.name);
        if (keepMs === undefined) continue;
        const at = `${connection}.${object}`;
        const offset = passed.get(at) ?? 0;
        const before = nowMs - keepMs;
        const done = await eraseOld(dependencies, profiles, { connection, object, before, offset });
        passed.set(at, done.looked < RECORDS_MAX ? 0 : offset + done.looked - done.erased);
        erased += done.erased;
      }
    }
    return erased === 0 ? '' : `erased ${erased} records past the retention of their entity`;
  };
}

async function mappedObjects(
  { ledger }: Dependencies,
  profiles: Profiles,
  connection: string,
): Promise<string[]> {
  const seen = await ledger.windows({ connection, limit: WINDOWS_MAX });
  const objects = [...new Set(seen.map(({ object }) => object))];
  return objects.filter((object) => profiles.mappings(connection, object).length > 0);
}

interface Old {
  connection: string;
  object: string;
  /** Source time, ms. */
  before: number;
  offset: number;
}

async function eraseOld(
  dependencies: Dependencies,
  profiles: Profiles,
  { connection, object, before, offset }: Old,
): Promise<{ looked: number; erased: number }> {
  const { ledger, warehouse, lanes } = dependencies;
  const schema = (await ledger.schema(connection, object))?.schema;
  if (schema === undefined) return { looked: 0, erased: 0 };
  const key = schema.fields.find(({ name }) => name === schema.key)?.column ?? schema.key;
  const table = { connection, table: schema.table, key, before: fromMs(before), offset, limit: RECORDS_MAX };
  const records = await lanes('warehouse', () => warehouse.olderThan(table));
  if (records.length === 0) return { looked: 0, erased: 0 };
  const erased = await besideNobody(lanes, () =>
    eraseRecords(dependencies, profiles, { connection, object, records }, before),
  );
  return { looked: records.length, erased };
}

/** Kept out, then removed from the warehouse, then shredded: dying between two of them leaves work for the next sweep. */
async function eraseRecords(
  dependencies: Dependencies,
  profiles: Profiles,
  { connection, object, records }: RawRecords,
  before: number,
): Promise<number> {
  const { claims } = profiles;
  const subjects = new Map<string, Subject>();
  const raw: RawRecords[] = [];
  let erased = 0;
  for (const record of records) {
    const profile = await claims.profileOf({ source: connection, object, record });
    const closure = profile === null ? null : await closureOf(profiles, profile);
    const found = closure?.subjects ?? [];
    if (found.some(({ newest }) => newest >= before) || (closure?.splits.length ?? 0) > 0) continue;
    for (const subject of found)
      if (subject.profiles[0] !== undefined) subjects.set(subject.profiles[0], subject);
    // A record that the claims store does not know has only its row.
    raw.push(...(closure?.raw ?? [{ connection, object, records: [record] }]));
    erased += 1;
  }
  if (erased === 0) return 0;
  const refs = raw.flatMap((one) =>
    objectNames(profiles, one.connection, one.object).flatMap((name) =>
      one.records.map((record) => ({ source: one.connection, object: name, record })),
    ),
  );
  const at = fromMs(dependencies.now());
  const reason = `retention of ${connection}.${object}`;
  const cause: Cause = { via: 'operator', run: null, actor: 'retention', reason, at };
  await claims.suppress(refs, [], cause);
  const closure = { subjects: [...subjects.values()], splits: [], raw: merged(raw) };
  const request = { ...(await purgeRequestOf(dependencies, closure)), texts: [] };
  const purge = ({ warehouse, lanes }: Dependencies) =>
    lanes('warehouse', () => warehouse.purge(request, { dryRun: false }));
  // The main one last: its rows are what the next sweep finds when a copy is away.
  await onEachCopy(dependencies, purge);
  await purge(dependencies);
  for (const profile of subjects.keys()) await claims.erase(profile, cause, 'records');
  return erased;
}

function merged(raw: readonly RawRecords[]): RawRecords[] {
  const groups = Map.groupBy(raw, ({ connection, object }) => `${connection}\0${object}`);
  return [...groups.values()].map((group) => ({
    connection: group[0]?.connection ?? '',
    object: group[0]?.object ?? '',
    records: [...new Set(group.flatMap(({ records }) => records))],
  }));
}
