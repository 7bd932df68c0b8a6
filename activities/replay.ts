// Replay: reads records that were set aside once more, after somebody mended the schema policy, the mapping or the source.
import { compileMapping } from '../mapping/compile.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { fromMs } from '../rules/time.ts';
import { keepWidened } from '../rules/widening.ts';
import type { ObjectReplay, ReplayRequest } from '../schemas/audit.ts';
import type { ComparedRow } from '../warehouses/warehouse.ts';
import { IDS_PER_BATCH_MAX, withRecords, type ReadRecords } from './audit-records.ts';
import { auditCause, auditOf, knownSchema, land } from './audit-repair.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import { onEachCopy } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { NO_GOLDEN, reconcileBatches } from './reconcile.ts';

/** Records of one replay; the next one goes on. */
const RECORDS_MAX = 10_000;

export interface ReplayPart {
  connection: string;
  object: string;
  records: string[];
  part: number;
  dryRun: boolean;
}

/** Open entries of the quarantine, cut into parts of a bounded size. */
export async function planReplay(
  dependencies: Dependencies,
  request: ReplayRequest,
): Promise<{ parts: ReplayPart[]; profiles: boolean }> {
  const { connection, object = null, dryRun } = request;
  connectionSettings(dependencies, connection);
  const open = await dependencies.lanes('warehouse', () =>
    auditOf(dependencies).quarantined(connection, object, RECORDS_MAX),
  );
  const parts: ReplayPart[] = [];
  for (const [name, entries] of Map.groupBy(open, (entry) => entry.object)) {
    const records = entries.map(({ record }) => record);
    for (let at = 0; at < records.length; at += IDS_PER_BATCH_MAX) {
      const some = records.slice(at, at + IDS_PER_BATCH_MAX);
      parts.push({ connection, object: name, records: some, part: parts.length, dryRun });
    }
  }
  return { parts, profiles: dependencies.profiles !== undefined };
}

/**
 * Lands what fits now and brings the profiles up to date. Older entries of these records get `resolved_at`; a record that is set
 * aside again has a new entry with the new reason. Repeating it changes nothing more (I2).
 */
export async function replayRecords(
  dependencies: Dependencies,
  sources: OpenSources,
  input: ReplayPart,
): Promise<ObjectReplay> {
  const { connection, object, records, part, dryRun } = input;
  const settings = connectionSettings(dependencies, connection);
  const known = await knownSchema(dependencies, connection, object);
  if (known === null)
    throw new HeadwaterError('FIRST_LOAD_MISSING', `${connection} ${object} has no first load yet`);
  const source = await sources.source(connection, 'backfill');
  // As the source describes it now: a type that was mended there is what the replay is for.
  const schema = await dependencies.lanes('api', async () =>
    keepWidened(await source.describe(object), known),
  );
  const asked = { settings, source, schema, ids: records, purpose: `replay ${part}` };
  return withRecords(dependencies, asked, async (read) => {
    if (dryRun) return previewed(dependencies, read, input);
    const { compared } = await land(dependencies, settings, read, { doubt: records, back: new Set() });
    await claim(dependencies, read, records);
    const audit = auditOf(dependencies);
    const at = fromMs(dependencies.now());
    await onEachCopy(dependencies, (copy) =>
      copy.lanes('warehouse', async () =>
        copy.warehouse.audit?.resolve(connection, object, records, at, read.window.id),
      ),
    );
    const open = await dependencies.lanes('warehouse', async () => {
      await audit.resolve(connection, object, records, at, read.window.id);
      return audit.quarantined(connection, object, RECORDS_MAX);
    });
    const asides = new Map(open.map((entry) => [entry.record, entry.reasons]));
    const bad = records.flatMap((record) => {
      const [first] = asides.get(record) ?? [];
      return first === undefined ? [] : [{ record, field: first.field ?? '', reason: first.reason }];
    });
    return summary(object, records, compared, bad);
  });
}

async function claim(
  dependencies: Dependencies,
  { window, request, batch }: ReadRecords,
  records: readonly string[],
): Promise<void> {
  const { profiles } = dependencies;
  if (profiles === undefined) return;
  await dependencies.lanes('claims', () =>
    reconcileBatches(dependencies, profiles, {
      window,
      schema: request.schema,
      batches: [batch],
      cause: auditCause(dependencies, 'replay of records that were set aside'),
      summary: { ...NO_GOLDEN },
      only: new Set(records),
    }),
  );
}

interface BadRecord {
  record: string;
  field: string;
  reason: string;
}

/** The same judgements without writing anything. */
async function previewed(
  dependencies: Dependencies,
  read: ReadRecords,
  { object, records }: ReplayPart,
): Promise<ObjectReplay> {
  const compared = await dependencies.lanes('warehouse', () =>
    auditOf(dependencies).compare(read.request, []),
  );
  const bad = compared.flatMap(({ record, state, columns, reason }) =>
    state === 'aside' ? [{ record, field: columns[0] ?? '', reason: reason ?? '' }] : [],
  );
  return summary(object, records, compared, [...bad, ...(await unmapped(dependencies, read))]);
}

async function unmapped(
  { profiles, shaper }: Dependencies,
  { window, request, batch }: ReadRecords,
): Promise<BadRecord[]> {
  if (profiles === undefined || batch.rows.length === 0) return [];
  const { schema, files } = request;
  const key = schema.fields.find(({ name }) => name === schema.key)?.column ?? schema.key;
  const bad: BadRecord[] = [];
  for (const one of profiles.mappings(window.connection, window.object)) {
    const mapping = compileMapping(one, window.connection, schema, profiles.phone);
    const columns = mapping.reads.flatMap((name) => schema.fields.find((field) => field.name === name) ?? []);
    for await (const rows of shaper.rows({ files: files.rows, key, columns, hashed: true })) {
      for (const row of rows) {
        const mapped = row.deleted ? { ok: true as const } : mapping.map(row.values());
        if (mapped.ok) continue;
        const reason = `${mapping.entity.name}.${mapped.field} ${mapped.reason}`;
        bad.push({ record: row.record, field: mapped.field, reason });
      }
    }
  }
  return bad;
}

function summary(
  object: string,
  records: readonly string[],
  compared: readonly ComparedRow[],
  bad: readonly BadRecord[],
): ObjectReplay {
  const found = new Set(compared.map(({ record }) => record));
  const failing = new Map(bad.map((one) => [one.record, one]));
  const gone = records.filter((record) => !found.has(record) && !failing.has(record)).length;
  const left = records.filter((record) => failing.has(record)).length;
  const groups = Map.groupBy(failing.values(), ({ field, reason }) => `${field}\n${reason}`);
  const reasons = [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ field: first.field, reason: first.reason, records: group.length }];
  });
  return { object, records: records.length, landed: records.length - gone - left, gone, left, reasons };
}
